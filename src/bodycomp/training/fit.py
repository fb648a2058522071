"""The two trainings from options to run folder: check, prepare, drive Lightning, finish."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import bodycomp
from bodycomp.data.issues import raise_for_errors
from bodycomp.data.set_digest import data_digest
from bodycomp.errors import RunInterruptedError
from bodycomp.json_file import write_json
from bodycomp.networks.card import ModelCard
from bodycomp.options import Record, recorded
from bodycomp.training.batch_size import choose_batch_size
from bodycomp.training.checkpoints import restore_last
from bodycomp.training.compiling import check_compile
from bodycomp.training.describing import described
from bodycomp.training.devices import Devices, choose_devices
from bodycomp.training.divergence import facts as divergence_facts
from bodycomp.training.faults import explained
from bodycomp.training.finish import finish
from bodycomp.training.launch import first_seat
from bodycomp.training.loggers import check_loggers
from bodycomp.training.manifest import DECODED, Manifest, decoded_slices
from bodycomp.training.meeting import all_or_none, check_same_data, gather, meeting
from bodycomp.training.module import TrainingModule
from bodycomp.training.options import AUTO_BATCH_SIZE, LARGE_ADAMW_RATE, RunOptions
from bodycomp.training.placement import placement_after_training
from bodycomp.training.progress import EpochDisplay
from bodycomp.training.recipes import CheckedData, Recipe, recipe_for
from bodycomp.training.run_folder import (
    RunFolder,
    find_run_folder,
    read_args,
    time_stamp,
)
from bodycomp.training.seats import Seat
from bodycomp.training.signals import SignalWatch
from bodycomp.training.starting_point import starting_network
from bodycomp.training.steps import prepare_process, run_all_steps
from bodycomp.training.summary import summarised
from bodycomp.training.task import Splits
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions

log = logging.getLogger(__name__)


def train_segmentation(options: SegmentationOptions) -> Path:
    """Train a segmentation model.

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
    return _train(recipe_for(options))


def train_slice_selection(options: SliceSelectionOptions) -> Path:
    """Train a slice-selection model; returns and raises as ``train_segmentation``."""
    return _train(recipe_for(options))


def join_training(folder: RunFolder, values: Mapping[str, Any], seat: Seat) -> None:
    """Take part in another process's training; writes nothing."""
    kind = (
        SegmentationOptions if values["task"] == SegmentationOptions.task else SliceSelectionOptions
    )
    recipe = recipe_for(kind.from_dict(values))
    network, card = starting_network(recipe)
    splits = recipe.splits(card.preprocessing, decoded_slices(folder))
    module = recipe.module(network, card, splits, recipe.options)
    with SignalWatch(ignore=True) as module.signals:
        run_all_steps(module, folder, choose_devices(recipe.options), seat)


def _train(recipe: Recipe) -> Path:
    with meeting(recipe.options) as seat:
        return _train_together(_named(recipe, seat), seat)


def _named(recipe: Recipe, seat: Seat | None) -> Recipe:
    """Return the recipe with the name that all processes use."""
    name = gather(seat, recipe.options.name or time_stamp())[0]
    return recipe.with_name(name)


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A training that may begin."""

    options: RunOptions
    devices: Devices
    folder: RunFolder
    module: TrainingModule
    manifest: Manifest


def _train_together(recipe: Recipe, seat: Seat | None) -> Path:
    """Train in this process and those that it starts, or as one of those that others started.

    Args:
        recipe: With a name.
        seat: Among the processes that torchrun or Slurm started; None without them.
    """
    run = _prepare(recipe, seat)
    module, folder, devices = run.module, run.folder, run.devices
    with SignalWatch() as module.signals:
        if seat is not None and seat.rank > 0:
            run_all_steps(module, folder, devices, seat)
            return folder.path
        with (
            _reported(module, run.manifest),
            summarised(module, folder),
            explained(module, devices),
        ):
            run_all_steps(module, folder, devices, seat or first_seat(devices.count))
            finish(module, folder, placement_after_training(devices, run.options.batch_size))
    return folder.path


def _prepare(recipe: Recipe, seat: Seat | None) -> _Prepared:
    """Check everything and make the run's folder; the processes agree on all of it."""
    options = recipe.options
    is_first = seat is None or seat.rank == 0
    with all_or_none(seat):
        devices, folder = _places(options, seat)
        network, card = starting_network(recipe)
        # The first process of each machine reads the data; that fills the machine's cache, too.
        is_reader = seat is None or seat.local_rank == 0
        own = check_data(recipe, card, shown=is_first) if is_reader else None
    read = [found for found in gather(seat, own) if found is not None]
    checked = own or read[0]
    with all_or_none(seat):
        splits = recipe.splits(card.preprocessing, checked.decoded)
        digest = data_digest(options.data_dir, recipe.files(), checked.contents)
        if options.batch_size == AUTO_BATCH_SIZE:
            trial = recipe.module(network, card, splits, replace(options, batch_size=1))
            options = replace(options, batch_size=_find_batch_size(trial, devices, folder))
    check_same_data(seat, digest)
    options = replace(options, batch_size=min(gather(seat, int(options.batch_size))))
    facts = _facts(options, devices, splits, digest) | {DECODED: checked.decoded}
    card = replace(
        card,
        training=provenance(card, options, facts),
        description=described(card.task, splits, options.data_dir, digest),
    )
    with all_or_none(seat):
        manifest = Manifest(folder, facts)
        manifest.check_same_data()
        if is_first:
            folder.path.mkdir(parents=True, exist_ok=options.resume)
            write_json(folder.args, options.to_dict(), durable=True)
    module = recipe.module(network, card, splits, options)
    return _Prepared(options, devices, folder, module, manifest)


