"""Metrics of both tasks on cases whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bodycomp.analysis.level_verdict import ChoiceOptions
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.networks.card_description import SplitSize, TrainingData
from bodycomp.training.describing import metric_table
from bodycomp.training.segmentation import count_pixels, dice
from bodycomp.training.slice_metrics import (
    locate_in_series,
    near_counts,
    offset_metrics,
    series_counts,
    series_metrics,
    view_error_mm,
)
from bodycomp.training.slice_selection import telling_errors_mm
from bodycomp.training.task import Evaluation


def test_dice_of_known_masks():
    truth = torch.tensor([[[1, 1, 2, 0]], [[0, 0, 0, 0]]])
    predicted = torch.tensor([[[1, 2, 2, 0]], [[1, 0, 0, 0]]])
    counts = count_pixels(predicted, truth, ABDOMINAL_TISSUES)
    assert counts[0].tolist() == [[1, 1, 2], [1, 2, 1], [0, 0, 0]]
    first, second = dice(counts)
    assert first[:2].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert first[2].isnan()  # in neither mask: not measured, rather than 0 or 1
    assert second[0] == 0
    whole = dice(counts.sum(dim=0))
    assert whole[0] == pytest.approx(2 * 1 / (2 + 2))


def test_what_nobody_annotated_counts_neither_for_nor_against_a_mask():
    truth = torch.tensor([[[1, 255, 255, 2]], [[255, 255, 255, 255]]])
    for said in (0, 1, 2, 3):
        predicted = torch.tensor([[[1, said, said, 0]], [[said] * 4]])
        counts = count_pixels(predicted, truth, ABDOMINAL_TISSUES)
        assert counts[0].tolist() == [[1, 1, 1], [0, 0, 1], [0, 0, 0]]
        assert dice(counts[1]).isnan().all()


def test_mae_is_taken_near_the_level_and_skips_what_nobody_annotated():
    offsets = np.array([[0.0], [40.0], [400.0], [np.nan]])
    estimated = np.array([[4.0], [30.0], [90.0], [0.0]])
    assert offset_metrics(offsets, estimated, ["L3"]) == {"mae_mm_L3": 7.0}
    assert near_counts(offsets, ["L3"]) == {"mae_mm_L3": 2}
    assert offset_metrics(offsets[2:], estimated[2:], ["L3"]) == {"mae_mm_L3": None}


def test_view_error_counts_far_slices_only_when_taken_for_others():
    offsets = np.array([[300.0], [-300.0], [-300.0], [10.0], [np.nan]])
    estimated = np.array([[70.0], [-120.0], [20.0], [-5.0], [0.0]])
    np.testing.assert_allclose(
        view_error_mm(offsets, estimated)[:, 0], [0.0, 0.0, 70.0, 15.0, np.nan]
    )


def test_examples_leave_out_slices_that_tell_little():
    offsets = torch.tensor([[300.0], [-300.0], [10.0]])
    errors = torch.tensor([[0.0], [70.0], [2.0]])
    assert telling_errors_mm(offsets, errors).isnan().tolist() == [True, False, False]


def make_series(shift_mm: float, low: float = -120.0, high: float = 120.0):
    offset = np.arange(low, high, 4.0)
    return offset, np.clip(offset + shift_mm, -50, 50)


def test_locating_finds_the_shift_of_each_series():
    near, off = make_series(3.0), make_series(-8.0)
    elsewhere = make_series(0.0, low=100.0, high=300.0)  # the level is not in this one
    offset = np.concatenate([near[0], off[0], elsewhere[0]])
    estimated = np.concatenate([near[1], off[1], elsewhere[1]])
    series = np.repeat(["a", "b", "c"], [len(near[0]), len(off[0]), len(elsewhere[0])])
    shuffled = np.random.default_rng(0).permutation(len(offset))
    [located] = locate_in_series(
        ["L3"],
        offset[shuffled, None],
        estimated[shuffled, None],
        series[shuffled],
        ChoiceOptions(),
    )
    np.testing.assert_allclose(located.errors_mm, [3.0, 8.0], atol=1.0)
    assert series_counts([located]) == {"located_error_mm_L3": 2, "found_L3": 2}


def test_a_series_in_which_the_level_is_not_found_counts_against_the_share():
    good, noise = make_series(2.0), make_series(0.0)
    random = np.random.default_rng(1).choice([-40.0, 40.0], len(noise[0]))
    [located] = locate_in_series(
        ["L3"],
        np.concatenate([good[0], noise[0]])[:, None],
        np.concatenate([good[1], random])[:, None],
        np.repeat(["good", "noise"], [len(good[0]), len(noise[0])]),
        ChoiceOptions(),
    )
    metrics = series_metrics([located])
    assert series_counts([located]) == {"located_error_mm_L3": 1, "found_L3": 2}
    assert metrics["found_L3"] == 0.5
    assert metrics["located_error_mm_L3"] == pytest.approx(2.0, abs=1.0)


def test_without_a_series_that_holds_the_level_nothing_is_claimed():
    offset, estimated = make_series(0.0, low=100.0, high=300.0)
    named = np.array(["a"] * len(offset))
    [located] = locate_in_series(
        ["L3"], offset[:, None], estimated[:, None], named, ChoiceOptions()
    )
    assert series_metrics([located]) == {"located_error_mm_L3": None, "found_L3": None}


def test_numbers_of_a_training_go_into_a_card_with_counts_and_intervals_of_shares():
    evaluation = Evaluation(
        {"loss": 0.2, "found_L3": 0.75, "mae_mm_L3": None, "error_mm": 3.0},
        score=-3.0,
        cases=torch.zeros(80),
        counts={"found_L3": 12, "mae_mm_L3": 0},
    )
    data = TrainingData("ab" * 32, {"val": SplitSize(80, series=12, patients=11)})
    table = metric_table("validation", evaluation, data)
    found, near, error = table.metrics
    assert found.cases == 12
    assert (found.low, found.high) == pytest.approx((0.468, 0.911), abs=1e-3)  # Wilson, 9 of 12
    assert near.reason == "nothing of it in this split"
    assert (error.cases, error.patients, error.unit, error.low) == (80, 11, "mm", None)
