"""The edge of the scanner's field of view, where tissue is cut off and areas come out too small."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bodycomp.imaging.square_field import AIR_HU

BORDER_PX = 2.0
"""Pixels within this distance of the circle's edge touch it."""


def field_of_view_radius_px(hu: NDArray[np.generic]) -> float | None:
    """Return the radius of the circle around the image centre that was reconstructed, if any.

    Outside the circle scanners fill in one constant, up to the corners. A constant below -1024 HU
    is not air and is trusted; -1024 HU and above may be clipped air, so there the circle must be
    the inscribed one.

    Args:
        hu: (row, column) slice in HU.
    """
    corners = np.array([hu[0, 0], hu[0, -1], hu[-1, 0], hu[-1, -1]])
    padding = corners[0]
    if np.any(corners != padding) or padding > AIR_HU + 100:
        return None
    inside = hu != padding
    if not inside.any():
        return None
    radius_px = float(centre_distance_px((hu.shape[0], hu.shape[1]))[inside].max())
    inscribed_px = min(hu.shape) / 2
    if padding < AIR_HU or abs(radius_px - inscribed_px) <= BORDER_PX:
        return radius_px
    return None


def border_pixels(shape: tuple[int, int], radius_px: float | None) -> NDArray[np.bool_]:
    """Return which pixels of a slice touch the edge of the field of view.

    These are the outermost pixels of the image and, with a circle, all pixels farther from the
    image centre than the radius less two pixels.

    >>> int(border_pixels((4, 4), None).sum())
    12
    """
    touching = np.ones(shape, dtype=np.bool_)
    touching[1:-1, 1:-1] = False
    if radius_px is not None:
        touching |= centre_distance_px(shape) > radius_px - BORDER_PX
    return touching


def centre_distance_px(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return how far each pixel is from the middle of the image."""
    rows, columns = (np.arange(count) - (count - 1) / 2 for count in shape)
    distance: NDArray[np.float64] = np.hypot(rows[:, None], columns[None, :])
    return distance
