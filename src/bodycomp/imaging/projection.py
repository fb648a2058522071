"""A series seen from the front and from the side, as on two radiographs of its bones.

A vertebra can hardly be told from one axial slice; in a view of the whole, a spine is counted from
its ribs and its pelvis, as from projections of the volume (Belharbi et al., Comput Biol Med 87,
2017; Kanavati et al., arXiv:1811.09244, 2018). In maximum projections, contrast agent and metal are
brightest; here each ray holds the share of its pixels that is bone. Soft tissue is left out: organs
lie higher in one person than in another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.imaging.window import Window

BONE_HU: Final = 100.0
"""Below is no bone; from here to the window's upper end a pixel counts more and more."""

CHANNELS: Final = 2
"""Bone from the front, and from the side."""

ROW_MM: Final = 3.0
"""Distance of a projection's rows along the body."""


def slice_profiles(image: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    """Return how one slice looks from the front and from the side.

    Args:
        image: (side, side), windowed to 0..1; rows from front to back of a supine patient.
        window: The window.

    Returns:
        (``CHANNELS``, side) in 0..1.
    """
    low = np.float32((BONE_HU - window.low_hu) / window.width_hu)
    bone = np.clip((image - low) / (1 - low), 0, 1)
    return np.stack([bone.mean(0), bone.mean(1)])


def row_heights(z_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the heights of a projection's rows, (row,), between ascending slices at ``z_mm``."""
    count = int(np.floor((z_mm[-1] - z_mm[0]) / ROW_MM + 1e-6)) + 1
    return np.asarray(z_mm[0] + ROW_MM * np.arange(count))


def project(
    profile: Callable[[int], NDArray[np.float32]], z_mm: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return a series' projections: (``CHANNELS``, row, side).

    Args:
        profile: Slice index -> its profiles; asked for slices ``ROW_MM`` apart, if they lie denser.
        z_mm: (slice,), ascending.
    """
    heights = row_heights(z_mm)
    chosen = (
        np.unique(np.abs(z_mm[None, :] - heights[:, None]).argmin(axis=1))
        if len(z_mm) > 1
        else np.zeros(1, np.intp)
    )
    seen = np.stack([profile(int(index)) for index in chosen])  # (slice, channel, side)
    place = np.interp(heights, z_mm[chosen], np.arange(len(chosen), dtype=np.float64))
    below = np.minimum(place.astype(np.intp), max(len(chosen) - 2, 0))
    above = np.minimum(below + 1, len(chosen) - 1)
    share = (place - below).astype(np.float32)[:, None, None]
    rows = seen[below] * (1 - share) + seen[above] * share
    return np.ascontiguousarray(rows.transpose(1, 0, 2))


def at_heights(
    values: NDArray[np.floating], row_z_mm: NDArray[np.float64], z_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (slice, level) values at ``z_mm`` of those of rows, (row, level)."""
    return np.stack([np.interp(z_mm, row_z_mm, column) for column in values.T], axis=1)
