"""Slices that train the finder of levels: every part of the body, with offsets of all levels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bodycomp.cohort.level_set import (
    FINDER_LEVELS,
    LevelSetOptions,
    training_slices,
    write_level_set,
)
from bodycomp.data.slice_set import open_slice_split


def test_a_patient_gives_slices_from_head_to_feet_that_know_all_levels() -> None:
    samples = training_slices(0, 0)
    offsets = np.array([[s.offsets_mm[level] for level in FINDER_LEVELS] for s in samples])
    assert all(sample.gray.shape == (256, 256) for sample in samples)
    assert np.all(np.diff(offsets, axis=1) > 9)  # the lower a level, the farther the slice above it
    l3 = offsets[:, FINDER_LEVELS.index("L3")]
    assert l3.max() > 400
    assert l3.min() < -250
    assert np.sum(np.abs(l3) < 180) >= 6


def test_the_same_seed_gives_the_same_slices() -> None:
    first, second = training_slices(3, 1), training_slices(3, 1)
    assert all(np.array_equal(a.gray, b.gray) for a, b in zip(first, second, strict=True))


def test_a_set_can_be_made_in_parts(tmp_path: Path) -> None:
    count = write_level_set(LevelSetOptions(tmp_path, patients=1, first=1, seed=3))
    split = open_slice_split(tmp_path, "train", FINDER_LEVELS)
    assert split is not None
    assert len(split) == count
    expected = [sample.offsets_mm["L3"] for sample in training_slices(3, 1)]
    assert split.offsets_mm[:, FINDER_LEVELS.index("L3")].tolist() == pytest.approx(expected)
