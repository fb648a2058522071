"""How networks are run on a split: device, precision, this process's part of the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from bodycomp.data.batches import network_input
from bodycomp.data.datasets import SampleSet
from bodycomp.training.batch_loader import make_loader
from bodycomp.training.devices import Devices, Precision

Sample = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a network runs, and which samples are this process's.

    Attributes:
        device: The network's device.
        precision: As in training.
        batch_size: Samples in memory at once.
        num_workers: Processes that load them.
        rank: Number of this process.
        world: Number of processes.
        progress: Told the samples done and all samples of this process.
        interrupted: Asked between batches; True ends the run with ``EvaluationStopped``.
    """

    device: torch.device
    precision: Precision
    batch_size: int
    num_workers: int = 0
    rank: int = 0
    world: int = 1
    progress: Callable[[int, int], None] = field(default=lambda done, total: None)
    interrupted: Callable[[], bool] = field(default=lambda: False)

    def predictions(
        self, network: nn.Module, dataset: SampleSet, chosen: Sequence[int] | None = None
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield indices, logits (float32) and truth of this process's samples, batch by batch.

        The network is in evaluation mode meanwhile.

        Args:
            network: On the device.
            dataset: A split.
            chosen: Indices of the samples to run; None for all.

        Raises:
            EvaluationStopped: ``interrupted`` said so.
        """
        shown = range(len(dataset)) if chosen is None else chosen
        own = list(shown[self.rank :: self.world])
        batches = [own[at : at + self.batch_size] for at in range(0, len(own), self.batch_size)]
        loader = make_loader(dataset, batches, num_workers=self.num_workers)
        was_training = network.training
        network.eval()
        done = 0
        try:
            for indices, (images, truth) in zip(batches, loader, strict=True):
                if self.interrupted():
                    raise EvaluationStopped
                raw = images.to(self.device, non_blocking=True)
                with torch.no_grad(), autocast(self.device, self.precision):
                    logits = network(network_input(raw, dataset.preprocessing)).float()
                yield torch.tensor(indices), logits, truth.to(self.device, non_blocking=True)
                done += len(indices)
                self.progress(done, len(own))
        finally:
            network.train(was_training)

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of ``values`` over all processes, on the CPU."""
        if self.world > 1:
            values = values.to(self.device)
            torch.distributed.all_reduce(values)
        return values.cpu()

    def sum_values(self, values: list[float]) -> list[float]:
        """Return the sums of plain numbers over all processes."""
        return list(self.total(torch.tensor(values, dtype=torch.float64)).tolist())


class EvaluationStopped(Exception):  # noqa: N818 - not an error, and caught by the training loop
    """An evaluation ended early because a signal asked for it."""


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """Return the context in which a network runs in this precision."""
    if precision == "32-true":
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16-mixed" else torch.float16
    return torch.autocast(device.type, dtype=dtype)


def placement_after_training(devices: Devices, batch_size: int) -> Placement:
    """Return where the main process alone evaluates when the steps are over."""
    return Placement(
        device=torch.device(devices.accelerator),
        precision=devices.precision,
        batch_size=batch_size,
        num_workers=devices.num_workers,
    )
