"""A perceptual hash: images that look the same have hashes that differ in few bits."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

HASH_SIDE: Final = 8
THUMBNAIL_SIDE: Final = 32
FLAT_GREY: Final = 1.0
"""An image whose parts differ by less, of 255 grey levels, shows nothing."""


def part_means(image: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return the means of side x side parts of a (row, column) image, as equal as pixels allow.

    An image of fewer rows or columns has as many parts as those.
    """
    rows, columns = (_starts(length, side) for length in image.shape)
    exact = np.int32 if image.dtype.kind in "iu" else np.float32
    tall = np.add.reduceat(image.astype(exact), rows, axis=0)
    parts = np.add.reduceat(tall, columns, axis=1)
    heights, widths = (
        np.diff(starts, append=length)
        for starts, length in zip((rows, columns), image.shape, strict=True)
    )
    means: NDArray[np.float32] = (parts / (heights[:, None] * widths)).astype(np.float32)
    return means


def perceptual_hash(small: NDArray[np.float32]) -> np.uint64:
    """Return 64 bits: which low frequencies of a thumbnail lie above their median.

    The discrete cosine transform's lowest 8 x 8 frequencies without the mean, as is usual for
    such hashes (Zauner, Implementation and benchmarking of perceptual image hash functions, 2010);
    0 for an image without content.
    """
    if small.std() < FLAT_GREY:
        return np.uint64(0)
    rows, columns = (_cosines(side) for side in small.shape)
    frequencies = (rows @ small @ columns.T).ravel()[1:]
    bits = np.append(frequencies > np.median(frequencies), np.False_)
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes(), "big"))


def _starts(length: int, side: int) -> NDArray[np.int64]:
    parts = min(length, side)
    return np.arange(parts) * length // parts


@lru_cache(maxsize=8)
def _cosines(side: int) -> NDArray[np.float32]:
    """Return the lowest rows of the discrete cosine transform of type II."""
    k, n = np.arange(HASH_SIDE)[:, None], np.arange(side)[None, :]
    return np.cos(np.pi * k * (2 * n + 1) / (2 * side)).astype(np.float32)
