"""How well a level at some position would explain the scores of a whole series.

A slice at height z scores ``sigmoid((z - level) / scale)``: 0 far below the level, 1 far above.
The misfit of a position is the area between the scores and that curve, in mm: a clean curve
shifted by d mm has a misfit of d mm, and a false lobe of d mm adds d mm wherever it lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodycomp.networks.targets import offset_to_target

GRID_STEP_MM = 1.0
FINE_STEP_MM = 0.1
SLOPE_RATIOS = 2.0 ** np.linspace(-3, 3, 25)


def slice_extents_mm(z_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the stretch of z in mm that each of at least two slices stands for."""
    gaps = np.diff(z_mm)
    extents: NDArray[np.float64] = (np.append(gaps[0], gaps) + np.append(gaps, gaps[-1])) / 2
    return extents


@dataclass(frozen=True, eq=False)
class ExpectedCurve:
    """The scores (slice,) of one level, 0..1, at two or more ascending ``z_mm``.

    ``scale_mm`` is that of the target that the network was trained on.
    """

    score: NDArray[np.float64]
    z_mm: NDArray[np.float64]
    scale_mm: float

    def misfit_mm(self, positions_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the misfit of each position: (position,), mm, 0 for a perfect curve."""
        return np.abs(self._difference(positions_mm)) @ slice_extents_mm(self.z_mm)

    def local_misfit(
        self, position_mm: float, reach_mm: float, at_mm: float | None = None
    ) -> float:
        """Return the mean difference of the scores near ``position_mm`` or ``at_mm``, 0..1."""
        center_mm = position_mm if at_mm is None else at_mm
        near = np.abs(self.z_mm - center_mm) <= reach_mm
        if not near.any():
            return 1.0
        weight = slice_extents_mm(self.z_mm)[near]
        difference = np.abs(self._difference(np.array([position_mm]))[0, near])
        return float(np.average(difference, weights=weight))

    def candidate_positions(self, beyond_mm: float) -> NDArray[np.float64]:
        """Return positions to try, from ``beyond_mm`` below the series to as far above it."""
        low, high = self.z_mm[0] - beyond_mm, self.z_mm[-1] + beyond_mm
        return np.linspace(low, high, int(np.ceil((high - low) / GRID_STEP_MM)) + 1)

    def refine(self, position_mm: float, reach_mm: float) -> float:
        """Return the best position inside the series within ``reach_mm`` of the given one."""
        low = max(position_mm - reach_mm, float(self.z_mm[0]))
        high = min(position_mm + reach_mm, float(self.z_mm[-1]))
        # A little is added so that rounding of the ends does not change the number of steps.
        steps = np.arange(int((high - low) / FINE_STEP_MM + 1e-3) + 1, dtype=np.float64)
        tries: NDArray[np.float64] = low + FINE_STEP_MM * steps
        return float(tries[np.argmin(self.misfit_mm(tries))])

    def around(self, position_mm: float, reach_mm: float) -> ExpectedCurve:
        """Return the curve of the slices within a distance, or all if fewer than two are there."""
        near = np.abs(self.z_mm - position_mm) <= reach_mm
        if np.count_nonzero(near) < 2:
            return self
        return ExpectedCurve(self.score[near], self.z_mm[near], self.scale_mm)

    def slope_ratio(self, position_mm: float) -> float:
        """Return how steep the scores are against the expected curve at a position: 1 is as steep.

        Of curves of 1/8 to 8 times the slope, within half a scale of the position, the one with
        the least misfit decides.
        """
        half_mm = self.scale_mm / 2
        positions = np.linspace(position_mm - half_mm, position_mm + half_mm, 11)
        misfits = [
            ExpectedCurve(self.score, self.z_mm, self.scale_mm / ratio).misfit_mm(positions).min()
            for ratio in SLOPE_RATIOS
        ]
        return float(SLOPE_RATIOS[int(np.argmin(misfits))])

    def _difference(self, positions_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        away_mm = self.z_mm[None, :] - positions_mm[:, None]  # (position, slice)
        return self.score[None, :] - np.asarray(offset_to_target(away_mm, self.scale_mm))
