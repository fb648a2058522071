"""Levels of one series that are placed together: what each curve says, and a spine through all.

A level's own curve places it exactly where it is clear. A spine fitted to all scores is never far
off. Each counts the more, the better its curve fits; where they contradict, nothing is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.coarse_to_fine import Scores, choose_scored_slice
from bodycomp.analysis.confidence import confidence_basis, confidence_of, curve_signs
from bodycomp.analysis.expected_curve import ExpectedCurve
from bodycomp.analysis.level_verdict import NEAR_SCALES, ChoiceOptions
from bodycomp.analysis.spine_fit import SpineFit, fit_spine
from bodycomp.networks.targets import target_to_offset
from bodycomp.results import LevelStatus, SliceChoice

AGREE_MM: Final = 35.0
"""A level agrees with the others if it lies nearer than this to where an average spine has it: a
spine of other proportions than the average moves levels by about a vertebra at most."""

LOOK_MM: Final = 50.0
"""Around where others place a level, slices within this distance are looked at."""

FEWEST_SUPPORTS: Final = 2
"""So many other levels must agree before a level is doubted, or placed by them."""

FEWEST_SLICES: Final = 5
"""With fewer slices around a place a level is not looked for there."""

SPINE_SD_MM: Final = 4.0
"""A curve with this misfit counts as much as the spine; chosen on 45 held-out phantom series."""

MOST_MISFIT: Final = 0.12
"""With a larger mean difference of all scores a spine places nothing alone."""

ALONE_MM: Final = 15.0
"""A level that a spine places alone is as unsure as one that lies this far from it."""


def choose_together(
    choices: Sequence[SliceChoice],
    scores: Scores,
    z_mm: NDArray[np.float64],
    options: ChoiceOptions,
) -> list[SliceChoice]:
    """Return the choices with vertebrae placed by their own curves and a spine through all.

    Nothing changes for levels that are no vertebrae, with fewer than three of those, or where the
    spine passes through fewer than ``FEWEST_SUPPORTS`` other levels that were found.
    """
    seen_mm, seen = z_mm[scores.scored], scores.values[scores.scored]
    fit = fit_spine(seen, seen_mm, [choice.level for choice in choices], options.scale_mm)
    if fit is None:
        return list(choices)
    agrees = [_is_near(choice, fit) for choice in choices]
    return [
        choice
        if choice.level not in fit.z_mm or sum(agrees) - agrees[column] < FEWEST_SUPPORTS
        else _Joint(scores, column, z_mm, options, fit).choose(choice)
        for column, choice in enumerate(choices)
    ]


def _is_near(choice: SliceChoice, fit: SpineFit) -> bool:
    expected_mm = fit.z_mm.get(choice.level)
    if choice.z_mm is None or expected_mm is None:
        return False
    return abs(choice.z_mm - expected_mm) <= AGREE_MM


@dataclass(frozen=True, eq=False)
class _Joint:
    """One level, column ``column`` of the scores, with the spine through all."""

    scores: Scores
    column: int
    z_mm: NDArray[np.float64]
    options: ChoiceOptions
    fit: SpineFit

    def choose(self, choice: SliceChoice) -> SliceChoice:
        """Return where the level is by its own curve and by the spine."""
        expected_mm = self.fit.z_mm[choice.level]
        if _is_near(choice, self.fit):
            return self._between(choice, expected_mm)
        again = self._look_near(choice.level, expected_mm)
        if again is not None and _is_near(again, self.fit):
            return self._between(again, expected_mm)
        if choice.z_mm is not None:
            why = f"where the other levels place it at about {expected_mm:.0f} mm"
            return choice.doubted(f"found at z = {choice.z_mm:.0f} mm, {why}")
        return self._alone(choice, expected_mm)

    def _between(self, choice: SliceChoice, expected_mm: float) -> SliceChoice:
        """Move a level towards where the spine has it, the farther the worse its curve fits."""
        own_mm, slope = choice.z_mm, choice.slope_ratio
        if own_mm is None or slope is None:
            return choice
        misfit_mm = curve_signs(self._curve(), own_mm, slope).misfit_mm
        share = SPINE_SD_MM**2 / (SPINE_SD_MM**2 + misfit_mm**2)
        place_mm = expected_mm + share * (own_mm - expected_mm)
        return self._at(choice, place_mm, slope, abs(own_mm - expected_mm) * (1 - share))

    def _alone(self, choice: SliceChoice, expected_mm: float) -> SliceChoice:
        """Place a level by the others, if all scores fit and it is well inside the series."""
        margin_mm = self.options.scale_mm
        inside = self.z_mm[0] + margin_mm <= expected_mm <= self.z_mm[-1] - margin_mm
        curve, reach_mm = self._curve(), NEAR_SCALES * self.options.scale_mm
        if not inside or self.fit.misfit > MOST_MISFIT:
            return choice
        if curve.local_misfit(expected_mm, reach_mm) > self.options.max_misfit:
            return choice
        slope = curve.around(expected_mm, reach_mm).slope_ratio(expected_mm)
        found = replace(choice, status=LevelStatus.FOUND, reason="")
        return self._at(found, expected_mm, slope, ALONE_MM)

    def _at(
        self, choice: SliceChoice, place_mm: float, slope: float, apart_mm: float
    ) -> SliceChoice:
        place_mm = float(np.clip(place_mm, self.z_mm[0], self.z_mm[-1]))
        signs = curve_signs(self._curve(), place_mm, slope)
        signs = replace(signs, misfit_mm=signs.misfit_mm + apart_mm)
        calibration = self.options.calibrations.get(choice.level)
        return replace(
            choice,
            z_mm=place_mm,
            slice_index=int(np.argmin(np.abs(self.z_mm - place_mm))),
            slope_ratio=slope,
            numbering_doubt=signs.numbering_doubt,
            confidence=confidence_of(signs, calibration),
            confidence_basis=confidence_basis(calibration),
        )

    def _curve(self) -> ExpectedCurve:
        seen = self.scores.scored
        values = self.scores.values[seen, self.column].astype(np.float64)
        return ExpectedCurve(values, self.z_mm[seen], self.options.scale_mm)

    def _look_near(self, level: str, expected_mm: float) -> SliceChoice | None:
        """Choose the slice of a level among those around a place; None if it is not found there."""
        z_mm, scores, options = self.z_mm, self.scores, self.options
        around = np.abs(z_mm - expected_mm) <= LOOK_MM
        inside = z_mm[0] <= expected_mm <= z_mm[-1]
        if not inside or np.count_nonzero(around & scores.scored) < FEWEST_SLICES:
            return None
        values = scores.values[:, self.column]
        part = choose_scored_slice(
            level, values[around], scores.scored[around], z_mm[around], options
        )
        if part.z_mm is None:
            return None
        offset_mm = target_to_offset(values, options.scale_mm).astype(np.float32)
        smooth_mm = offset_mm.copy()
        smooth_mm[around] = part.smoothed_offset_mm
        return replace(
            part,
            offset_mm=offset_mm,
            smoothed_offset_mm=smooth_mm,
            scored=None if scores.scored.all() else scores.scored,
        )
