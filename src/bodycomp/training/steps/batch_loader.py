"""Batches on their way from a data set to the device that trains on them.

Training files may shrink or vanish while they are mapped into memory. Reading a mapped page that
its file no longer has ends a process with SIGBUS, without a word. So the sizes are looked at before
each batch, which takes microseconds. What is left open is a file that is cut within the
milliseconds between that look and the reading of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from bodycomp.data.chosen_samples import ChosenSamples
from bodycomp.data.datasets import RawBatch, SampleSet
from bodycomp.errors import TrainingSetError
from bodycomp.signals import ignore_signals

PUT_BACK: Final = (
    "The last checkpoint is whole. Put the same file back; the same command with --resume and "
    "this run's --name then resumes from there."
)


class BatchReader(Dataset[RawBatch]):
    """A data set whose items are whole batches, named by the indices of their samples."""

    def __init__(self, samples: SampleSet) -> None:
        self._samples = samples

    def __getitem__(self, indices: Sequence[int]) -> RawBatch:
        return self._samples.read(indices)


def make_loader(
    samples: SampleSet, batches: Iterable[Sequence[int]], *, num_workers: int
) -> DataLoader[RawBatch]:
    """Return a loader of these batches of indices; its processes leave signals to this one."""
    return DataLoader(
        BatchReader(samples),
        batch_size=None,
        sampler=_watched(batches, mapped_files(samples)),  # with batch_size=None an item is a batch
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=ignore_signals if num_workers else None,
    )


class AheadOnDevice:
    """Batches on a GPU: the next one is copied while the network works on the current one."""

    def __init__(self, loader: DataLoader[RawBatch], device: torch.device) -> None:
        self._loader, self._device = loader, device

    def __iter__(self) -> Iterator[RawBatch]:
        """Yield the batches in their order."""
        stream: Any = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        copied: tuple[RawBatch, Any] | None = None
        for batch in self._loader:
            with torch.cuda.stream(stream):
                images, truth = (part.to(self._device, non_blocking=True) for part in batch)
                event = stream.record_event()
            if copied is not None:
                yield self._arrived(*copied)
            copied = (images, truth), event
        if copied is not None:
            yield self._arrived(*copied)

    def _arrived(self, batch: RawBatch, event: Any) -> RawBatch:
        """Let the network's stream wait for the copy, and keep the memory until it is done."""
        current = torch.cuda.current_stream(self._device)
        current.wait_event(event)
        for part in batch:
            part.record_stream(current)
        return batch


def mapped_files(dataset: Dataset[Any]) -> dict[Path, int]:
    """Return the mapped files of a data set, each with the bytes that it must have."""
    if isinstance(dataset, ChosenSamples):
        return {path: size for own in dataset.sets for path, size in mapped_files(own).items()}
    split = getattr(dataset, "split", None)
    arrays = [value for value in getattr(split, "__dict__", {}).values() if _is_mapped(value)]
    return {Path(array.filename): array.offset + array.nbytes for array in arrays}


def _is_mapped(value: object) -> bool:
    return isinstance(value, np.memmap) and value.filename is not None


def check_files(sizes: Mapping[Path, int]) -> None:
    """Check that mapped files are as long as when they were mapped."""
    for path, expected in sizes.items():
        try:
            found = path.stat().st_size
        except OSError as error:
            raise TrainingSetError(
                f"expected {path} to stay during the training, found it gone ({error.strerror})",
                hint=PUT_BACK,
            ) from error
        if found < expected:
            raise TrainingSetError(
                f"expected {path} to keep its {expected} bytes during the training, found {found}",
                hint=PUT_BACK,
            )


def _watched(
    batches: Iterable[Sequence[int]], sizes: Mapping[Path, int]
) -> Iterator[Sequence[int]]:
    """Yield the batches; the files are checked before each."""
    for batch in batches:
        check_files(sizes)
        yield batch
