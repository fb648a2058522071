"""Closed contours -> pixels, by the even-odd rule at pixel centres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def fill_contours(
    contours: Sequence[NDArray[np.float64]], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return the pixels whose centre an odd number of the contours encloses.

    Holes, islands in holes and keyholes follow from the rule. A centre that lies on a contour
    counts if the area is on its side of larger rows or columns, so that neighbours that share a
    contour share no pixel.

    Args:
        contours: Each (point, 2), row and column in pixels, whole numbers at centres; closed
            without repeating the first point, or with.
        shape: Rows and columns; what lies beyond is cut off.
    """
    rows, columns = shape
    crossings = np.zeros((rows, columns + 1), np.uint8)
    for contour in contours:
        at_row, at_column = _crossings(contour, rows)
        first = np.clip(np.ceil(at_column), 0, columns).astype(np.intp)
        np.bitwise_xor.at(crossings, (at_row, first), np.uint8(1))
    inside: NDArray[np.bool_] = np.bitwise_xor.accumulate(crossings, axis=1)[:, :columns] == 1
    return inside


def _crossings(
    contour: NDArray[np.float64], rows: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the row and the column of every crossing of the contour with a row of centres."""
    ends = np.stack([contour, np.roll(contour, -1, axis=0)], axis=1)  # (edge, end, row or column)
    # From the smaller row up, so that an edge run both ways (a keyhole) cancels exactly.
    order = np.lexsort((ends[:, :, 1], ends[:, :, 0]), axis=1)
    ends = np.take_along_axis(ends, order[:, :, None], axis=1)
    low, high = ends[:, 0], ends[:, 1]
    first = np.clip(np.ceil(low[:, 0]), 0, rows).astype(np.intp)
    last = np.clip(np.ceil(high[:, 0]), 0, rows).astype(np.intp)  # not crossed itself
    count = last - first
    edge = np.repeat(np.arange(len(ends)), count)
    start = np.repeat(np.cumsum(count) - count, count)
    at_row = first[edge] + np.arange(len(edge)) - start
    rise = high[edge] - low[edge]
    along = (at_row - low[edge, 0]) / rise[:, 0]
    return at_row, low[edge, 1] + along * rise[:, 1]
