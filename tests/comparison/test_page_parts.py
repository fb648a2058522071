"""What the page of a comparison draws: outlines along pixels, places over time."""

import numpy as np
import pytest

from bodycomp.report.scaled_slices import outline_path
from bodycomp.report.time_chart import TimePoint, draw_time_chart


def edge_length(path):
    return sum(int(part.split("h")[-1].split("v")[-1]) for part in path.split("M")[1:])


def test_outline_is_every_edge_of_a_mask():
    mask = np.random.default_rng(3).random((9, 13)) > 0.5
    padded = np.pad(mask, 1).astype(int)
    edges = np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()
    assert edge_length(outline_path(mask)) == edges
    assert outline_path(np.zeros((3, 3), bool)) == ""


def test_points_lie_where_their_values_are():
    points = [TimePoint(0, 100.0, 5.0), TimePoint(6, 90.0, 5.0), TimePoint(12, 80.0, 5.0)]
    drawn = draw_time_chart("Muscle", "cm²", points)
    xs, ys = (np.array([dot[n] for dot in drawn.dots]) for n in (0, 1))
    assert np.diff(xs) == pytest.approx([np.diff(xs)[0]] * 2)
    assert np.diff(ys) == pytest.approx([np.diff(ys)[0]] * 2, abs=0.2)
    assert ys[0] < ys[2]  # more lies higher
    for x, y, low, high, *_ in drawn.dots:
        assert 46 <= x <= 370
        assert 12 <= high < y < low <= 150
    assert all(12 <= place <= 150 for place, _ in drawn.ticks_y)


def test_equal_values_and_one_day_are_drawn_too():
    drawn = draw_time_chart("Muscle", "cm²", [TimePoint(0, 50.0), TimePoint(0, 50.0)])
    assert len({dot[:2] for dot in drawn.dots}) == 1
