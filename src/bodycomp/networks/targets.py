"""Distance of a slice from a level in mm <-> value that the slice-selection network learns.

The target is a soft threshold, ``sigmoid(offset / scale)``: 0.5 at the level, towards 1 above it
(head), towards 0 below it. Far slices all look alike, so their distance need not be learnt.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from bodycomp.errors import UsageError

DEFAULT_SCALE_MM: Final = 10.0

NEAR_MM: Final = 50.0
"""Slices within this distance of a level are near it; farther ones all look alike to a network
whose target has a scale of 10 mm."""

SCORE_MARGIN: Final = 1e-6
"""Scores nearer than this to 0 or 1 are moved in: at 10 mm scale, offsets end at 138 mm."""


def offset_to_target(offset_mm: ArrayLike, scale_mm: float) -> NDArray[np.floating]:
    """Turn signed distances from a level into network targets.

    Args:
        offset_mm: Any shape; positive above the level, NaN where it was not annotated.
        scale_mm: Distance at which the target is 0.73, positive.

    Returns:
        Same shape in [0, 1], float32 for float32 input and float64 otherwise; NaN stays NaN.

    >>> offset_to_target([-10.0, 0.0, 10.0], 10.0).round(2).tolist()
    [0.27, 0.5, 0.73]
    """
    values = _floating(offset_mm)
    return np.asarray(expit(values / values.dtype.type(check_scale_mm(scale_mm))))


def target_to_offset(score: ArrayLike, scale_mm: float) -> NDArray[np.floating]:
    """Turn network scores back into signed distances from a level in mm.

    Args:
        score: Any shape in [0, 1]; clipped by ``SCORE_MARGIN``, NaN stays NaN.
        scale_mm: The scale that the network was trained with, positive.

    >>> target_to_offset([0.5, 0.75], 10.0).round(1).tolist()
    [0.0, 11.0]
    """
    values = _floating(score)
    clipped = np.clip(values, SCORE_MARGIN, 1 - SCORE_MARGIN)
    return np.asarray(logit(clipped) * values.dtype.type(check_scale_mm(scale_mm)))


def check_scale_mm(scale_mm: float) -> float:
    """Return ``scale_mm`` if it is positive and finite."""
    if not (np.isfinite(scale_mm) and scale_mm > 0):
        raise UsageError(
            f"expected a positive target scale in mm, found {scale_mm}",
            hint=f"{DEFAULT_SCALE_MM:g} mm is a good scale for vertebral levels.",
        )
    return float(scale_mm)


def _floating(values: ArrayLike) -> NDArray[np.floating]:
    """Return float32 input unchanged and everything else as float64."""
    array = np.asarray(values)
    return array if array.dtype == np.float32 else array.astype(np.float64)
