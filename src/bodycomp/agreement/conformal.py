"""Ends of intervals that hold the truth in a stated share of new patients (split conformal).

A patient's cases resemble one another, so that patients count, not cases: each has the same
weight, shared by its cases, and so has the new one, of whom nothing is known (Lee, Barber &
Willett, Distribution-free inference with hierarchical data, 2023). With one case each this is split
conformal prediction (Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005). It
holds whatever the errors' distribution is, if new patients are of the same kind as those before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bodycomp.agreement.statistics import Floats

ROUNDING = 1e-9


def conformal_bounds(errors: Sequence[Floats], coverage: float) -> tuple[float, float]:
    """Return between which bounds the error of a new patient's case lies in ``coverage`` of all.

    Each tail is left out with half of the rest.

    Args:
        errors: For every patient those of its cases, at least one; signed.
        coverage: Share, 0..1.

    Returns:
        The lower and the upper bound, infinite where there are too few patients.

    >>> conformal_bounds([np.array([float(n)]) for n in range(-10, 10)], 0.9)
    (-10.0, 9.0)
    """
    tail = (1 - coverage) / 2
    upper = _bound(errors, 1 - tail)
    return -_bound([-own for own in errors], 1 - tail), upper


def _bound(errors: Sequence[Floats], share: float) -> float:
    """Return the smallest error below or at which ``share`` of the weight lies."""
    values = np.concatenate(list(errors))
    weights = np.concatenate([np.full(len(own), 1 / len(own)) for own in errors])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / (len(errors) + 1)
    enough = np.flatnonzero(reached >= share - ROUNDING)
    return float(values[order][enough[0]]) if enough.size else np.inf


def fewest_patients(coverage: float) -> int:
    """Return how many patients finite bounds need.

    >>> fewest_patients(0.9)
    19
    """
    return int(np.ceil(2 / (1 - coverage) - 1 - ROUNDING))
