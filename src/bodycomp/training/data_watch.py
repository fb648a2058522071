"""Training files that shrink or vanish while they are mapped into memory.

Reading a mapped page that its file no longer has ends a process with SIGBUS, without a word. So
the sizes are looked at before each batch, which takes microseconds. What is left open is a file
that is cut within the milliseconds between that look and the reading of the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from bodycomp.errors import TrainingSetError


def mapped_files(dataset: Dataset[Any]) -> dict[Path, int]:
    """Return the mapped files of a data set, each with the bytes that it must have."""
    split = getattr(dataset, "split", None)
    arrays = [value for value in getattr(split, "__dict__", {}).values() if _is_mapped(value)]
    return {Path(array.filename): array.offset + array.nbytes for array in arrays}


def _is_mapped(value: object) -> bool:
    return isinstance(value, np.memmap) and value.filename is not None


def check_files(sizes: Mapping[Path, int]) -> None:
    """Check that mapped files are as long as when they were mapped.

    Raises:
        TrainingSetError: One is shorter, or gone.
    """
    for path, expected in sizes.items():
        try:
            found = path.stat().st_size
        except OSError as error:
            raise TrainingSetError(
                f"expected {path} to stay during the training, found it gone ({error.strerror})",
                hint=_PUT_BACK,
            ) from error
        if found < expected:
            raise TrainingSetError(
                f"expected {path} to keep its {expected} bytes during the training, found {found}",
                hint=_PUT_BACK,
            )


class WatchedBatches:
    """Batches of indices; the files are checked before each is handed out."""

    def __init__(self, batches: Any, sizes: Mapping[Path, int]) -> None:
        self._batches = batches
        self._sizes = sizes

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches.

        Raises:
            TrainingSetError: See ``check_files``.
        """
        for batch in self._batches:
            check_files(self._sizes)
            yield batch

    def __len__(self) -> int:
        return len(self._batches)


_PUT_BACK = (
    "The last checkpoint is whole. Put the same file back; the same command with --resume and "
    "this run's --name then goes on from there."
)
