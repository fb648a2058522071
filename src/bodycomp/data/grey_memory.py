"""Decoded slices in memory, for trainings without the cache on disk."""

from __future__ import annotations

import mmap
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

DEFAULT_CACHE_BYTES: Final = 2**30


class GreyMemory:
    """The first images of a data set in anonymous memory that forked processes share.

    The slot is the index itself, so that no lock is needed; unused pages cost nothing.

    Args:
        count: Images of the data set.
        size: Their rows and columns.
        limit_bytes: Memory to use at most.
    """

    def __init__(self, count: int, size: tuple[int, int], limit_bytes: int) -> None:
        pixels = size[0] * size[1]
        self._slots = min(count, limit_bytes // (pixels + 1))
        memory = mmap.mmap(-1, max(1, self._slots * (pixels + 1)))
        whole = np.frombuffer(memory, np.uint8)
        self._images = whole[: self._slots * pixels].reshape(self._slots, *size)
        self._filled = whole[self._slots * pixels :]

    def get(self, index: int) -> NDArray[np.uint8] | None:
        """Return an image that was put, or None."""
        if index >= self._slots or not self._filled[index]:
            return None
        return cast("NDArray[np.uint8]", self._images[index])

    def put(self, index: int, grey: NDArray[np.uint8]) -> None:
        """Keep an image if there is room for it."""
        if index < self._slots:
            self._images[index] = grey
            self._filled[index] = 1  # after the pixels, so that no process reads half an image
