"""The two trainings from options to run folder: check, prepare, train, finish."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

import bodycomp
from bodycomp.data.folds import FOLDS_NAME, keep_folds
from bodycomp.data.issues import raise_for_errors
from bodycomp.data.layout import data_digest
from bodycomp.errors import TrainingSetError
from bodycomp.json_file import write_json
from bodycomp.networks.card import ModelCard
from bodycomp.options import Record, recorded
from bodycomp.progress import Progress
from bodycomp.training.describing import described
from bodycomp.training.faults import explained
from bodycomp.training.finish import finish, summarized
from bodycomp.training.loggers import check_loggers, open_loggers
from bodycomp.training.machine.devices import Devices, choose_devices, kept_threads, prepare_process
from bodycomp.training.machine.launch import helpers, rendezvous
from bodycomp.training.machine.ranks import Ranks, leave_group
from bodycomp.training.manifest import DECODED, RunManifest, decoded_slices, recording
from bodycomp.training.options import AUTO_BATCH_SIZE, LARGE_ADAMW_RATE, RunOptions
from bodycomp.training.progress import EpochDisplay
from bodycomp.training.run_folder import (
    RunFolder,
    find_run_folder,
    read_args,
    time_stamp,
)
from bodycomp.training.starting_point import starting_network, task_for
from bodycomp.training.steps.checkpoints import restore_last
from bodycomp.training.steps.loop import TrainingLoop
from bodycomp.training.steps.training import Training, interrupted
from bodycomp.training.steps.trials import Trials, choose_batch_size
from bodycomp.training.task import CheckedData, Splits, Task
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions

log = logging.getLogger(__name__)

COMPILING_PAYS_AFTER_S: Final = 600.0
"""It takes a minute or two and may gain a tenth or more of the rest, on GPUs: on a CPU it cost 54 s
(U-Net) and 163 s (DenseNet) at the start and gained nothing."""


def train_segmentation(options: SegmentationOptions, progress: bool | Progress = False) -> Path:
    """Train a segmentation model; ``progress`` is as for ``EpochDisplay``.

    Returns:
        The run's folder; the best model lies in its ``model``.

    Raises:
        TrainingSetError: The training set breaks its format; nothing was written.
        OutputError: A run of this name exists.
        UsageError: Options cannot be used, or differ from those of the run to resume.
        ModelError: The weights to start from do not fit.
        TrainingError: The loss is no longer finite.
        RunInterruptedError: Ctrl-C or SIGTERM; the run can be resumed.
    """
    return train_run(options, progress)


def train_slice_selection(
    options: SliceSelectionOptions, progress: bool | Progress = False
) -> Path:
    """Train a slice-selection model; returns and raises as ``train_segmentation``."""
    return train_run(options, progress)


def join_training(folder: RunFolder, values: Mapping[str, Any], ranks: Ranks) -> None:
    """Take part in the training of the process that started this one; writes nothing."""
    kind = (
        SegmentationOptions if values["task"] == SegmentationOptions.task else SliceSelectionOptions
    )
    task = task_for(kind.from_dict(values))
    network, card = starting_network(task)
    splits = task.splits(card.preprocessing, decoded_slices(folder))
    devices = choose_devices(task.options)
    training = Training(task, (network, card), splits, devices, ranks)
    _train_steps(training, folder, EpochDisplay(shown=ranks.is_first))


def train_run(options: RunOptions, progress: bool | Progress = False) -> Path:
    """Train one model, of either kind; returns and raises as ``train_segmentation``."""
    task = task_for(options)
    on_gpu = task.options.gpus > 0 and torch.cuda.is_available()
    with kept_threads(), rendezvous(on_gpu=on_gpu) as ranks:
        name = ranks.gather(task.options.name or time_stamp())[0]
        display = EpochDisplay(shown=ranks.is_first, progress=progress)
        run = _prepare(task.with_options(name=name), ranks, display)
        training, folder = run.training, run.folder
        if not ranks.is_first:
            with training.signals:
                _train_steps(training, folder, display)
            return folder.path
        with (
            recording(training, run.manifest),
            summarized(training, folder),
            training.signals,
            explained(training),
        ):
            _train_steps(training, folder, display)
            finish(training, folder)
    return folder.path


def _train_steps(training: Training, folder: RunFolder, display: EpochDisplay) -> None:
    """Take all steps that are left, in this process and, if it is the first one, its helpers."""
    ranks, on_gpu = training.ranks, training.devices.accelerator == "cuda"
    _compile_if_it_pays(training)
    with (
        display,
        explained(training),
        helpers(folder.path, ranks, on_gpu=on_gpu),
        open_loggers(training, folder) as loggers,
        training.signals.deferred(),
    ):
        training.distribute()
        TrainingLoop(training, folder, loggers, display).run()
    if training.stop_signal:
        raise interrupted(training.stop_signal, f"after step {training.state.step}")


def _compile_if_it_pays(training: Training) -> None:
    """Compile the network in place, so that the names of its weights in checkpoints stay."""
    options, choice = training.options, training.options.compile
    if training.devices.accelerator == "cpu" or choice == "off":
        return
    if choice == "auto":  # how long the steps that are left would take, by trying one
        slices = len(training.plan.share(training.state.step).indices)
        steps = max(0, training.last_step - training.state.step)
        left_s = steps * training.trials.cost(slices).seconds
        if min(left_s, 60 * (options.max_minutes or math.inf)) < COMPILING_PAYS_AFTER_S:
            return
    log.info("compiling the network; the first steps take a minute or two")
    training.network.compile(dynamic=False)


@dataclass(frozen=True, eq=False)
class _Run:
    """A training that may begin."""

    training: Training
    folder: RunFolder
    manifest: RunManifest


def _prepare(task: Task, ranks: Ranks, display: EpochDisplay) -> _Run:
    """Check everything and make the run's folder; the processes agree on all of it."""
    with ranks.barrier():
        devices, folder = _places(task.options, ranks)
        network, card = starting_network(task)
        # The first process of each machine reads the data; that fills the machine's cache, too.
        own = check_data(task, card, display) if ranks.local_rank == 0 else None
    read = [found for found in ranks.gather(own) if found is not None]
    checked = own or read[0]
    with ranks.barrier():
        splits = task.splits(card.preprocessing, checked.decoded)
        digest = data_digest(task.options.data_dir, task.files(), checked.contents)
        size = _batch_size(Trials(task, network, splits, devices), folder, ranks)
    _check_same_data(ranks, digest)
    task = task.with_options(batch_size=min(ranks.gather(size)))
    facts = _facts(task.options, devices, splits, digest) | {DECODED: checked.decoded}
    card = replace(
        card,
        training=provenance(card, task.options, facts),
        description=described(card.task, splits, task.options.data_dir, digest),
    )
    with ranks.barrier():
        manifest = RunManifest(folder, facts)
        manifest.check_same_data()
        if ranks.is_first:
            folder.path.mkdir(parents=True, exist_ok=task.options.resume)
            write_json(folder.args, task.options.to_dict(), durable=True)
            if splits.folds is not None:
                keep_folds(folder.path.parent / FOLDS_NAME, splits.folds)
    ranks = ranks.with_helpers(devices.count)
    return _Run(Training(task, (network, card), splits, devices, ranks), folder, manifest)


