"""How many slices a step can have: by trial steps, on the device that trains."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from bodycomp.data.datasets import Sample, network_input
from bodycomp.errors import TrainingError
from bodycomp.training.devices import Devices
from bodycomp.training.memory import available_bytes, is_out_of_memory, resident_bytes
from bodycomp.training.step_cost import StepCost, measure_step
from bodycomp.training.task import Splits, Task

log = logging.getLogger(__name__)

LARGEST: Final = 256
"""More slices per step do not train better, and make epochs of few steps."""

SHARE: Final = {"cpu": 0.7, "cuda": 0.9}
"""What a training may take of the free memory; on a CPU other programs need some, too."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A number of slices per step that memory holds, all devices together, and its cost."""

    batch_size: int
    cost: StepCost


@dataclass(frozen=True, eq=False)
class Trials:
    """Trial steps of a network on its own samples; it is left as it was."""

    task: Task
    network: nn.Module
    splits: Splits
    devices: Devices

    def cost(self, slices: int) -> StepCost:
        """Measure a step of this many slices on one device.

        Raises:
            RuntimeError, MemoryError: They do not fit.
        """
        network = self.network.to(torch.device(self.devices.accelerator))
        return measure_step(
            network, self.task.loss, self._batch(slices), precision=self.devices.precision
        )

    def try_cost(self, slices: int) -> StepCost | None:
        """Measure a step; None if memory does not hold it."""
        try:
            return self.cost(slices)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)  # they hold the step's feature maps
            return None

    def _batch(self, slices: int) -> Sample:
        samples = self.splits.train
        images, truth = samples.read([index % len(samples) for index in range(slices)])
        return network_input(images, samples.preprocessing), truth


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
        _readable(per_slice),
        _readable(budget),
    )
    return count * devices.count


def find_smaller(trials: Trials) -> Fit | None:
    """Halve the batch size until a step fits; None if not even one slice does."""
    count = trials.devices.count
    slices = -(-trials.task.options.batch_size // count) // 2
    while slices >= 1:
        cost = trials.try_cost(slices)
        if cost is not None:
            return Fit(slices * count, cost)
        slices //= 2
    return None


def too_large(trials: Trials) -> TrainingError:
    """Return the error that says that a batch does not fit, and which one would."""
    where = "the GPU's memory" if trials.devices.accelerator == "cuda" else "memory"
    asked = trials.task.options.batch_size
    fit = find_smaller(trials)
    if fit is None:
        advice = "Not even a single slice fits: close other programs, or choose a smaller network."
    else:
        advice = (
            f"A batch of {fit.batch_size} fits, as a trial showed ({_readable(fit.cost.peak_bytes)}"
            f"): start a new run with --batch_size {fit.batch_size}, or auto."
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


def _readable(count: int) -> str:
    return f"{count / 2**30:.2g} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
