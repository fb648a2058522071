"""Series that train the finder of levels: every part of the body, with offsets of all levels."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bodycomp.cohort.level_set import (
    FINDER_LEVELS,
    FINDER_SIZE,
    PHYSICS_EVERY,
    LevelSetOptions,
    level_series,
    write_level_set,
)
from bodycomp.data.samples import LevelSample
from bodycomp.data.slice_set import open_slice_split

SHORT = 3
"""A patient of seed 3 without L3, whose series is short."""


@cache
def short_series() -> list[LevelSample]:
    return list(level_series(3, SHORT))


def test_a_series_goes_from_feet_to_head_and_knows_all_levels() -> None:
    samples = short_series()
    offsets = np.array([[s.offsets_mm[level] for level in FINDER_LEVELS] for s in samples])
    assert all(sample.gray.shape == FINDER_SIZE for sample in samples)
    assert np.all(np.diff(offsets, axis=0) >= 3.49)
    assert np.all(np.diff(offsets, axis=1) > 9)  # the lower a level, the farther the slice above it


def test_the_same_seed_gives_the_same_slices() -> None:
    again = level_series(3, SHORT)
    assert all(np.array_equal(a.gray, b.gray) for a, b in zip(short_series(), again, strict=True))


def test_a_set_can_be_made_in_parts(tmp_path: Path) -> None:
    count = write_level_set(LevelSetOptions(tmp_path, "train", series=1, first=SHORT, seed=3))
    split = open_slice_split(tmp_path, "train", FINDER_LEVELS)
    assert split is not None
    assert len(split) == count
    assert set(split.series or ()) == {f"train-{SHORT:05d}"}
    expected = [sample.offsets_mm["L3"] for sample in short_series()]
    assert split.offsets_mm[:, FINDER_LEVELS.index("L3")].tolist() == pytest.approx(expected)


def test_phantoms_of_physics_lie_far_from_all_levels() -> None:
    samples = list(level_series(0, PHYSICS_EVERY - 1))
    assert max(max(sample.offsets_mm.values()) for sample in samples) < -1000
    assert not np.array_equal(samples[0].gray, samples[1].gray)