def _places(options: RunOptions, ranks: Ranks) -> tuple[Devices, RunFolder]:
    """Return where to run and where to write, if both can be used."""
    check_loggers(options.loggers)
    devices, folder = choose_devices(options, ranks), find_run_folder(options)
    if options.resume and ranks.is_first:
        restore_last(folder)
    _warn_of_rate(options)
    _warn_of_idle_devices(options, max(devices.count, ranks.world))
    log.info("training on %s", devices.description)
    return devices, folder


def _facts(options: RunOptions, devices: Devices, splits: Splits, digest: str) -> dict[str, Any]:
    return {
        "task": options.task,
        "seed": options.seed,
        "device": devices.description,
        "precision": devices.precision,
        "data": {"sizes": splits.sizes(), "digest": digest},
        **({} if splits.folds is None else {"folds_by": splits.folds.by}),
    }


def _batch_size(trials: Trials, folder: RunFolder, ranks: Ranks) -> int:
    """Return the batch size asked for, of the run to resume, or the largest that memory holds."""
    options = trials.task.options
    if options.batch_size != AUTO_BATCH_SIZE:
        return options.batch_size
    if options.resume:
        return int(read_args(folder)["batch_size"])
    alone = replace(ranks, world=1)
    prepare_process(trials.network, trials.devices, alone, deterministic=options.deterministic)
    return choose_batch_size(trials)


def _check_same_data(ranks: Ranks, digest: str) -> None:
    """Compare the training sets that the processes see."""
    digests = ranks.gather(digest)
    other = next((rank for rank, found in enumerate(digests) if found != digests[0]), None)
    if other is not None:
        leave_group()
        raise TrainingSetError(
            f"process {other} sees another training set than process 0",
            hint="Give all machines the same DATA_DIR, on a file system that they share or copied "
            "whole to each.",
        )


def check_data(task: Task, card: ModelCard, display: EpochDisplay) -> CheckedData:
    """Check the training set and show how far."""
    with display:
        checked = task.check(
            card.preprocessing,
            lambda done, total: display.show("checking the training set", done, total),
        )
    raise_for_errors(checked.issues)
    return checked


def _warn_of_rate(options: RunOptions) -> None:
    if options.optimizer == "adamw" and options.learning_rate > LARGE_ADAMW_RATE:
        log.warning(
            "a learning rate of %g is large for AdamW, 3e-3 trains well; "
            "--optimizer sgd needs rates near 0.1",
            options.learning_rate,
        )


def _warn_of_idle_devices(options: RunOptions, count: int) -> None:
    if AUTO_BATCH_SIZE != options.batch_size < count:
        log.warning(
            "a batch of %d slices leaves some of the %d devices without work: "
            "--batch_size counts all devices together, %d would give each as many",
            options.batch_size,
            count,
            options.batch_size * count,
        )


def provenance(card: ModelCard, options: RunOptions, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model card says of its training; no paths, which may name people."""
    chosen = {"task": options.task} | recorded(options, Record.SETTING, Record.FREE)
    return {
        **card.training,
        "bodycomp": bodycomp.__version__,
        "options": chosen,
        "data": facts["data"],
        "device": facts["device"],
    }
