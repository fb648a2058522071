"""The two trainings from options to run folder: check, prepare, drive Lightning, finish."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, Strategy

import bodycomp
from bodycomp.data.validate import raise_for_errors
from bodycomp.errors import RunInterruptedError
from bodycomp.networks.allocator import keep_freed_memory
from bodycomp.networks.card import ModelCard
from bodycomp.training.batch_size import choose_batch_size
from bodycomp.training.checkpoints import SafeCheckpoints, restore_last
from bodycomp.training.determinism import repeat_exactly
from bodycomp.training.devices import Devices, choose_devices
from bodycomp.training.divergence import DivergedError, step_back, stop_at_once
from bodycomp.training.divergence import facts as divergence_facts
from bodycomp.training.faults import explained
from bodycomp.training.finish import finish
from bodycomp.training.launch import OneMachine, Seat, first_seat, helpers
from bodycomp.training.loop import TrainingLoop
from bodycomp.training.manifest import DECODED, Manifest, data_digest, decoded_slices
from bodycomp.training.module import TrainingModule
from bodycomp.training.options import (
    AUTO_BATCH_SIZE,
    LARGE_ADAMW_RATE,
    RunOptions,
    SegmentationOptions,
    SliceSelectionOptions,
)
from bodycomp.training.placement import Placement, placement_after_training
from bodycomp.training.progress import EpochDisplay
from bodycomp.training.quiet import quiet_lightning
from bodycomp.training.recipes import (
    CheckedData,
    Recipe,
    SegmentationRecipe,
    SliceSelectionRecipe,
)
from bodycomp.training.run_folder import RunFolder, find_run_folder, read_args, write_json
from bodycomp.training.signals import SignalWatch, interrupted
from bodycomp.training.starting_point import starting_network

log = logging.getLogger(__name__)

GRADIENT_NORM_LIMIT = 1.0
NOT_OF_THE_MODEL = frozenset(
    {"data_dir", "output_dir", "name", "load_weights", "resume", "cache_dir", "cache_gb"}
)
"""Options that a model card leaves out."""


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
    return _train(SegmentationRecipe(options))


def train_slice_selection(options: SliceSelectionOptions) -> Path:
    """Train a slice-selection model; returns and raises as ``train_segmentation``."""
    return _train(SliceSelectionRecipe(options))


def join_training(folder: RunFolder, values: Mapping[str, Any], seat: Seat) -> None:
    """Take part in another process's training; writes nothing."""
    recipe: Recipe = (
        SegmentationRecipe(SegmentationOptions.from_dict(values))
        if values["task"] == SegmentationOptions.task
        else SliceSelectionRecipe(SliceSelectionOptions.from_dict(values))
    )
    network, card = starting_network(recipe)
    splits = recipe.splits(card.preprocessing, decoded_slices(folder))
    module = recipe.module(network, card, splits, recipe.options)
    with SignalWatch(ignore=True) as module.signals:
        _fit(module, folder, choose_devices(recipe.options), seat)


def _train(recipe: Recipe) -> Path:
    options = recipe.options
    devices, folder = choose_devices(options), find_run_folder(options)
    if options.resume:
        restore_last(folder)
    _warn_of_rate(options)
    _warn_of_idle_devices(options, devices)
    log.info("training on %s", devices.description)
    network, card = starting_network(recipe)
    checked = _check_data(recipe, card)
    splits = recipe.splits(card.preprocessing, checked.decoded)
    if options.batch_size == AUTO_BATCH_SIZE:
        trial = recipe.module(network, card, splits, replace(options, batch_size=1))
        options = replace(options, batch_size=_find_batch_size(trial, devices, folder))
    digest = data_digest(options.data_dir, recipe.files(), checked.contents)
    facts = {
        "task": options.task,
        "seed": options.seed,
        "device": devices.description,
        "precision": devices.precision,
        "data": {"sizes": splits.sizes(), "digest": digest},
        DECODED: checked.decoded,
    }
    manifest = Manifest(folder, facts)
    manifest.check_same_data()
    card = replace(card, training=provenance(card, options, facts))
    module = recipe.module(network, card, splits, options)
    folder.path.mkdir(parents=True, exist_ok=options.resume)
    write_json(folder.args, options.to_dict())
    with SignalWatch() as module.signals, _reported(module, manifest), explained(module, devices):
        _fit(module, folder, devices, first_seat(devices.count))
        finish(module, folder, placement_after_training(devices, options.batch_size))
    log.info("best epoch %s; model in %s", module.state.best_epoch, folder.model)
    return folder.path


