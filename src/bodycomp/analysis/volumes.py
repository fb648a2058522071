"""Areas on slices -> volume over a range of heights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ML_PER_CM2_MM = 0.1


def slice_heights_mm(
    z_mm: NDArray[np.float64], indices: Sequence[int], low_mm: float, high_mm: float
) -> NDArray[np.float64] | None:
    """Return for how much of a range each slice stands: (index,), mm, adding up to the range.

    Between two slices the border is half-way; the first and the last slice reach to the ends of
    the range.

    Args:
        z_mm: (slice,), ascending positions of all slices of the scan.
        indices: Slices that lie in the range, ascending, without gaps.
        low_mm: Lower end of the range.
        high_mm: Upper end of the range.

    Returns:
        None where the scan does not cover the range: an end lies farther from the nearest slice
        than half the distance to the next one.

    >>> slice_heights_mm(np.arange(5) * 4.0, [1, 2, 3], 3.0, 13.0)
    array([3., 4., 3.])
    """
    if len(z_mm) < 2 or not indices:
        return None
    gaps = np.diff(z_mm)
    if low_mm < z_mm[0] - gaps[0] / 2 - 1e-6 or high_mm > z_mm[-1] + gaps[-1] / 2 + 1e-6:
        return None
    inside = z_mm[list(indices)]
    edges = np.concatenate([[low_mm], (inside[:-1] + inside[1:]) / 2, [high_mm]])
    heights: NDArray[np.float64] = np.diff(edges)
    return heights


def volume_ml(areas_cm2: NDArray[np.float64], heights_mm: NDArray[np.float64]) -> float:
    """Return the volume of slices of these areas and heights.

    >>> volume_ml(np.array([100.0, 200.0]), np.array([5.0, 5.0]))
    150.0
    """
    return float(areas_cm2 @ heights_mm) * ML_PER_CM2_MM
