"""Where a training runs: CPU or GPUs, how many processes, in which precision."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Literal

import torch

from bodycomp.errors import UsageError
from bodycomp.training.options import RunOptions

log = logging.getLogger(__name__)

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

MAX_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Devices:
    """What a training runs on.

    Attributes:
        accelerator: ``cpu`` or ``cuda``.
        count: Devices, one process each.
        precision: As Lightning names it.
        num_workers: Processes that load data, per device; 0 loads in the training process.
        description: For people and the manifest.
    """

    accelerator: Literal["cpu", "cuda"]
    count: int
    precision: Precision
    num_workers: int
    description: str


def choose_devices(options: RunOptions) -> Devices:
    """Choose devices, and say so.

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
    ask = getattr(torch.cpu, "get_capabilities", None)  # older releases lack it
    capabilities: dict[str, object] = {} if ask is None else ask()
    has_bf16 = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return "bf16" if has_bf16 else "32"


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
