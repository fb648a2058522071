"""Distances between the outlines of two regions of one slice, in millimetres.

Definitions are MONAI's, which is a reference in the tests. Its own metrics find outlines and
distances anew for each metric: 150 ms of processor time for three tissues and their union on a
slice of 512 x 512, and 68 ms when its inner functions share them, against 27 ms here.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

HAUSDORFF_PERCENTILE: Final = 95.0


def surface_pixels(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which pixels of a region lie on its surface.

    Those with at least one of their four neighbours outside the region; what lies beyond the
    image is outside, so that a region cut off by the border has a surface there.

    >>> surface_pixels(np.ones((3, 3), np.bool_)).astype(int).tolist()
    [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
    """
    surface = region.copy()
    surface[1:-1, 1:-1] &= ~(
        region[:-2, 1:-1] & region[2:, 1:-1] & region[1:-1, :-2] & region[1:-1, 2:]
    )
    return surface


def surface_distances_mm(
    mask: NDArray[np.bool_], truth: NDArray[np.bool_], pixel_spacing_mm: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distance of every surface pixel of each region to the other one's surface.

    Distances are Euclidean, between centres of pixels. Trees of the few surface pixels take a
    third of the time of distance transforms of the box around both.

    Args:
        mask: (row, column) region that was found, with at least one pixel.
        truth: True region, likewise.
        pixel_spacing_mm: Distance between rows and between columns.

    Returns:
        From mask to truth and from truth to mask, one distance for each surface pixel, in no
        particular order.
    """
    mine, theirs = surface_pixels(mask), surface_pixels(truth)
    points, other = _points_mm(mine, pixel_spacing_mm), _points_mm(theirs, pixel_spacing_mm)
    # A pixel on both surfaces is at distance 0; only the others are looked for.
    shared = int(np.count_nonzero(mine & theirs))
    return (
        _distances(_points_mm(mine & ~theirs, pixel_spacing_mm), other, shared),
        _distances(_points_mm(theirs & ~mine, pixel_spacing_mm), points, shared),
    )


def hausdorff95_mm(one_way: NDArray[np.float64], other_way: NDArray[np.float64]) -> float:
    """Return the larger of the 95th percentiles of the distances of each direction.

    Percentiles are interpolated linearly. This is the definition of MONAI and of the BraTS
    challenges; pooling both directions before taking one percentile gives smaller values.
    """
    return max(float(np.percentile(way, HAUSDORFF_PERCENTILE)) for way in (one_way, other_way))


def average_symmetric_mm(one_way: NDArray[np.float64], other_way: NDArray[np.float64]) -> float:
    """Return the mean of the distances of both directions, every surface pixel counted once."""
    return float((one_way.sum() + other_way.sum()) / (one_way.size + other_way.size))


def _points_mm(
    pixels: NDArray[np.bool_], pixel_spacing_mm: tuple[float, float]
) -> NDArray[np.float64]:
    """Return (pixel, 2) positions."""
    rows, columns = np.divmod(np.flatnonzero(pixels), pixels.shape[1])
    return np.stack([rows * pixel_spacing_mm[0], columns * pixel_spacing_mm[1]], axis=1)


def _distances(
    points_mm: NDArray[np.float64], to_mm: NDArray[np.float64], shared: int
) -> NDArray[np.float64]:
    distances = np.zeros(len(points_mm) + shared)
    if len(points_mm):
        # A tree that is asked once is not worth balancing.
        tree = cKDTree(to_mm, compact_nodes=False, balanced_tree=False)
        distances[: len(points_mm)] = tree.query(points_mm)[0]
    return distances
