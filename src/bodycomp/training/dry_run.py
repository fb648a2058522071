"""A training tried out: data checked, network built, a few steps timed, nothing written."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from bodycomp.errors import TrainingError
from bodycomp.progress import Progress
from bodycomp.training.batch_loader import make_loader
from bodycomp.training.batch_size import Trials, choose_batch_size
from bodycomp.training.command import command_line
from bodycomp.training.compiling import check_compile
from bodycomp.training.devices import Devices, choose_devices, kept_threads, prepare_process
from bodycomp.training.evaluation_context import EvaluationContext
from bodycomp.training.fit import check_data
from bodycomp.training.loggers import check_loggers
from bodycomp.training.memory import (
    available_bytes,
    is_out_of_memory,
    peak_resident_bytes,
    reset_peak,
)
from bodycomp.training.options import AUTO_BATCH_SIZE, RunOptions
from bodycomp.training.progress import EpochDisplay
from bodycomp.training.ranks import Ranks
from bodycomp.training.run_folder import find_run_folder
from bodycomp.training.starting_point import starting_network, task_for
from bodycomp.training.time_remaining import Work, duration, size
from bodycomp.training.training import Training

WARM_UP_STEPS: Final = 1
TIMED_STEPS: Final = 2
CHECKPOINTS: Final = 4
"""The last, the one before, the best, and the one being written."""


@dataclass(frozen=True, eq=False)
class DryRun:
    """What a training would take.

    Attributes:
        options: As given.
        devices: What it would run on.
        sizes: Samples by split.
        parameters: Numbers that are learnt.
        work: Steps and times of the whole run.
        peak_bytes: Largest memory meanwhile, of the GPU if there is one.
        checkpoint_bytes: One checkpoint.
    """

    options: RunOptions
    devices: Devices
    sizes: dict[str, int]
    parameters: int
    work: Work
    peak_bytes: int
    checkpoint_bytes: int

    def lines(self) -> list[str]:
        """Return a report for people."""
        options, work = self.options, self.work
        batch = self.sizes["train"] / work.steps_per_epoch
        epoch_s = replace(work, steps=work.steps_per_epoch).seconds()
        sizes = ", ".join(f"{count} {name}" for name, count in self.sizes.items())
        step = f"{duration(work.step_s)} for {batch:.3g} images"
        return [
            "dry run: nothing was written",
            f"  data     {sizes}; {work.steps_per_epoch} steps per epoch",
            f"  device   {self.devices.description}, precision {self.devices.precision}",
            f"  network  {options.arch}, {self.parameters / 1e6:.3g} million parameters",
            f"  step     {step} ({batch / work.step_s:.3g} images/s), after one to warm up",
            f"  epoch    {duration(epoch_s)}, {duration(work.validation_s)} of it validation",
            f"  run      {self._run_words()}",
            f"  memory   {size(self.peak_bytes)} at its peak, of {self._memory_words()}",
            f"  disk     {self._disk_words()}",
            "to start:",
            f"  {command_line(options)}",
        ]

    def _run_words(self) -> str:
        options, whole_s = self.options, self.work.seconds()
        said = f"{duration(whole_s)} for {options.epochs - options.first_epoch} epochs"
        if options.max_minutes is None:
            return said
        allowed_s = 60 * options.max_minutes
        if whole_s <= allowed_s:
            return f"{said}, within the {duration(allowed_s)} allowed"
        epochs = allowed_s / whole_s * (options.epochs - options.first_epoch)
        return f"{duration(allowed_s)} as allowed: about {epochs:.3g} of {options.epochs} epochs"

    def _memory_words(self) -> str:
        if self.devices.accelerator == "cuda":
            return f"{size(torch.cuda.get_device_properties(0).total_memory)} on the GPU"
        return f"{size(self.peak_bytes + available_bytes())} that this machine has left"

    def _disk_words(self) -> str:
        kept = self.options.epochs if self.options.keep_every_epoch else 0
        count = CHECKPOINTS + kept
        free = shutil.disk_usage(_existing(self.options.output_dir)).free
        needed = count * self.checkpoint_bytes
        warning = "  NOT ENOUGH" if needed > free else ""
        return (
            f"{size(needed)} for up to {count} checkpoints of {size(self.checkpoint_bytes)}; "
            f"{size(free)} free{warning}"
        )


def dry_run(options: RunOptions, progress: bool | Progress = False) -> DryRun:
    """Check the data, shown as in a training, and try a few steps of a network that is dropped.

    Raises:
        TrainingSetError, OutputError, UsageError, ModelError: As the training itself would.
        TrainingError: Memory does not hold a batch.
    """
    task = task_for(options)
    check_loggers(options.loggers)
    devices = choose_devices(options)
    check_compile(options.compile, devices)
    find_run_folder(options)
    network, card = starting_network(task)
    checked = check_data(task, card, EpochDisplay(shown=True, progress=progress))
    splits = task.splits(card.preprocessing, checked.decoded)
    with kept_threads():
        if options.batch_size == AUTO_BATCH_SIZE:
            prepare_process(network, devices, Ranks(), deterministic=options.deterministic)
            found = choose_batch_size(Trials(task, network, splits, devices))
            task = task.with_options(batch_size=found)
        training = Training(task, (network, card), splits, devices, Ranks())
        training.plan = replace(training.plan, world=devices.count)
        try:
            return _measure(training)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise TrainingError(
                f"memory does not hold a batch of {task.options.batch_size} slices",
                hint="Use a smaller --batch_size.",
            ) from error


def _measure(training: Training) -> DryRun:
    device = training.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        reset_peak()
    laps_s = list(_step_times(training))
    validation_s = _validation_time(training)
    on_gpu = device.type == "cuda"
    peak = torch.cuda.max_memory_allocated() if on_gpu else peak_resident_bytes()
    steps = training.last_step - training.first_step
    timed = laps_s[WARM_UP_STEPS:]
    return DryRun(
        options=training.options,
        devices=training.devices,
        sizes=training.splits.sizes(),
        parameters=sum(weight.numel() for weight in training.network.parameters()),
        work=Work(steps, training.plan.steps_per_epoch, sum(timed) / len(timed), validation_s),
        peak_bytes=peak,
        checkpoint_bytes=_tensor_bytes(training.optimizer.state_dict())
        + _tensor_bytes(training.network.state_dict()) * (1 if training.average is None else 2),
    )


def _step_times(training: Training) -> Iterator[float]:
    """Yield the time of each step: loading, variation, network, optimizer."""
    first = training.state.step
    shares = training.plan.shares(first, first + WARM_UP_STEPS + TIMED_STEPS)
    loader = make_loader(training.splits.train, shares, num_workers=training.devices.num_workers)
    training.network.train()
    begin = time.perf_counter()
    for batch in loader:
        training.step(batch)
        _wait(training.device)
        now = time.perf_counter()
        yield now - begin
        begin = now


def _validation_time(training: Training) -> float:
    """Return the time of a whole validation, by that of one batch."""
    devices, count = training.devices, training.splits.sizes()["val"]
    shown = min(count, max(1, training.options.batch_size // devices.count))
    context = EvaluationContext(training.device, devices.precision, shown)
    begin = time.perf_counter()
    for _ in context.predictions(training.network, training.splits.val, range(shown)):
        _wait(training.device)
    return (time.perf_counter() - begin) * count / shown / devices.count


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _tensor_bytes(values: Any) -> int:
    """Return the bytes of all tensors in nested containers."""
    if isinstance(values, torch.Tensor):
        return values.numel() * values.element_size()
    if isinstance(values, dict):
        return sum(_tensor_bytes(value) for value in values.values())
    return 0


def _existing(path: Path) -> Path:
    """Return the nearest folder above that is there."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
