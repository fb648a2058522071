"""Where the slices of a stack lie: order, gaps, tilt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.dicom.file_header import FileHeader
from bodycomp.imaging.volume import MAX_SHEAR_DEGREES, slice_normal

SAME_POSITION_MM: Final = 0.01
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


def header_heights_mm(headers: Sequence[FileHeader]) -> NDArray[np.float64]:
    """Return (image,) positions along the normal of the first one, which points to the head."""
    return heights_mm(
        [header.position_mm or () for header in headers], headers[0].orientation or ()
    )


def same_place(one: FileHeader, other: FileHeader) -> bool:
    """Whether pixel (0, 0) of two images is in one place."""
    return bool(
        np.allclose(one.position_mm or (), other.position_mm or (), rtol=0, atol=SAME_POSITION_MM)
    )


@dataclass(frozen=True, slots=True)
class Stacking:
    """How slices are stacked.

    Attributes:
        direction: Unit vector in LPS along the table, headwards, if the gantry is tilted; None for
            slices that follow their normal.
        fault: Why they follow neither; empty if they do.
    """

    direction: tuple[float, float, float] | None = None
    fault: str = ""


def stacking_of(positions_mm: Sequence[Sequence[float]], orientation: Sequence[float]) -> Stacking:
    """Return how slices, sorted from feet to head, are stacked.

    With a tilted gantry the table moves along the patient's axis, at an angle to the slices'
    normal.
    """
    steps = np.asarray(positions_mm, np.float64) - np.asarray(positions_mm[0], np.float64)
    of_normal = _sideways_mm(steps, slice_normal(orientation))
    of_table = _sideways_mm(steps, np.array([0.0, 0.0, 1.0]))
    if of_normal[1] <= MAX_SHEAR_DEGREES:
        return Stacking()
    if of_table < of_normal and (of_table[0] <= _JITTER_MM or of_table[1] <= MAX_SHEAR_DEGREES):
        x, y, z = steps[-1] / np.linalg.norm(steps[-1])
        return Stacking((float(x), float(y), float(z)))
    if of_normal[0] <= _JITTER_MM:
        return Stacking()
    return Stacking(
        fault=f"slices are stacked at {of_normal[1]:.1f} degrees to their normal and "
        f"{of_table[1]:.1f} degrees to the patient's axis ({of_table[0]:.0f} mm sideways): neither "
        "a straight stack nor a tilted gantry"
    )


def _sideways_mm(steps_mm: NDArray[np.float64], axis: NDArray[np.float64]) -> tuple[float, float]:
    """Return how far positions leave an axis through the first one, and the angle in degrees."""
    along = steps_mm @ axis
    largest = float(np.linalg.norm(steps_mm - along[:, None] * axis, axis=1).max())
    return largest, float(np.degrees(np.arctan2(largest, float(np.ptp(along)))))


def spacing_note(heights: NDArray[np.float64]) -> str | None:
    """Return a note on uneven slice distances, None when they are even within a tenth."""
    gaps = np.diff(heights)
    if not gaps.size:
        return None
    typical = float(np.median(gaps))
    if np.all(np.abs(gaps - typical) <= 0.1 * typical):
        return None
    return (
        f"uneven slice distances: {gaps.min():.2f} to {gaps.max():.2f} mm, median {typical:.2f} mm"
    )
