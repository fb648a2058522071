"""Batches on their way from a data set to the device that trains on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from bodycomp.data.datasets import RawBatch, SampleSet
from bodycomp.training.data_watch import WatchedBatches, mapped_files
from bodycomp.training.signals import ignore_signals


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
        sampler=WatchedBatches(
            batches, mapped_files(samples)
        ),  # with batch_size=None an item is a batch
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=ignore_signals if num_workers else None,
    )


class AheadOnDevice:
    """Batches on a GPU: the next one is copied while the network works on the current one.

    Args:
        loader: Gives batches in pinned memory.
        device: The GPU.
    """

    def __init__(self, loader: DataLoader[RawBatch], device: torch.device) -> None:
        self._loader, self._device = loader, device

    def __len__(self) -> int:
        return len(self._loader)

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
