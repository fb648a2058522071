"""Levels that are found together: a spine through all scores decides where one alone cannot."""

from __future__ import annotations

import numpy as np
import pytest

from bodycomp.analysis.level_verdict import ChoiceOptions
from bodycomp.analysis.locating import locate_levels
from bodycomp.analysis.spine_fit import fit_spine
from bodycomp.networks.targets import offset_to_target
from bodycomp.results import LevelStatus, SliceChoice

LEVELS = ("T10", "T12", "L1", "L2", "L3", "L4")
TRUE_MM = np.array([190.0, 127.0, 93.0, 56.0, 18.0, -22.0])
"""A spine a tenth longer than the average."""

SCALE_MM = 10.0
Z_MM = np.arange(-120.0, 260.0, 4.0)


def scores(z_mm: np.ndarray = Z_MM) -> np.ndarray:
    return np.asarray(offset_to_target(z_mm[:, None] - TRUE_MM, SCALE_MM), dtype=np.float32)


def located(values: np.ndarray, z_mm: np.ndarray = Z_MM) -> dict[str, SliceChoice]:
    choices = locate_levels(
        lambda indices: values[list(indices)],
        z_mm,
        LEVELS,
        ChoiceOptions(scale_mm=SCALE_MM),
        score_all=True,
    )
    return {choice.level: choice for choice in choices}


def test_a_spine_of_other_length_is_fitted_to_half_a_vertebra() -> None:
    fit = fit_spine(scores(), Z_MM, LEVELS, SCALE_MM)
    assert fit is not None
    assert [fit.z_mm[level] for level in LEVELS] == pytest.approx(TRUE_MM.tolist(), abs=8)
    assert fit.misfit < 0.02


def test_levels_outside_of_the_series_are_expected_there() -> None:
    short_mm = Z_MM[Z_MM > 30]
    fit = fit_spine(scores(short_mm), short_mm, LEVELS, SCALE_MM)
    assert fit is not None
    assert fit.z_mm["L4"] == pytest.approx(-22, abs=20)


def test_two_levels_make_no_spine() -> None:
    assert fit_spine(scores()[:, :2], Z_MM, LEVELS[:2], SCALE_MM) is None
    assert fit_spine(scores(), Z_MM, ("a", "b", "c", "d", "e", "f"), SCALE_MM) is None


def test_a_level_that_rises_twice_is_found_where_the_others_place_it() -> None:
    values = scores()
    values[Z_MM < -60, LEVELS.index("L3")] = 0.9  # another rise below, where L3 scores fall again
    choice = located(values)["L3"]
    assert choice.status is LevelStatus.FOUND
    assert choice.z_mm == pytest.approx(18, abs=2)
    assert choice.slice_index == int(np.argmin(np.abs(Z_MM - 18)))
    assert choice.offset_mm.shape == Z_MM.shape


def test_a_level_that_is_found_elsewhere_is_uncertain() -> None:
    values = scores()
    values[:, LEVELS.index("L3")] = offset_to_target(Z_MM - 75.0, SCALE_MM)
    choice = located(values)["L3"]
    assert choice.status is LevelStatus.UNCERTAIN
    assert choice.reason.startswith("found at z = 75 mm, where the other levels place it at about")


def test_clear_levels_stay_as_they_are() -> None:
    found = located(scores())
    assert [found[level].z_mm for level in LEVELS] == pytest.approx(TRUE_MM.tolist(), abs=1)
