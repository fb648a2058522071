"""The trunk on an axial slice, without arms and table, and what a tape around it would read."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from bodycomp.imaging.body_mask import MATTER_ABOVE_HU

THINNEST_MM: Final = 6.0
"""Sheets thinner than this, as the shell of a table and blankets, are not the trunk."""


def trunk_mask(
    hu: NDArray[Any], labels: NDArray[np.uint8], pixel_spacing_mm: tuple[float, float]
) -> NDArray[np.bool_]:
    """Return where the trunk is on a slice, with everything that it encloses.

    Matter is what lies above -300 HU. Sheets thinner than 6 mm are taken away, and of the pieces
    the one that holds most labelled pixels (or else the largest) is the trunk. An arm or a table
    that is joined to it by more than 6 mm of matter is taken to be part of it.
    """
    matter = hu > MATTER_ABOVE_HU
    solid = opened(matter, THINNEST_MM / 2, pixel_spacing_mm)
    pieces, count = ndimage.label(solid)
    if count == 0:
        return np.zeros(hu.shape, np.bool_)
    sizes = np.bincount(pieces[labels > 0], minlength=count + 1)
    sizes[0] = 0
    if not sizes.any():
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
    trunk: NDArray[np.bool_] = ndimage.binary_fill_holes(pieces == sizes.argmax())
    return trunk


def opened(
    mask: NDArray[np.bool_], radius_mm: float, pixel_spacing_mm: tuple[float, float]
) -> NDArray[np.bool_]:
    """Return a mask without parts into which no disc of the radius fits (opening)."""
    core = ~grown(~mask, radius_mm, pixel_spacing_mm)
    return grown(core, radius_mm, pixel_spacing_mm) & mask


def grown(
    mask: NDArray[np.bool_], radius_mm: float, pixel_spacing_mm: tuple[float, float]
) -> NDArray[np.bool_]:
    """Return every pixel within a distance of a mask (dilation).

    Row by row of the disc: for the few pixels of these radii a seventh of the time that distances
    to the mask take.
    """
    row_mm, column_mm = pixel_spacing_mm
    reach, rows = int(radius_mm / row_mm), len(mask)
    across_mm = np.arange(int(radius_mm / column_mm) + 1) * column_mm
    near = np.zeros_like(mask)
    for down in range(min(reach, rows - 1) + 1):
        width = int(np.count_nonzero(np.sqrt((down * row_mm) ** 2 + across_mm**2) <= radius_mm))
        wide = _widened(mask, width - 1)
        near[down:] |= wide[: rows - down]
        near[: rows - down] |= wide[down:]
    return near


def _widened(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return every pixel within ``reach`` columns of a mask."""
    wide, size = np.pad(mask, ((0, 0), (reach, reach))), 1
    while size < 2 * reach + 1:
        step = min(size, 2 * reach + 1 - size)
        wide = wide[:, :-step] | wide[:, step:]
        size += step
    return wide


def closed(
    mask: NDArray[np.bool_], radius_mm: float, pixel_spacing_mm: tuple[float, float]
) -> NDArray[np.bool_]:
    """Return a mask with gaps filled into which no disc of the radius fits (closing)."""
    pad = int(np.ceil(radius_mm / min(pixel_spacing_mm))) + 1
    padded = np.pad(mask, pad)
    far = ~grown(padded, radius_mm, pixel_spacing_mm)
    filled = ~grown(far, radius_mm, pixel_spacing_mm) | padded
    result: NDArray[np.bool_] = filled[pad:-pad, pad:-pad]
    return result


def tape_length_cm(mask: NDArray[np.bool_], pixel_spacing_mm: tuple[float, float]) -> float | None:
    """Return the perimeter of the convex hull of a mask; None where it has no area.

    A tape that is pulled taut bridges hollows; so does the hull, and unlike the outline of the
    pixels it does not grow with their staircases.
    """
    points = outline_points_mm(mask, pixel_spacing_mm)
    if len(points) < 3 or np.linalg.matrix_rank(points - points[0]) < 2:
        return None
    return float(ConvexHull(points).area) / 10  # in the plane SciPy's "area" is the perimeter


def outline_points_mm(
    mask: NDArray[np.bool_], pixel_spacing_mm: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the mask's outermost pixels as (point, 2) positions down and across, in mm."""
    inner = ndimage.binary_erosion(mask, border_value=1)
    points: NDArray[np.float64] = np.argwhere(mask & ~inner) * np.array(pixel_spacing_mm)
    if mask.any() and not len(points):  # a mask that fills the image
        points = np.argwhere(mask) * np.array(pixel_spacing_mm)
    return points
