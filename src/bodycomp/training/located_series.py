"""A level located in whole series whose truth is known, the way an analysis does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.confidence import CLOSE_MM
from bodycomp.analysis.confidence_fit import fit_calibration
from bodycomp.analysis.level_verdict import ChoiceOptions
from bodycomp.analysis.slice_selection import choose_slice
from bodycomp.networks.confidence_calibration import LevelCalibration
from bodycomp.results import SliceChoice


@dataclass(frozen=True, eq=False)
class LocatedSeries:
    """One level in the series of a split.

    Attributes:
        level: Its name.
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
    level: str,
    offset_mm: NDArray[np.floating],
    estimated_mm: NDArray[np.floating],
    series: NDArray[np.str_],
    options: ChoiceOptions,
) -> LocatedSeries:
    """Locate one level in every series.

    A slice's true offset serves as its position, so that the level lies at 0 mm. Slices without
    an annotation or a series name take no part.

    Args:
        level: Name of the level.
        offset_mm: (slice,) true offsets, NaN where not annotated.
        estimated_mm: (slice,) offsets by the network.
        series: (slice,) name of each slice's series.
        options: When a level counts as found; without calibrations.
    """
    usable = ~np.isnan(offset_mm) & (series != "")
    choices, covered = [], []
    for name in np.unique(series[usable]):
        own = np.flatnonzero(usable & (series == name))
        z_mm, first = np.unique(offset_mm[own].astype(np.float64), return_index=True)
        choices.append(choose_slice(level, estimated_mm[own][first], z_mm, options))
        covered.append(bool(z_mm[0] <= 0 <= z_mm[-1]))
    return LocatedSeries(level, tuple(choices), np.array(covered, dtype=np.bool_))
