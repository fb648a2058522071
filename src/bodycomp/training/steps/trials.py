"""Trial steps on the device that trains: what a step takes, and how many slices it can have."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from bodycomp.data.datasets import Sample, network_input
from bodycomp.errors import TrainingError
from bodycomp.training.machine.devices import Devices, Precision, autocast
from bodycomp.training.machine.memory import (
    available_bytes,
    begin_peak,
    is_out_of_memory,
    peak_bytes,
    resident_bytes,
)
from bodycomp.training.progress import size
from bodycomp.training.task import Splits, Task

log = logging.getLogger(__name__)

LARGEST: Final = 256
"""More slices per step do not train better, and make epochs of few steps."""

SHARE: Final = {"cpu": 0.7, "cuda": 0.9}
"""What a training may take of the free memory; on a CPU other programs need some, too."""

OPTIMIZER_COPIES: Final = 2
"""AdamW keeps two numbers per weight; SGD with momentum one."""


@dataclass(frozen=True, slots=True)
class StepCost:
    """Time and memory of a step.

    Attributes:
        seconds: Of a step once everything is warm.
        peak_bytes: Largest memory meanwhile, the optimizer's state included: of the whole process
            on a CPU, of PyTorch's allocations on a GPU.
    """

    seconds: float
    peak_bytes: int


def measure_step(
    network: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    batch: Sample,
    *,
    precision: Precision = "32-true",
) -> StepCost:
    """Do two steps without an update, and measure the second one's time and the peak of both.

    The network is left as it was, batch norm's statistics included.

    Raises:
        RuntimeError, MemoryError: Memory does not hold the batch; see ``is_out_of_memory``.
    """
    device = next(network.parameters()).device
    seconds = 0.0
    with _left_as_it_was(network):
        begin_peak(device)
        images, truth = (part.to(device) for part in batch)
        for _ in range(2):
            begin = time.perf_counter()
            with autocast(device, precision):
                logits = network(images)
            loss(logits, truth).backward()  # type: ignore[no-untyped-call]
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds = time.perf_counter() - begin
            network.zero_grad()
        peak = peak_bytes(device)
    weights = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    return StepCost(seconds, peak + OPTIMIZER_COPIES * weights)


@contextmanager
def _left_as_it_was(network: nn.Module) -> Iterator[None]:
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    gradients = [weight.grad for weight in network.parameters()]
    was_training = network.training
    network.train()
    network.zero_grad()
    try:
        yield
    finally:
        network.train(was_training)
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
        for weight, gradient in zip(network.parameters(), gradients, strict=True):
            weight.grad = gradient


@dataclass(frozen=True, eq=False)
class Trials:
    """Trial steps of a network on its own samples; it is left as it was."""

    task: Task
    network: nn.Module
    splits: Splits
    devices: Devices

    def cost(self, slices: int) -> StepCost:
        """Measure a step of this many slices on one device; raises as ``measure_step``."""
        network = self.network.to(torch.device(self.devices.accelerator))
        samples = self.splits.train
        images, truth = samples.read([index % len(samples) for index in range(slices)])
        batch = network_input(images, samples.preprocessing), truth
        return measure_step(network, self.task.loss, batch, precision=self.devices.precision)

    def try_cost(self, slices: int) -> StepCost | None:
        """Measure a step; None if memory does not hold it."""
        try:
            return self.cost(slices)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)  # they hold the step's feature maps
            return None


def choose_batch_size(trials: Trials) -> int:
    """Return the largest number of slices per step that memory holds, all devices together.

    What a slice takes is the difference between steps of one and of two. On a GPU the result is
    tried; on a CPU it is not, since a system that runs out of memory may end the process.

    Raises:
        TrainingError: Not even one slice fits.
    """
    devices = trials.devices
    one = trials.try_cost(1)
    if one is None:
        raise TrainingError(
            "memory does not hold a step of a single slice",
            hint="Close other programs, or choose a smaller network.",
        )
    two = trials.try_cost(2)
    per_slice = max(1, two.peak_bytes - one.peak_bytes) if two else one.peak_bytes
    budget = _budget_bytes(devices)
    most = max(1, 1 + (budget - one.peak_bytes) // per_slice) if two else 1
    count = _round(min(most, LARGEST, -(-trials.splits.sizes()["train"] // devices.count)))
    while devices.accelerator == "cuda" and count > 1 and trials.try_cost(count) is None:
        count = _round(count * 3 // 4)
    log.info(
        "batch size %d: a slice takes %s of the %s that the training may take",
        count * devices.count,
        size(per_slice),
        size(budget),
    )
    return count * devices.count


def too_large(trials: Trials) -> TrainingError:
    """Return the error that says that a batch does not fit, and which one would, by halving it."""
    where = "the GPU's memory" if trials.devices.accelerator == "cuda" else "memory"
    asked, count = trials.task.options.batch_size, trials.devices.count
    slices, cost = -(-asked // count) // 2, None
    while slices >= 1 and (cost := trials.try_cost(slices)) is None:
        slices //= 2
    if cost is None:
        advice = "Not even a single slice fits: close other programs, or choose a smaller network."
    else:
        advice = (
            f"A batch of {slices * count} fits, as a trial showed ({size(cost.peak_bytes)}): start "
            f"a new run with --batch_size {slices * count}, or auto."
        )
    return TrainingError(f"{where} does not hold a batch of {asked} slices", hint=advice)


def _budget_bytes(devices: Devices) -> int:
    """Return what one process of the training may take, what it has already included."""
    share = SHARE[devices.accelerator]
    if devices.accelerator == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return int(share * (free + torch.cuda.memory_reserved()))
    return resident_bytes() + int(share * available_bytes() / devices.count)


def _round(count: int) -> int:
    """Return ``count``, or the multiple of eight below it if it is larger than eight."""
    return count if count < 8 else count // 8 * 8
