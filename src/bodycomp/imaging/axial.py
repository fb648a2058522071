"""How far from axial slices may lie and still be read as axial ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_OBLIQUITY_DEGREES: Final = 25.0
"""Beyond this a cross-section is no longer an axial one: areas grow by more than a tenth."""


MAX_SHEAR_DEGREES: Final = 1.0
"""Between the way from slice to slice and what it follows: the slices' normal, or with a tilted
gantry the patient's axis. Rounding and table sag stay below."""


def slice_normal(orientation: Sequence[float]) -> NDArray[np.float64]:
    """Return the unit normal of slices with these six direction cosines, pointing headwards.

    >>> slice_normal((1, 0, 0, 0, -1, 0)).tolist()
    [0.0, 0.0, 1.0]
    """
    normal = np.cross(np.asarray(orientation[:3], float), np.asarray(orientation[3:], float))
    length = np.linalg.norm(normal)
    # Adding zero turns -0.0 into 0.0.
    unit: NDArray[np.float64] = (-normal if normal[2] < 0 else normal) / length + 0.0
    return unit


def obliquity_degrees(orientation: Sequence[float]) -> float:
    """Return the angle between slices with these six direction cosines and the axial plane.

    >>> obliquity_degrees((1, 0, 0, 0, 0, -1))
    90.0
    """
    return float(np.degrees(np.arccos(np.clip(slice_normal(orientation)[2], 0.0, 1.0))))


def tilt_note(orientation: Sequence[float]) -> str:
    """Return the note on slices of a tilted gantry."""
    return (
        f"gantry tilted by {obliquity_degrees(orientation):.1f} degrees: areas are those on the "
        "tilted slices, positions those along the table"
    )
