"""Samples of a ``.npy`` file on their way into batches.

A mapped array is convenient, but every page that was touched counts as this process's memory, and a
file that is cut short meanwhile ends the process. Where samples lie one after another in the
machine's own byte order, they are read from the file instead.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.pieces import read_into
from bodycomp.errors import TrainingSetError


class SampleFile:
    """Reads samples of one array; to be made anew in each process that is not forked.

    Args:
        array: (N, ...) samples, usually mapped.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        self._descriptor: int | None = None
        self._start = 0
        if (
            isinstance(array, np.memmap)
            and array.filename is not None
            and array.flags.c_contiguous
            and array.dtype.isnative
        ):
            self._descriptor = os.open(array.filename, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            self._start = array.offset

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def read(self, indices: Sequence[int], out: NDArray[Any]) -> None:
        """Copy samples into ``out``, contiguous, of the array's dtype and sample size.

        Raises:
            TrainingSetError: The file cannot be read any more.
        """
        targets = out.reshape(len(indices), *self._array.shape[1:])
        for index, target in zip(indices, targets, strict=True):
            if self._descriptor is None:
                target[...] = self._array[index]
                continue
            try:
                read_into(self._descriptor, self._start + index * target.nbytes, target)
            except OSError as error:
                path = Path(str(getattr(self._array, "filename", "")))
                raise TrainingSetError(
                    f"{path}: sample {index} could be read when the training began, and cannot be "
                    f"any more ({error})",
                    hint="Put the file back as it was; --resume then goes on.",
                ) from error
