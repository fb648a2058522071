"""Offsets along a series as a slice-selection network may score them, with the level's true place.

The network's error has three parts: one that is the same for neighbouring slices (anatomy that
misleads it), one of each slice alone (noise), and now and then a stretch that looks like quite
another height (a lobe). Its slope may be wrong, and the series may end before the level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d


@dataclass(frozen=True, eq=False)
class SimulatedCurve:
    """One series: positions, offsets as scored, and where the level is."""

    z_mm: NDArray[np.float64]
    offset_mm: NDArray[np.float64]
    level_mm: float
    scale_mm: float

    @property
    def is_inside(self) -> bool:
        """Whether the series covers the level."""
        return bool(self.z_mm[0] <= self.level_mm <= self.z_mm[-1])


def simulate_curve(rng: np.random.Generator) -> SimulatedCurve:
    """Draw a series of 120..900 mm, slices 0.8..6 mm apart, with a level inside or up to 200 mm
    beyond an end."""
    spacing_mm = float(rng.choice([0.8, 1.0, 1.25, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0]))
    length_mm = float(rng.uniform(120, 900))
    z = np.arange(0, length_mm, spacing_mm) + rng.uniform(-1000, 1000)
    if rng.random() < 0.25:
        beyond = rng.uniform(0, 200)
        level = z[0] - beyond if rng.random() < 0.5 else z[-1] + beyond
    else:
        level = rng.uniform(z[0], z[-1])
    scale = float(rng.choice([10.0, 10.0, 10.0, 5.0, 15.0]))
    offset = (z - level) * float(np.exp(rng.normal(0, 0.3)))
    offset = offset + _smooth_error(rng, z.size, spacing_mm) * float(rng.gamma(1.5, 4.0))
    offset += rng.normal(0, float(rng.gamma(1.2, 2.5)), z.size)
    for _ in range(int(rng.choice([0, 0, 0, 1, 2]))):
        middle, half = rng.uniform(z[0], z[-1]), rng.uniform(3, 35)
        offset[np.abs(z - middle) < half] = rng.choice([-1, 1]) * rng.uniform(5, 50)
    if rng.random() < 0.1:  # a network that does not know this part of the body
        offset = offset * 0.1 + rng.normal(0, 3, z.size)
    return SimulatedCurve(z, offset, float(level), scale)


def _smooth_error(rng: np.random.Generator, count: int, spacing_mm: float) -> NDArray[np.float64]:
    """Noise of unit spread that is alike over some 5..40 mm."""
    error = gaussian_filter1d(rng.normal(0, 1, count + 200), rng.uniform(5, 40) / spacing_mm)
    middle = error[100 : 100 + count]
    return middle / max(float(error.std()), 1e-9)
