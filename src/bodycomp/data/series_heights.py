"""Where the slices and the levels of a series lie, from its offsets alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def series_heights_mm(
    offsets_mm: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the heights of a series' slices and levels, on a scale of their own.

    Args:
        offsets_mm: (slice, level), NaN where not annotated.

    Returns:
        (slice,) heights, NaN for slices without offsets; (level,) heights, NaN for levels without.

    >>> series_heights_mm(np.array([[-4.0, 30.0], [np.nan, 34.0]]))
    (array([30., 34.]), array([34.,  0.]))
    """
    offsets_mm = offsets_mm.astype(np.float64)
    known = ~np.isnan(offsets_mm)
    places = np.full(offsets_mm.shape[1], np.nan)
    if not known.any():
        return np.full(len(offsets_mm), np.nan), places
    reference = int(np.argmax(known.sum(axis=0)))
    heights: NDArray[np.float64] = np.array(offsets_mm[:, reference], dtype=np.float64)
    for column in range(offsets_mm.shape[1]):
        both = known[:, column] & ~np.isnan(heights)
        missing = known[:, column] & np.isnan(heights)
        if both.any() and missing.any():
            shift = float(np.median(heights[both] - offsets_mm[both, column]))
            heights[missing] = offsets_mm[missing, column] + shift
    for column in range(offsets_mm.shape[1]):
        rows = known[:, column] & ~np.isnan(heights)
        if rows.any():
            places[column] = float(np.median((heights - offsets_mm[:, column])[rows]))
    return heights, places


def ascending_heights_mm(
    heights_mm: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return which slices have a height, from feet to head, the first of several, and theirs.

    >>> ascending_heights_mm(np.array([34.0, np.nan, 30.0, 34.0]))
    (array([2, 0]), array([30., 34.]))
    """
    z_mm, first = np.unique(heights_mm, return_index=True)  # NaN, for no height, comes last
    known = ~np.isnan(z_mm)
    return first[known], z_mm[known]
