"""Drawing what differs from patient to patient, apart for varied and for held-out anatomy."""

from __future__ import annotations

import numpy as np

from bodycomp.phantom.shapes import Floats, wavy

Pair = tuple[float, float]
"""A value of the patient's right and left side."""


class Draw:
    """Uniform draws in which varied and held-out patients never share a value.

    A range is cut into five equal parts; varied patients draw from the first, third and fifth,
    held-out ones from the second and fourth.
    """

    def __init__(self, rng: np.random.Generator, *, held_out: bool) -> None:
        self.rng, self.held_out = rng, held_out

    def between(self, low: float, high: float) -> float:
        """Return a value between ``low`` and ``high``."""
        part = 2 * self.rng.integers(2) + 1 if self.held_out else 2 * self.rng.integers(3)
        return float(low + (high - low) * (part + self.rng.random()) / 5.0)

    def factor(self, low: float, high: float) -> float:
        """Return a factor between ``low`` and ``high``, uniform in its logarithm."""
        return float(np.exp(self.between(np.log(low), np.log(high))))

    def pair(self, low: float, high: float, spread: float) -> Pair:
        """Return a value for each side; the sides differ by up to ``spread`` of the range."""
        middle = self.between(low, high)
        half = 0.5 * spread * (high - low)
        return (
            float(middle + self.rng.uniform(-half, half)),
            float(middle + self.rng.uniform(-half, half)),
        )

    def chance(self, share: float) -> bool:
        """Return True in this share of patients."""
        return bool(self.rng.random() < share)

    def wave(self, depth: float, waves: int = 5) -> Floats:
        """Return a random factor around 1 over the angle; held-out ones have twice the waves."""
        return wavy(self.rng, depth, 2 * waves if self.held_out else waves)
