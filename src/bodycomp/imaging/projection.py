"""A series as four radiographs of its bones: the whole from front and side, and the spine alone.

A vertebra can hardly be told from one axial slice; in a view of the whole, a spine is counted from
its ribs and its pelvis, as from projections of the volume (Belharbi et al., Comput Biol Med 87,
2017; Kanavati et al., arXiv:1811.09244, 2018). There, other bones hide the discs. So the spine is
followed, and a slab around it straightened, as in curved planar reformation (Kanitsar et al., IEEE
Visualization 2002): each vertebra and each disc is seen, at the same columns in every row. Each
ray holds the share of its pixels that is bone; in maximum projections, contrast agent and metal
would be brightest. Soft tissue is left out: organs lie higher in one person than in another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from bodycomp.imaging.resize import resize_image
from bodycomp.imaging.window import Window

BONE_HU: Final = 100.0
"""Below is no bone; from here to the window's upper end a pixel counts more and more."""

VIEWS: Final = ("front", "side", "sagittal", "coronal")
"""Bones of the body from the front and the side; slabs of the straightened spine."""

WHOLE: Final = 2
"""The first so many views are of the whole body."""

SIDE: Final = 128
"""Columns of the bones of a slice; slices of others are resized."""

COLUMNS: Final = 64
"""Columns of a view: all of the body, or half of it around the spine."""

ROW_MM: Final = 3.0
"""Distance of a projection's rows along the body."""

SAGITTAL_HALF: Final = 6
"""A sagittal slab has so many columns on either side of the spine's middle: some 35 mm in all."""

CORONAL_HALF: Final = 8

BROAD: Final = (9, 17)
"""Columns that a spine is broad, from the front and from the side with its processes."""

BRIGHTEST: Final = 0.35
"""Rays of more bone attract a spine no more: pelvis, metal, arms at the sides."""

BEND_COST: Final = (0.03, 0.06)
"""What a spine that moves by a column in a row must gain in bone, from the front and the side."""


def bone_share(image: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    """Return how much of each pixel is bone, (``SIDE``, ``SIDE``) in 0..1.

    Args:
        image: (side, side), windowed to 0..1; rows from front to back of a supine patient.
        window: The window.
    """
    low = np.float32((BONE_HU - window.low_hu) / window.width_hu)
    return resize_image(np.clip((image - low) / (1 - low), 0, 1), (SIDE, SIDE))


def row_heights(z_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the heights of a projection's rows, (row,), between ascending slices at ``z_mm``."""
    count = int(np.floor((z_mm[-1] - z_mm[0]) / ROW_MM + 1e-6)) + 1
    return np.asarray(z_mm[0] + ROW_MM * np.arange(count))


def project(
    bones: Callable[[int], NDArray[np.float32]], z_mm: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return a series' ``VIEWS``: (view, row, ``COLUMNS``) in 0..1.

    Args:
        bones: Slice index -> its ``bone_share``; asked for slices ``ROW_MM`` apart, if they lie
            denser.
        z_mm: (slice,), ascending.
    """
    rows = _rows(bones, z_mm)  # (row, depth, column)
    front, side = rows.mean(axis=1), rows.mean(axis=2)
    middle = _follow(np.minimum(front, BRIGHTEST), BROAD[0], BEND_COST[0])
    sagittal = _slab(rows.transpose(0, 2, 1), middle, SAGITTAL_HALF)
    depth = _follow(sagittal, BROAD[1], BEND_COST[1])
    coronal = _slab(rows, depth, CORONAL_HALF)
    halved = [whole.reshape(len(rows), COLUMNS, -1).mean(axis=2) for whole in (front, side)]
    return np.stack([*halved, _straight(sagittal, depth), _straight(coronal, middle)])


def at_heights(
    values: NDArray[np.floating], row_z_mm: NDArray[np.float64], z_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (slice, level) values at ``z_mm`` of those of rows, (row, level)."""
    return np.stack([np.interp(z_mm, row_z_mm, column) for column in values.T], axis=1)


def _rows(
    bones: Callable[[int], NDArray[np.float32]], z_mm: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the bones of rows, (row, ``SIDE``, ``SIDE``), between those of slices."""
    heights = row_heights(z_mm)
    chosen = (
        np.unique(np.abs(z_mm[None, :] - heights[:, None]).argmin(axis=1))
        if len(z_mm) > 1
        else np.zeros(1, np.intp)
    )
    seen = np.stack([bones(int(index)) for index in chosen])
    place = np.interp(heights, z_mm[chosen], np.arange(len(chosen), dtype=np.float64))
    below = np.minimum(place.astype(np.intp), max(len(chosen) - 2, 0))
    above = np.minimum(below + 1, len(chosen) - 1)
    share = (place - below).astype(np.float32)[:, None, None]
    return np.asarray(seen[below] * (1 - share) + seen[above] * share, dtype=np.float32)


def _follow(view: NDArray[np.float32], broad: int, cost: float) -> NDArray[np.intp]:
    """Return the column of each row, (row,), on the way with most bone from end to end.

    It moves by a column in a row at most, and each time costs ``cost``.
    """
    score = uniform_filter1d(view, broad, axis=1)
    came = np.zeros(score.shape, np.intp)
    columns, best = np.arange(score.shape[1]), score[0]
    for row in range(1, len(score)):
        beside = np.pad(best, 1, constant_values=-np.inf)
        ways = np.stack([beside[:-2] - cost, beside[1:-1], beside[2:] - cost])
        chosen = ways.argmax(axis=0)
        came[row], best = columns + chosen - 1, ways.max(axis=0) + score[row]
    way = np.zeros(len(score), np.intp)
    way[-1] = best.argmax()
    for row in range(len(score) - 1, 0, -1):
        way[row - 1] = came[row, way[row]]
    return way


def _slab(rows: NDArray[np.float32], middle: NDArray[np.intp], half: int) -> NDArray[np.float32]:
    """Return the mean over ``half`` on either side of the middle, (row, last axis of ``rows``)."""
    around = np.clip(middle[:, None] + np.arange(-half, half + 1), 0, rows.shape[1] - 1)
    slab: NDArray[np.float32] = np.take_along_axis(rows, around[:, :, None], axis=1).mean(axis=1)
    return slab


def _straight(view: NDArray[np.float32], middle: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return ``COLUMNS`` of each row around the spine's middle; beyond the image is no bone."""
    half = COLUMNS // 2
    padded = np.pad(view, ((0, 0), (half, half)))
    around = middle[:, None] + np.arange(COLUMNS)
    return np.take_along_axis(padded, around, axis=1)
