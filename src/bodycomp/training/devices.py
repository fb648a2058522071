"""Where a training runs: CPU or GPUs, how many processes, in which precision."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Literal

import torch

from bodycomp.errors import UsageError
from bodycomp.networks.processor import cpu_has_bfloat16
from bodycomp.training.options import RunOptions
from bodycomp.training.seats import Seat, gpu_index

log = logging.getLogger(__name__)

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

MAX_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Devices:
    """What a training runs on.

    Attributes:
        accelerator: ``cpu`` or ``cuda``.
        count: Devices of this machine, one process each.
        precision: As Lightning names it.
        num_workers: Processes that load data, per device; 0 loads in the training process.
        description: For people and the manifest.
    """

    accelerator: Literal["cpu", "cuda"]
    count: int
    precision: Precision
    num_workers: int
    description: str


def choose_devices(options: RunOptions, seat: Seat | None = None) -> Devices:
    """Choose devices, and describe them.

    Args:
        options: How many GPUs or processes; torchrun and Slurm have decided that themselves.
        seat: This process's place among those that they started.

    Raises:
        UsageError: More GPUs than there are, or options that exclude each other.
    """
    present = torch.cuda.device_count()
    if options.gpus > max(present, 1):
        raise UsageError(
            f"expected at most {present} GPUs with --gpus, as many as are there, "
            f"found {options.gpus}",
            hint="--gpus 0 trains on the CPU.",
        )
    on_gpu = options.gpus > 0 and present > 0
    if seat is not None:
        return _shared_out(options, seat, on_gpu=on_gpu)
    if on_gpu and options.processes > 1:
        raise UsageError(
            "--processes is for training without GPUs", hint="Use --gpus alone, or add --gpus 0."
        )
    count = options.gpus if on_gpu else options.processes
    return Devices(
        accelerator="cuda" if on_gpu else "cpu",
        count=count,
        precision=_precision(options.precision, on_gpu=on_gpu),
        num_workers=_workers(options.num_workers, count, on_gpu=on_gpu),
        description=_describe(count, asked=options.gpus, on_gpu=on_gpu),
    )


def _shared_out(options: RunOptions, seat: Seat, *, on_gpu: bool) -> Devices:
    """Return the device of a process that torchrun or Slurm started."""
    if options.processes > 1:
        raise UsageError(
            f"--processes is for a training that starts its processes itself; {seat.starter} has "
            f"started {seat.world}"
        )
    if on_gpu and gpu_index(seat) >= torch.cuda.device_count():
        raise UsageError(
            f"expected a GPU for each of {seat.local_world} processes on machine {seat.node}, "
            f"found {torch.cuda.device_count()}",
            hint=f"Let {seat.starter} start as many processes as there are GPUs, or add --gpus 0.",
        )
    kind = torch.cuda.get_device_name(gpu_index(seat)) if on_gpu else "CPU"
    return Devices(
        accelerator="cuda" if on_gpu else "cpu",
        count=seat.local_world,
        precision=_precision(options.precision, on_gpu=on_gpu),
        num_workers=_workers(options.num_workers, seat.local_world, on_gpu=on_gpu),
        description=f"{seat.world} processes on {seat.nodes} machine"
        f"{'s' if seat.nodes > 1 else ''} ({seat.starter}), {kind}",
    )


def _precision(name: str, *, on_gpu: bool) -> Precision:
    if name == "16" and not on_gpu:
        raise UsageError("--precision 16 needs a GPU", hint="Use 32 on the CPU.")
    if name == "auto":
        name = _fastest_precision(on_gpu=on_gpu)
    precisions: dict[str, Precision] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
    return precisions[name]


def _fastest_precision(*, on_gpu: bool) -> str:
    """Return the precision in which convolutions run fastest without losing quality."""
    if on_gpu:
        return "bf16" if torch.cuda.is_bf16_supported() else "16"
    return "bf16" if cpu_has_bfloat16() else "32"


def _workers(asked: int | None, count: int, *, on_gpu: bool) -> int:
    if asked is not None:
        return asked
    # On the CPU the training keeps every core busy, and loading takes a few ms of a slice's time.
    return min(MAX_WORKERS, max(1, (os.cpu_count() or 1) // count)) if on_gpu else 0


def _describe(count: int, *, asked: int, on_gpu: bool) -> str:
    if on_gpu:
        return f"{count} x {torch.cuda.get_device_name(0)}"
    processes = f", {count} processes" if count > 1 else ""
    reason = "as asked for" if asked == 0 else "no GPU found"
    return f"CPU, {os.cpu_count()} cores{processes} ({reason})"
