"""How well levels are found: errors in mm near a level, and by locating it in whole series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.confidence import CLOSE_MM
from bodycomp.analysis.confidence_fit import fit_calibration
from bodycomp.analysis.level_verdict import ChoiceOptions
from bodycomp.analysis.locating import locate_levels
from bodycomp.data.series_heights import ascending_heights_mm, series_heights_mm
from bodycomp.networks.confidence_calibration import LevelCalibration
from bodycomp.networks.targets import NEAR_MM, offset_to_target
from bodycomp.results import SliceChoice

FOUND_MM: Final = CLOSE_MM
"""A level counts as found when it is located within this distance."""


@dataclass(frozen=True, eq=False)
class LocatedSeries:
    """One level in the series of a split.

    Attributes:
        choices: One per series that has at least one slice with a name and an annotation; a
            position is the distance from the truth in mm.
        is_covered: (series,) whether the series holds the level.
    """

    level: str
    choices: tuple[SliceChoice, ...]
    is_covered: NDArray[np.bool_]

    @property
    def errors_mm(self) -> NDArray[np.float64]:
        """(covering series,) distance between truth and position; infinite where not found."""
        found = [np.inf if c.z_mm is None else abs(c.z_mm) for c in self.choices]
        return np.array(found, dtype=np.float64)[self.is_covered]

    def calibration(self) -> LevelCalibration | None:
        """Return what these series tell of the model's confidence; None if they are too few.

        A position in a series that does not hold the level counts as wrong, unless it is near.
        """
        found = [
            (choice.confidence, abs(choice.z_mm) <= CLOSE_MM)
            for choice in self.choices
            if choice.z_mm is not None and choice.confidence is not None
        ]
        confidence = np.array([by_signs for by_signs, _ in found], dtype=np.float64)
        return fit_calibration(confidence, np.array([is_right for _, is_right in found], np.bool_))


def calibrations_of(located: Sequence[LocatedSeries]) -> dict[str, LevelCalibration]:
    """Return the calibration of every level of which there are enough series."""
    made = {series.level: series.calibration() for series in located}
    return {level: calibration for level, calibration in made.items() if calibration is not None}


def locate_in_series(
    levels: Sequence[str],
    offsets_mm: NDArray[np.floating],
    estimated_mm: NDArray[np.floating],
    series: NDArray[np.str_],
    options: ChoiceOptions,
) -> list[LocatedSeries]:
    """Locate levels in every series, together, as an analysis does with all slices scored.

    Slices without an annotation or a series name take no part, nor does a level in a series of
    which it is not annotated.

    Args:
        levels: Their names.
        offsets_mm: (slice, level) true offsets, NaN where not annotated.
        estimated_mm: (slice, level) offsets by the network.
        series: (slice,) name of each slice's series.
        options: When a level counts as found; without calibrations.
    """
    choices: list[list[SliceChoice]] = [[] for _ in levels]
    covered: list[list[bool]] = [[] for _ in levels]
    scores = offset_to_target(estimated_mm, options.scale_mm).astype(np.float32)
    for name in np.unique(series[series != ""]):
        own = np.flatnonzero(series == name)
        heights, places_mm = series_heights_mm(offsets_mm[own])
        ascending, z_mm = ascending_heights_mm(heights)
        own = own[ascending]
        if not z_mm.size:
            continue
        found = locate_levels(_Known(scores[own]), z_mm, levels, options, score_all=True)
        for column, (choice, place_mm) in enumerate(zip(found, places_mm.tolist(), strict=True)):
            if np.isnan(place_mm):
                continue
            apart_mm = None if choice.z_mm is None else choice.z_mm - place_mm
            choices[column].append(replace(choice, z_mm=apart_mm))
            covered[column].append(bool(z_mm[0] <= place_mm <= z_mm[-1]))
    return [
        LocatedSeries(level, tuple(of_level), np.array(inside, dtype=np.bool_))
        for level, of_level, inside in zip(levels, choices, covered, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class _Known:
    """Scores that are there already, (slice, level)."""

    scores: NDArray[np.float32]

    def __call__(self, indices: Sequence[int]) -> NDArray[np.float32]:
        return self.scores[list(indices)]


def view_error_mm(
    offsets_mm: NDArray[np.floating], estimated_mm: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Return (slice, level) errors with true and estimated offsets clipped to +-50 mm.

    A far slice counts only if it is taken for a near one or for one on the other side. NaN where
    the level was not annotated.
    """
    clipped = [np.clip(values, -NEAR_MM, NEAR_MM) for values in (offsets_mm, estimated_mm)]
    return np.asarray(np.abs(clipped[1] - clipped[0]))


def offset_metrics(
    offsets_mm: NDArray[np.floating],
    estimated_mm: NDArray[np.floating],
    levels: Sequence[str],
) -> dict[str, float | None]:
    """Return per level the mean absolute error in mm, on the annotated slices within 50 mm of it.

    (slice, level) true offsets, NaN where not annotated, and those by the network give
    ``mae_mm_<level>``; None without any such slice.
    """
    metrics: dict[str, float | None] = {}
    for index, level in enumerate(levels):
        near = np.abs(offsets_mm[:, index]) <= NEAR_MM  # False for NaN
        errors = np.abs(estimated_mm - offsets_mm)[near, index]
        metrics[f"mae_mm_{level}"] = float(errors.mean()) if errors.size else None
    return metrics


def near_counts(offsets_mm: NDArray[np.floating], levels: Sequence[str]) -> dict[str, int]:
    """Return per metric of ``offset_metrics`` the number of slices that it is made of."""
    near = (np.abs(offsets_mm) <= NEAR_MM).sum(axis=0)
    return {f"mae_mm_{level}": int(count) for level, count in zip(levels, near, strict=True)}


def series_metrics(located: Sequence[LocatedSeries]) -> dict[str, float | None]:
    """Return per level how well it is located in the series that it lies in; None without any.

    ``located_error_mm_<level>`` is the median distance between the level and where it was located,
    over the series in which it was; ``found_<level>`` the share of all series in which it was
    located within 10 mm.
    """
    metrics: dict[str, float | None] = {}
    for level in located:
        errors_mm = level.errors_mm
        known_mm = errors_mm[np.isfinite(errors_mm)]
        metrics[f"located_error_mm_{level.level}"] = (
            float(np.median(known_mm)) if known_mm.size else None
        )
        metrics[f"found_{level.level}"] = (
            float((errors_mm <= FOUND_MM).mean()) if errors_mm.size else None
        )
    return metrics


def series_counts(located: Sequence[LocatedSeries]) -> dict[str, int]:
    """Return per metric of ``series_metrics`` the number of series that it is made of."""
    counts = {}
    for level in located:
        errors_mm = level.errors_mm
        counts[f"located_error_mm_{level.level}"] = int(np.isfinite(errors_mm).sum())
        counts[f"found_{level.level}"] = errors_mm.size
    return counts
