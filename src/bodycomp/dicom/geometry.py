"""Where the slices of a stack lie: order, gaps, tilt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.imaging.axial import slice_normal

MIN_SLICES: Final = 10
"""Fewer cannot show how the score crosses zero at a level; such stacks are timing runs, dose
reports, biopsy steps or samples."""

SAME_POSITION_MM: Final = 0.01
MAX_TILT_DEGREES: Final = 1.0
_JITTER_MM: Final = 1.0
_GAP_FACTOR: Final = 3.5
_HARMLESS_GAP_MM: Final = 15.0


def heights_mm(
    positions_mm: Sequence[Sequence[float]], orientation: Sequence[float]
) -> NDArray[np.float64]:
    """Return (slice,) positions along the slice normal, which points to the head."""
    heights: NDArray[np.float64] = np.asarray(positions_mm, np.float64) @ slice_normal(orientation)
    return heights


def largest_allowed_gap_mm(gaps_mm: NDArray[np.float64]) -> float:
    """Return the gap up to which slices count as one stack with some missing.

    Up to two missing slices are bridged, and 15 mm in thin slices: half a vertebra.
    """
    return max(_GAP_FACTOR * float(np.median(gaps_mm)), _HARMLESS_GAP_MM)


def sideways_mm(
    positions_mm: Sequence[Sequence[float]], orientation: Sequence[float]
) -> tuple[float, float]:
    """Return how far slices leave the normal through the first one, and the angle in degrees.

    With a tilted gantry the table moves at an angle to the slices' normal.
    """
    steps = np.asarray(positions_mm, np.float64) - np.asarray(positions_mm[0], np.float64)
    normal = slice_normal(orientation)
    along = steps @ normal
    aside = np.linalg.norm(steps - along[:, None] * normal, axis=1)
    extent = float(np.ptp(along))
    largest = float(aside.max())
    return largest, float(np.degrees(np.arctan2(largest, extent)))


def is_tilted(aside_mm: float, degrees: float) -> bool:
    """Whether a sideways shift is more than rounding and table sag."""
    return degrees > MAX_TILT_DEGREES and aside_mm > _JITTER_MM


def spacing_note(heights: NDArray[np.float64]) -> str | None:
    """Return a note on uneven slice distances, None when they are even within a tenth."""
    gaps = np.diff(heights)
    typical = float(np.median(gaps))
    if np.all(np.abs(gaps - typical) <= 0.1 * typical):
        return None
    return (
        f"uneven slice distances: {gaps.min():.2f} to {gaps.max():.2f} mm, median {typical:.2f} mm"
    )
