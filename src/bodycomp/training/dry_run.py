"""A training tried out: data checked, network built, a few steps timed, nothing written."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import mean
from typing import Any, Final

import torch

from bodycomp.progress import Progress
from bodycomp.training.faults import explained
from bodycomp.training.fit import check_data
from bodycomp.training.folds import check_place, fold_options
from bodycomp.training.loggers import check_loggers
from bodycomp.training.machine.devices import choose_devices, kept_threads, prepare_process
from bodycomp.training.machine.memory import available_bytes, begin_peak, peak_bytes
from bodycomp.training.machine.ranks import Ranks
from bodycomp.training.options import AUTO_BATCH_SIZE, RunOptions, command_line
from bodycomp.training.progress import EpochDisplay, Work, duration, size
from bodycomp.training.run_folder import check_name, find_run_folder
from bodycomp.training.starting_point import starting_network, task_for
from bodycomp.training.steps.batch_loader import make_loader
from bodycomp.training.steps.evaluation_context import EvaluationContext
from bodycomp.training.steps.training import Training
from bodycomp.training.steps.trials import Trials, choose_batch_size

WARM_UP_STEPS: Final = 1
TIMED_STEPS: Final = 2
CHECKPOINTS: Final = 4
"""The last, the one before, the best, and the one being written."""


def dry_run(options: RunOptions, progress: bool | Progress = False) -> list[str]:
    """Check the data and try a few steps of a network that is dropped; return a report for people.

    The check is shown as in a training, as ``progress`` says.

    Raises:
        TrainingSetError, OutputError, UsageError, ModelError: As the training itself would.
        TrainingError: Memory does not hold a batch.
    """
    whole = options
    if options.folds is not None and options.fold is None:
        check_place(options.output_dir / check_name(options.name), resume=options.resume)
        options = replace(fold_options(options, 1), resume=False)
    task = task_for(options)
    check_loggers(options.loggers)
    devices = choose_devices(options)
    if options is whole:
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
        with explained(training):
            return _report(training, whole)


def _report(training: Training, asked: RunOptions) -> list[str]:
    """Try the steps of a training; return what it would take.

    ``asked`` are the options of the whole training, of which this may be one fold.
    """
    devices, sizes, per_epoch = (
        training.devices,
        training.splits.sizes(),
        training.plan.steps_per_epoch,
    )
    begin_peak(training.device)
    step_s = mean(list(_step_times(training))[WARM_UP_STEPS:])
    steps = training.last_step - training.first_step
    work = Work(steps, per_epoch, step_s, _validation_time(training))
    peak = peak_bytes(training.device)
    batch = sizes["train"] / per_epoch
    epoch_s = replace(work, steps=per_epoch).seconds()
    parameters = sum(weight.numel() for weight in training.network.parameters())
    if devices.accelerator == "cuda":
        memory = f"{size(torch.cuda.get_device_properties(0).total_memory)} on the GPU"
    else:
        memory = f"{size(peak + available_bytes())} that this machine has left"
    counts = ", ".join(f"{count} {name}" for name, count in sizes.items())
    if folds_of(asked) > 1:
        counts += f" in the first of {asked.folds} folds by {_by(training)}"
    step = f"{duration(step_s)} for {batch:.3g} images ({batch / step_s:.3g} images/s)"
    return [
        "dry run: nothing was written",
        f"  data     {counts}; {per_epoch} steps per epoch",
        f"  device   {devices.description}, precision {devices.precision}",
        f"  network  {asked.arch}, {parameters / 1e6:.3g} million parameters",
        f"  step     {step}, after one to warm up",
        f"  epoch    {duration(epoch_s)}, {duration(work.validation_s)} of it validation",
        f"  run      {_run_words(asked, work.seconds())}",
        f"  memory   {size(peak)} at its peak, of {memory}",
        f"  disk     {_disk_words(asked, _checkpoint_bytes(training))}",
        "to start:",
        f"  {command_line(asked)}",
    ]


def folds_of(options: RunOptions) -> int:
    """Return how many models a training makes, one after the other."""
    return 1 if options.folds is None or options.fold is not None else options.folds


def _run_words(options: RunOptions, whole_s: float) -> str:
    epochs, folds = options.epochs - options.first_epoch, folds_of(options)
    whole_s *= folds
    said = f"{duration(whole_s)} for {epochs} epochs" + (f" of each of {folds} folds" * (folds > 1))
    if options.max_minutes is None:
        return said
    allowed_s = 60 * options.max_minutes
    if whole_s <= allowed_s:
        return f"{said}, within the {duration(allowed_s)} allowed"
    some = allowed_s / whole_s * epochs
    return f"{duration(allowed_s)} as allowed: about {some:.3g} of {options.epochs} epochs"


def _by(training: Training) -> str:
    folds = training.splits.folds
    return "" if folds is None else folds.by


def _disk_words(options: RunOptions, checkpoint_bytes: int) -> str:
    count = CHECKPOINTS + (options.epochs if options.keep_every_epoch else 0)
    count *= folds_of(options)
    place = options.output_dir.absolute()
    above = next(folder for folder in (place, *place.parents) if folder.is_dir())
    free, needed = shutil.disk_usage(above).free, count * checkpoint_bytes
    warning = "  NOT ENOUGH" if needed > free else ""
    each = size(checkpoint_bytes)
    return f"{size(needed)} for up to {count} checkpoints of {each}; {size(free)} free{warning}"


def _checkpoint_bytes(training: Training) -> int:
    copies = 1 if training.average is None else 2
    weights = _tensor_bytes(training.network.state_dict())
    return _tensor_bytes(training.optimizer.state_dict()) + copies * weights


def _tensor_bytes(values: Any) -> int:
    """Return the bytes of all tensors in nested containers."""
    if isinstance(values, torch.Tensor):
        return values.numel() * values.element_size()
    return sum(map(_tensor_bytes, values.values())) if isinstance(values, dict) else 0


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
