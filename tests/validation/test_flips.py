"""Flips are told by what bodies have in common, and only where that is clear."""

import numpy as np
import pytest

from bodycomp.data.issues import sample_place
from bodycomp.validation.check_flips import (
    LEFT_RIGHT,
    UP_DOWN,
    check_flips,
    grouping_of,
    mirror_scores,
)
from bodycomp.validation.details import ALIGNED_SIDE, DETAIL, gather_into
from bodycomp.validation.segmentation_facts import SAMPLE_FACTS

PATTERN = np.random.default_rng(11).normal(0, 1, (ALIGNED_SIDE, ALIGNED_SIDE))
PATTERN[14:22, 9:15] += 2  # the spine


def gathered_of(counts, flipped=(), axis=0, noise=3.0, seed=12):
    """Bodies that share a pattern under noise; those named are flipped."""
    gathered = gather_into(counts, SAMPLE_FACTS)
    rng = np.random.default_rng(seed)
    for index in range(sum(counts.values())):
        picture = PATTERN + rng.normal(0, noise, PATTERN.shape)
        detail = np.zeros(1, DETAIL)[0]
        detail["aligned"] = np.flip(picture, axis) if index in flipped else picture
        gathered.store.write(index, detail)
    return gathered


def told(gathered, patients=None):
    grouping = grouping_of(np.zeros(len(gathered.store), np.int64), patients)
    with gathered.store:
        return list(check_flips(gathered, grouping, patients, sample_place))


def test_nothing_is_told_of_bodies_that_lie_alike():
    assert told(gathered_of({"train": 90, "val": 40})) == []


def test_every_image_upside_down_is_named():
    issues = told(gathered_of({"train": 90, "val": 40}, {7, 50, 93}, axis=0))
    assert [(f.code, f.split, f.index) for f in issues] == [
        ("upside-down", "train", 7),
        ("upside-down", "train", 50),
        ("upside-down", "val", 3),
    ]


def test_a_whole_set_upside_down_is_told_by_the_spine():
    issues = told(gathered_of({"train": 90}, range(90), axis=0))
    assert [issue.code for issue in issues] == ["set-upside-down"]


def test_a_mirrored_patient_is_named_once_by_its_first_sample():
    patients = np.arange(120) // 6
    issues = told(gathered_of({"train": 120}, range(30, 36), axis=1), patients)
    assert [(f.code, f.index) for f in issues] == [("mirrored", 30)]
    assert "the 6 samples of this one mirrored" in issues[0].message


def test_a_mirrored_split_is_named_where_patients_are_not_known():
    issues = told(gathered_of({"train": 120, "val": 40}, range(120, 160), axis=1))
    assert [(f.code, f.split, f.index) for f in issues] == [("mirrored", "val", None)]


def test_one_mirrored_image_of_no_known_patient_is_not_told():
    assert told(gathered_of({"train": 120}, {5}, axis=1)) == []


@pytest.mark.parametrize("seed", range(20))
def test_bodies_that_have_nothing_in_common_are_not_judged(seed):
    assert told(gathered_of({"train": 200, "val": 40}, noise=300.0, seed=seed)) == []


@pytest.mark.parametrize("axis", [UP_DOWN, LEFT_RIGHT])
def test_flipped_bodies_score_the_opposite(axis):
    gathered = gathered_of({"train": 240}, range(0, 240, 12), axis=axis - 1, noise=0.5)
    with gathered.store as store:
        scores = mirror_scores(store, grouping_of(np.zeros(240, np.int64), None), axis)
    flipped = np.arange(240) % 12 == 0
    np.testing.assert_allclose(scores[flipped].mean(), -scores[~flipped].mean(), rtol=0.1)


def test_too_few_bodies_of_a_height_have_no_score():
    gathered = gathered_of({"train": 60})
    bins = np.where(np.arange(60) < 50, 0, 1)
    with gathered.store as store:
        scores = mirror_scores(store, grouping_of(bins, None), UP_DOWN)
    assert np.isfinite(scores[:50]).all()
    assert np.isnan(scores[50:]).all()