def _find_batch_size(trial: TrainingModule, devices: Devices, folder: RunFolder) -> int:
    """Return the batch size of the run that goes on, or the largest one that memory holds."""
    if trial.options.resume:
        return int(read_args(folder)["batch_size"])
    _prepare_process(trial, devices)
    return choose_batch_size(trial, devices)


def _check_data(recipe: Recipe, card: ModelCard) -> CheckedData:
    with EpochDisplay(shown=True) as display:
        checked = recipe.check(
            card.preprocessing,
            lambda done, total: display.show("checking the training set", done, total),
        )
    raise_for_errors(checked.findings)
    return checked


def _warn_of_rate(options: RunOptions) -> None:
    if options.optimizer == "adamw" and options.learning_rate > LARGE_ADAMW_RATE:
        log.warning(
            "a learning rate of %g is large for AdamW, 3e-3 trains well; "
            "--optimizer sgd wants rates near 0.1",
            options.learning_rate,
        )


def _warn_of_idle_devices(options: RunOptions, devices: Devices) -> None:
    if AUTO_BATCH_SIZE != options.batch_size < devices.count:
        log.warning(
            "a batch of %d slices leaves some of the %d devices without work: "
            "--batch_size counts all devices together, %d would give each as many",
            options.batch_size,
            devices.count,
            options.batch_size * devices.count,
        )


def provenance(card: ModelCard, options: RunOptions, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model card tells of its training; no paths, which may name people."""
    chosen = {key: value for key, value in options.to_dict().items() if key not in NOT_OF_THE_MODEL}
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


def _fit(module: TrainingModule, folder: RunFolder, devices: Devices, seat: Seat) -> None:
    """Run all steps that are left, in this process and, if it is the first one, its helpers.

    Raises:
        RunInterruptedError: A signal ended the steps; the state is kept.
        TrainingError: The loss is no longer finite, or memory ran out.
    """
    module.prepare(rank=seat.rank, world=seat.world, num_workers=devices.num_workers)
    threads = torch.get_num_threads()
    _prepare_process(module, devices)
    with quiet_lightning(), EpochDisplay(shown=seat.rank == 0) as display:
        others = helpers(folder.path, seat) if seat.rank == 0 else nullcontext()
        try:
            with explained(module, devices), others:
                _run_steps(module, folder, devices, seat, display)
        finally:
            module.signals.stop_deferring()
            torch.set_num_threads(threads)
    if module.stop_signal:
        raise interrupted(module.stop_signal, f"after step {module.state.step}")


def _run_steps(
    module: TrainingModule, folder: RunFolder, devices: Devices, seat: Seat, display: EpochDisplay
) -> None:
    """Run all steps that are left; after a divergence, from an earlier state."""
    checkpoint = folder.last_checkpoint if module.options.resume else None
    while True:
        trainer = _trainer(folder, devices, seat)
        placement = Placement(
            device=trainer.strategy.root_device,
            precision=devices.precision,
            batch_size=max(1, module.options.batch_size // seat.world),
            num_workers=devices.num_workers,
            rank=seat.rank,
            world=seat.world,
        )
        trainer.callbacks.append(TrainingLoop(module, folder, placement, display))  # type: ignore[attr-defined]
        try:
            trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
        except DivergedError as error:
            if module.options.on_divergence == "stop":
                raise stop_at_once(error) from error
            checkpoint = step_back(module.state, folder, error)
        else:
            return


def _prepare_process(module: TrainingModule, devices: Devices) -> None:
    if devices.accelerator == "cuda":
        if module.options.deterministic:
            repeat_exactly()
        torch.set_float32_matmul_precision("high")
        module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    else:
        keep_freed_memory()
        if devices.count > 1:
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // devices.count))


def _trainer(folder: RunFolder, devices: Devices, seat: Seat) -> Trainer:
    strategy: Strategy | str = "auto"
    if seat.world > 1:
        backend = "nccl" if devices.accelerator == "cuda" else "gloo"
        strategy = DDPStrategy(process_group_backend=backend)
    return Trainer(
        accelerator=devices.accelerator,
        devices=devices.count,
        strategy=strategy,
        precision=devices.precision,
        plugins=[OneMachine(seat), SafeCheckpoints()],
        logger=TensorBoardLogger(folder.path, "tensorboard", "") if seat.rank == 0 else False,
        max_epochs=1,  # one long epoch of all steps; see TrainingModule
        gradient_clip_val=GRADIENT_NORM_LIMIT,
        use_distributed_sampler=False,  # BatchPlan shares the samples out
        sync_batchnorm=devices.accelerator == "cuda" and seat.world > 1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder.path,
    )
