"""The edge of the field of view, where tissue is cut off, and how much of the body lies outside."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.skin_line import grown, outline_points_mm
from bodycomp.imaging.square_field import AIR_HU

BORDER_PX = 2.0
"""Pixels within this distance of the circle's edge touch it."""


def field_of_view_radius_px(hu: NDArray[np.generic]) -> float | None:
    """Return the radius of the circle around the image centre that was reconstructed, if any.

    Outside the circle scanners fill in one constant, up to the corners. A constant below -1024 HU
    is not air and is trusted; -1024 HU and above may be clipped air, so there the circle must be
    the inscribed one.
    """
    corners = np.array([hu[0, 0], hu[0, -1], hu[-1, 0], hu[-1, -1]])
    padding = corners[0]
    if np.any(corners != padding) or padding > AIR_HU + 100:
        return None
    inside = hu != padding
    if not inside.any():
        return None
    radius_px = float(center_distance_px((hu.shape[0], hu.shape[1]))[inside].max())
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
        touching |= center_distance_px(shape) > radius_px - BORDER_PX
    return touching


@lru_cache(maxsize=4)
def center_distance_px(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return how far each pixel is from the middle of the image; not to be written to."""
    rows, columns = (np.arange(count) - (count - 1) / 2 for count in shape)
    distance: NDArray[np.float64] = np.hypot(rows[:, None], columns[None, :])
    distance.flags.writeable = False
    return distance


TOUCHING_MM: Final = 5.0
"""A shorter stretch of trunk at the edge of the field of view is taken for none."""

AWAY_MM: Final = 4.0
"""Skin nearer than this to the edge of the field of view is not used: it may be the edge."""

SEEN_SHARE: Final = 0.6
"""Of the directions from the ellipse's middle, so many must show skin for an estimate."""


@dataclass(frozen=True, slots=True)
class FittedEllipse:
    """An ellipse in mm: a conic, ``a x^2 + b x y + c y^2 + d x + e y + f``, negative inside."""

    terms: tuple[float, float, float, float, float, float]

    def contains(self, y_mm: NDArray[np.float64], x_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which points lie inside."""
        a, b, c, d, e, f = self.terms
        inside: NDArray[np.bool_] = (
            a * x_mm**2 + b * x_mm * y_mm + c * y_mm**2 + d * x_mm + e * y_mm + f < 0
        )
        return inside

    @property
    def center_mm(self) -> tuple[float, float]:
        """The middle, down and across."""
        a, b, c, d, e, _ = self.terms
        x_mm, y_mm = np.linalg.solve([[2 * a, b], [b, 2 * c]], [-d, -e])
        return float(y_mm), float(x_mm)


def fit_ellipse(points_mm: NDArray[np.float64]) -> FittedEllipse | None:
    """Fit an ellipse to points (point, 2), down and across, by least squares.

    Source: Halir and Flusser, Numerically stable direct least squares fitting of ellipses, WSCG
    1998. None where the points do not make one.
    """
    if len(points_mm) < 6:
        return None
    shift, size = points_mm.mean(axis=0), float(points_mm.std()) or 1.0
    y, x = ((points_mm - shift) / size).T
    square = np.stack([x * x, x * y, y * y], axis=1)
    linear = np.stack([x, y, np.ones_like(x)], axis=1)
    try:
        back = -np.linalg.solve(linear.T @ linear, linear.T @ square)
        reduced = square.T @ square + square.T @ linear @ back
        _, vectors = np.linalg.eig(np.stack([reduced[2] / 2, -reduced[1], reduced[0] / 2]))
    except np.linalg.LinAlgError:
        return None
    vectors = np.real(vectors)
    found = 4 * vectors[0] * vectors[2] - vectors[1] ** 2
    if not np.any(found > 0):
        return None
    first = vectors[:, int(np.argmax(found))]
    a, b, c, d, e, f = np.concatenate([first, back @ first]) * np.sign(first[0])
    # Back from the scaled frame, in which the terms were well conditioned.
    y0, x0 = shift / size
    terms = (
        a / size**2,
        b / size**2,
        c / size**2,
        (d - 2 * a * x0 - b * y0) / size,
        (e - 2 * c * y0 - b * x0) / size,
        f + a * x0**2 + b * x0 * y0 + c * y0**2 - d * x0 - e * y0,
    )
    a, b, c, d, e, f = (float(term) for term in terms)
    return FittedEllipse((a, b, c, d, e, f))


@dataclass(frozen=True, eq=False)
class FieldOfView:
    """What of a slice was reconstructed.

    ``border`` (row, column) are the pixels that touch the edge; ``radius_px`` is None if the whole
    square was.
    """

    border: NDArray[np.bool_]
    radius_px: float | None
    pixel_spacing_mm: tuple[float, float]

    def touched_mm(self, trunk: NDArray[np.bool_]) -> float:
        """Return along about how many mm a trunk touches the edge."""
        along_mm = float(np.mean(self.pixel_spacing_mm))
        width_px = 1.0 if self.radius_px is None else BORDER_PX
        return np.count_nonzero(trunk & self.border) * along_mm / width_px

    def cut_off_area_cm2(self, trunk: NDArray[np.bool_]) -> float | None:
        """Return the area of the body outside, as an ellipse through the visible skin has it.

        0 if the trunk does not touch the edge; None where too little skin is seen to tell.
        """
        if self.touched_mm(trunk) < TOUCHING_MM:
            return 0.0
        near_edge = grown(self.border, AWAY_MM, self.pixel_spacing_mm)
        points = outline_points_mm(trunk, self.pixel_spacing_mm)
        rows, columns = np.rint(points / np.array(self.pixel_spacing_mm)).astype(int).T
        seen = points[~near_edge[rows, columns]]
        ellipse = fit_ellipse(seen)
        if ellipse is None or _share_of_directions(seen, ellipse) < SEEN_SHARE:
            return None
        return self._outside_cm2(ellipse)

    def _outside_cm2(self, ellipse: FittedEllipse) -> float:
        shape = (self.border.shape[0], self.border.shape[1])
        pad = max(shape) // 2
        padded = (shape[0] + 2 * pad, shape[1] + 2 * pad)
        outside = np.ones(padded, np.bool_)
        outside[pad:-pad, pad:-pad] = False
        if self.radius_px is not None:
            outside |= center_distance_px(padded) > self.radius_px
        row_mm, column_mm = self.pixel_spacing_mm
        y_mm = (np.arange(padded[0]) - pad)[:, None] * row_mm
        x_mm = (np.arange(padded[1]) - pad)[None, :] * column_mm
        pixels = np.count_nonzero(outside & ellipse.contains(y_mm, x_mm))
        return pixels * row_mm * column_mm / 100


def _share_of_directions(points_mm: NDArray[np.float64], ellipse: FittedEllipse) -> float:
    """Return in how many of 72 directions from the ellipse's middle there are points."""
    down, across = (points_mm - np.array(ellipse.center_mm)).T
    sectors = np.floor((np.arctan2(down, across) / np.pi + 1) * 36).astype(int) % 72
    return len(np.unique(sectors)) / 72