def _places(options: RunOptions, seat: Seat | None) -> tuple[Devices, RunFolder]:
    """Return where to run and where to write, if both can be used."""
    check_loggers(options)
    devices, folder = choose_devices(options, seat), find_run_folder(options)
    check_compile(options.compile, devices)
    if options.resume and (seat is None or seat.rank == 0):
        restore_last(folder)
    _warn_of_rate(options)
    _warn_of_idle_devices(options, devices.count if seat is None else seat.world)
    log.info("training on %s", devices.description)
    return devices, folder


def _facts(options: RunOptions, devices: Devices, splits: Splits, digest: str) -> dict[str, Any]:
    return {
        "task": options.task,
        "seed": options.seed,
        "device": devices.description,
        "precision": devices.precision,
        "data": {"sizes": splits.sizes(), "digest": digest},
    }


def _find_batch_size(trial: TrainingModule, devices: Devices, folder: RunFolder) -> int:
    """Return the batch size of the run that goes on, or the largest one that memory holds."""
    if trial.options.resume:
        return int(read_args(folder)["batch_size"])
    prepare_process(trial, devices, Seat())
    return choose_batch_size(trial, devices)


def check_data(recipe: Recipe, card: ModelCard, *, shown: bool = True) -> CheckedData:
    """Check the training set and show how far.

    Raises:
        TrainingSetError: The training set breaks its format.
    """
    with EpochDisplay(shown=shown) as display:
        checked = recipe.check(
            card.preprocessing,
            lambda done, total: display.show("checking the training set", done, total),
        )
    raise_for_errors(checked.issues)
    return checked


def _warn_of_rate(options: RunOptions) -> None:
    if options.optimizer == "adamw" and options.learning_rate > LARGE_ADAMW_RATE:
        log.warning(
            "a learning rate of %g is large for AdamW, 3e-3 trains well; "
            "--optimizer sgd wants rates near 0.1",
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
    """Return what a model card tells of its training; no paths, which may name people."""
    chosen = {"task": options.task} | recorded(options, Record.SETTING, Record.FREE)
    return {
        **card.training,
        "bodycomp": bodycomp.__version__,
        "options": chosen,
        "data": facts["data"],
        "device": facts["device"],
    }


@contextmanager
def _reported(module: TrainingModule, manifest: Manifest) -> Iterator[None]:
    """Write the manifest when the work begins and however it ends."""
    manifest.write("running")
    try:
        yield
    except BaseException as error:
        state = "interrupted" if isinstance(error, RunInterruptedError) else "failed"
        manifest.write(state, **_outcome(module), reason=str(error))
        raise
    manifest.write("finished", **_outcome(module), reason="")


def _outcome(module: TrainingModule) -> dict[str, Any]:
    state = module.state
    return {
        "wall_s": round(state.elapsed_s, 1),
        "steps": state.step,
        "epochs_judged": len(state.history),
        "best_epoch": state.best_epoch,
        "best_score": None if state.best_epoch is None else state.best_score,
        "peak_gpu_memory_bytes": torch.cuda.max_memory_allocated(),
        **divergence_facts(state),
    }
