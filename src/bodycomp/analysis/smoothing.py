"""Smoothing of one value per slice along the patient's z axis, in mm rather than in slices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def smooth_along_z(
    values: NDArray[np.floating], z_mm: NDArray[np.float64], sd_mm: float
) -> NDArray[np.float64]:
    """Smooth by a straight line fitted around each slice under a Gaussian weight in mm.

    A line, unlike a weighted mean, bends the curve neither at the ends of a series nor where the
    slice spacing changes: values that rise evenly come back unchanged.

    Args:
        values: (slice,), one value per slice.
        z_mm: (slice,), ascending positions, evenly spaced or not.
        sd_mm: Standard deviation of the Gaussian; 0 leaves the values as they are.

    Returns:
        (slice,) smoothed values, not limited to the range of the input.
    """
    given = np.asarray(values, dtype=np.float64)
    if sd_mm <= 0 or given.size < 2:
        return given
    away = z_mm[None, :] - z_mm[:, None]
    weight = np.exp(-0.5 * (away / sd_mm) ** 2)
    mass, first, second = (np.sum(weight * away**power, axis=1) for power in (0, 1, 2))
    mean, moment = weight @ given, (weight * away) @ given
    spread = mass * second - first**2
    # Where no neighbour lies within reach there is no line to fit: the slice keeps its value.
    lonely = spread <= 1e-6 * sd_mm**2 * mass**2
    safe = np.where(lonely, 1.0, spread)
    line: NDArray[np.float64] = np.where(lonely, given, (second * mean - first * moment) / safe)
    return line
