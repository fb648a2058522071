"""Levels in anatomical order, as far apart as vertebrae are."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.analysis.locating import check_levels_together
from bodycomp.anatomy import VERTEBRAE
from bodycomp.results import LevelStatus, SliceChoice

NO_CURVE = np.zeros(1, np.float32)


def found(level, z_mm):
    return SliceChoice(level, LevelStatus.FOUND, "", 0, z_mm, NO_CURVE, NO_CURVE, 1)


def absent(level):
    return SliceChoice(level, LevelStatus.ABSENT, "below", None, None, NO_CURVE, NO_CURVE, 0)


def statuses(*choices):
    return {choice.level: choice.status.value for choice in check_levels_together(choices)}


def test_levels_in_order_stay_as_they_are():
    choices = (found("L3", 0.0), found("T8", 200.0), absent("T5"))
    assert check_levels_together(choices) == choices


def test_one_level_among_many_is_the_wrong_one():
    assert statuses(
        found("T5", -50.0), found("T8", 200.0), found("T10", 150.0), found("L3", 0.0)
    ) == {
        "T5": "uncertain",
        "T8": "found",
        "T10": "found",
        "L3": "found",
    }


def test_of_two_levels_nobody_knows_which_is_wrong():
    doubted = check_levels_together([found("T10", 10.0), found("L3", 60.0)])
    assert [choice.status for choice in doubted] == [LevelStatus.UNCERTAIN] * 2
    assert doubted[0].reason == "found at z = 10 mm, out of anatomical order with L3"
    assert doubted[0].z_mm is None
    assert doubted[0].slice_index is None


@given(st.lists(st.sampled_from(VERTEBRAE), unique=True, min_size=1, max_size=6), st.data())
def test_what_is_left_is_in_order(levels, data):
    choices = [found(level, data.draw(st.floats(-500, 500))) for level in levels]
    left = [c for c in check_levels_together(choices) if c.status is LevelStatus.FOUND]
    left.sort(key=lambda choice: VERTEBRAE.index(choice.level))
    heights = [choice.z_mm for choice in left]
    assert all(upper > lower for upper, lower in pairwise(heights))


def test_distance_that_no_spine_has_is_doubted():
    doubted = check_levels_together([found("L2", 5.0), found("L3", 0.0)])
    assert [choice.status for choice in doubted] == [LevelStatus.UNCERTAIN] * 2
    assert doubted[0].reason == "found at z = 5 mm, at a distance that no spine has from L3"
    assert statuses(found("T12", 300.0), found("L3", 0.0)) == {
        "T12": "uncertain",
        "L3": "uncertain",
    }
    assert statuses(found("T12", 100.0), found("L3", 0.0)) == {"T12": "found", "L3": "found"}
