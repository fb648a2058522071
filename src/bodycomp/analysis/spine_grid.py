"""The part of an axial slice around the spine on square pixels, and the vertebral body in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bodycomp.analysis.skin_line import closed

GRID_MM: Final = 1.25
SQUARE_MM: Final = (GRID_MM, GRID_MM)
_SMOOTHING_MM: Final = 1.2
_BONE_HU: Final = 150.0
_MARROW_ABOVE_MUSCLE_HU: Final = 8.0
_GAPS_IN_BONE_MM: Final = 5.0
_SMALLEST_BODY_MM: Final = 11.0
"""Half depth; aortas that are as dense as bone are thinner."""
_FARTHEST_BODY_MM: Final = 30.0
"""From the middle of the trunk, towards either side."""

Mask = NDArray[np.bool_]
Millimeters = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Disc:
    """A disc on the grid of the search: row and column of its middle, and its radius."""

    row: int
    column: int
    radius_mm: float


def resampled(
    hu: NDArray[Any],
    first_px: NDArray[np.float64],
    size: NDArray[np.int_],
    spacing_mm: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return a smoothed part of a slice on square pixels of 1.25 mm; air where it has none."""
    step_px = GRID_MM / spacing_mm
    margin = 8
    low = np.clip(np.floor(first_px).astype(int) - margin, 0, None)
    high = np.ceil(first_px + size * step_px).astype(int) + margin
    part = hu[low[0] : high[0], low[1] : high[1]].astype(np.float32)
    smooth = ndimage.gaussian_filter(part, _SMOOTHING_MM / spacing_mm, truncate=3.0)
    grid: NDArray[np.float32] = ndimage.affine_transform(
        smooth, step_px, first_px - low, tuple(size), order=1, cval=-1000.0
    )
    return grid


def bone_of(grid: NDArray[np.float32], muscle_hu: float) -> Mask:
    """Return bone with the marrow that it encloses, but neither canal nor muscle between ribs."""
    bone = closed(grid > _BONE_HU, _GAPS_IN_BONE_MM / 2, SQUARE_MM)
    holes, count = ndimage.label(ndimage.binary_fill_holes(bone) & ~bone)
    if count:
        density = ndimage.mean(grid, holes, np.arange(1, count + 1))
        dense = np.flatnonzero(density > muscle_hu + _MARROW_ABOVE_MUSCLE_HU) + 1
        bone |= np.isin(holes, dense)
    return bone


def vertebral_body(grid: NDArray[np.float32], depth_mm: Millimeters) -> Disc | None:
    """Return the largest disc that fits into bone, rather behind than ahead."""
    rows, columns = offsets_mm(grid.shape, (len(grid), (grid.shape[1] - 1) / 2), SQUARE_MM)
    candidate = (np.abs(columns) <= _FARTHEST_BODY_MM) & (depth_mm >= _SMALLEST_BODY_MM)
    # Rows are negative: the farther ahead of the back, the larger a disc must be.
    rank = np.where(candidate, depth_mm + 0.2 * rows, -np.inf)
    row, column = np.unravel_index(int(np.argmax(rank)), rank.shape)
    if not candidate[row, column]:
        return None
    return Disc(int(row), int(column), float(depth_mm[row, column]))


def depths_mm(mask: Mask) -> Millimeters:
    """Return how deep each pixel of the grid lies inside a mask."""
    depth: Millimeters = ndimage.distance_transform_edt(mask, sampling=GRID_MM)
    return depth


def offsets_mm(
    shape: tuple[int, ...], center_px: Any, spacing_mm: Any
) -> tuple[Millimeters, Millimeters]:
    """Return (row, 1) and (1, column) distances from a point; towards back and left > 0."""
    rows, columns = (
        (np.arange(count) - middle) * mm
        for count, middle, mm in zip(shape, center_px, spacing_mm, strict=True)
    )
    return rows[:, None], columns[None, :]
