"""Resizing of images and label masks, and the way back to the source grid.

Images are interpolated, labels never are: the function chosen decides, not an option.
Pixel centres follow the convention that both grids cover the same area, so that the centre of
target pixel i lies at source position (i + 0.5) * source / target - 0.5.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


@lru_cache(maxsize=64)
def _axis_weights(source: int, target: int) -> sp.csr_array:
    """Return (target, source) weights of a triangle filter as wide as one target pixel.

    When shrinking, the filter widens with the factor, which averages instead of skipping pixels.
    """
    scale = source / target
    support = max(scale, 1.0)
    centers = (np.arange(target) + 0.5) * scale - 0.5
    offsets = np.arange(-int(np.ceil(support)), int(np.ceil(support)) + 1)
    columns = np.rint(centers)[:, None].astype(np.int64) + offsets[None, :]
    weights = np.clip(1.0 - np.abs(columns - centers[:, None]) / support, 0.0, None)
    weights[(columns < 0) | (columns >= source)] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(target)[:, None], columns.shape)
    kept = weights > 0
    return sp.csr_array(
        (weights[kept].astype(np.float32), (rows[kept], columns[kept])), shape=(target, source)
    )


def resize_image(image: NDArray[np.generic], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize a (row, column) image to ``size`` with an antialiased linear filter.

    An image that has the size already is returned as float32, its values unchanged.
    """
    values = np.ascontiguousarray(image, dtype=np.float32)
    if values.shape == size:
        return values
    rows = _axis_weights(values.shape[0], size[0])
    columns = _axis_weights(values.shape[1], size[1])
    tall = rows @ values
    return np.ascontiguousarray((columns @ np.ascontiguousarray(tall.T)).T, dtype=np.float32)


def resize_gray(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize an 8-bit image like ``resize_image`` and round to the nearest grey level."""
    if image.shape == size:
        return image
    return np.rint(np.clip(resize_image(image, size), 0, 255)).astype(np.uint8)


def resize_labels(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize a (row, column) label mask to ``size`` by nearest neighbour."""
    if labels.shape == size:
        return labels
    rows, columns = (
        np.minimum(((np.arange(t) + 0.5) * (s / t)).astype(np.int64), s - 1)
        for s, t in zip(labels.shape, size, strict=True)
    )
    return np.ascontiguousarray(labels[rows[:, None], columns[None, :]])
