"""Pieces of large files read straight into arrays, without mapping the file."""

from __future__ import annotations

import os
from typing import Any

from numpy.typing import NDArray


def read_into(descriptor: int, offset: int, target: NDArray[Any]) -> None:
    """Fill a contiguous array from a place of an open file; threads may share the descriptor.

    Raises:
        OSError: The file cannot be read, or ends too early.
    """
    view = target.data.cast("B")
    while view:
        done = _read_at(descriptor, view, offset)
        if done == 0:
            raise OSError(f"the file ends {len(view)} bytes too early")
        view, offset = view[done:], offset + done


if hasattr(os, "preadv"):

    def _read_at(descriptor: int, view: memoryview, offset: int) -> int:
        return os.preadv(descriptor, [view], offset)

else:  # Windows: one reader at a time
    import threading

    _lock = threading.Lock()

    def _read_at(descriptor: int, view: memoryview, offset: int) -> int:
        with _lock:
            os.lseek(descriptor, offset, os.SEEK_SET)
            data = os.read(descriptor, len(view))
        view[: len(data)] = data
        return len(data)
