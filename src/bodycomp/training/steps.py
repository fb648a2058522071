"""The steps of a training in one process, driven by Lightning."""

from __future__ import annotations

import os
from contextlib import nullcontext

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy, Strategy

from bodycomp.networks.allocator import keep_freed_memory
from bodycomp.networks.synchronised_norm import synchronise_norms
from bodycomp.training.checkpoints import SafeCheckpoints
from bodycomp.training.compiling import compile_if_it_pays
from bodycomp.training.determinism import repeat_exactly
from bodycomp.training.devices import Devices
from bodycomp.training.divergence import DivergedError, step_back, stop_at_once
from bodycomp.training.faults import explained
from bodycomp.training.launch import helpers
from bodycomp.training.loggers import make_loggers
from bodycomp.training.loop import TrainingLoop
from bodycomp.training.module import TrainingModule
from bodycomp.training.placement import Placement
from bodycomp.training.progress import EpochDisplay
from bodycomp.training.quiet import quiet_lightning
from bodycomp.training.run_folder import RunFolder
from bodycomp.training.seats import Seat, SeatEnvironment, gpu_index
from bodycomp.training.signals import interrupted

GRADIENT_NORM_LIMIT = 1.0


def run_all_steps(module: TrainingModule, folder: RunFolder, devices: Devices, seat: Seat) -> None:
    """Run all steps that are left, in this process and, if it is the first one, its helpers.

    Raises:
        RunInterruptedError: A signal ended the steps; the state is kept.
        TrainingError: The loss is no longer finite, or memory ran out.
    """
    module.prepare(rank=seat.rank, world=seat.world, num_workers=devices.num_workers)
    threads = torch.get_num_threads()
    prepare_process(module, devices, seat)
    compile_if_it_pays(module, devices)
    others = nullcontext() if seat.rank or seat.is_started_elsewhere else helpers(folder.path, seat)
    with quiet_lightning(), EpochDisplay(shown=seat.rank == 0) as display:
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
    loggers: list[Logger] = []
    if seat.rank == 0:
        loggers = make_loggers(module.options, folder, module.card.training)
    while True:
        trainer = _trainer(folder, devices, seat, loggers)
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


def prepare_process(module: TrainingModule, devices: Devices, seat: Seat) -> None:
    """Make threads, memory and layers ready for training on these devices."""
    if devices.accelerator == "cuda":
        if module.options.deterministic:
            repeat_exactly()
        torch.cuda.set_device(gpu_index(seat))
        torch.set_float32_matmul_precision("high")
        # All batches have one size, or two.
        torch.backends.cudnn.benchmark = not module.options.deterministic
        module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # With 16-bit gradients a fused AdamW would unscale them itself, after the clipping.
        module.fused_optimizer = devices.precision != "16-mixed"
    else:
        keep_freed_memory()
        if devices.count > 1:
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // devices.count))
        if seat.world > 1:
            synchronise_norms(module.network)


def seat_device(devices: Devices, seat: Seat) -> torch.device:
    """Return the device of the process on this seat."""
    if devices.accelerator == "cuda":
        return torch.device("cuda", gpu_index(seat))
    return torch.device("cpu")


def _trainer(folder: RunFolder, devices: Devices, seat: Seat, loggers: list[Logger]) -> Trainer:
    strategy: Strategy | str = "auto"
    device = seat_device(devices, seat)
    if seat.world > 1:
        backend = "nccl" if devices.accelerator == "cuda" else "gloo"
        strategy = DDPStrategy(
            parallel_devices=[device] * seat.local_world,
            process_group_backend=backend,
        )
    return Trainer(
        accelerator=devices.accelerator,
        devices=1 if device.index is None else [device.index],
        num_nodes=seat.nodes,
        strategy=strategy,
        precision=devices.precision,
        plugins=[SeatEnvironment(seat), SafeCheckpoints()],
        logger=loggers or False,
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
