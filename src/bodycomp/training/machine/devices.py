"""Where a training runs: CPU or GPUs, how many processes, in which precision."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from bodycomp.errors import UsageError
from bodycomp.networks.allocator import keep_freed_memory
from bodycomp.networks.fast import cpu_has_bfloat16
from bodycomp.networks.synchronized_norm import synchronize_norms
from bodycomp.training.machine.ranks import Ranks
from bodycomp.training.options import RunOptions

log = logging.getLogger(__name__)

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

MAX_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Devices:
    """What a training runs on.

    Attributes:
        count: Devices of this machine, one process each.
        precision: float32, or mixed with a 16-bit format.
        num_workers: Processes that load data, per device; 0 loads in the training process.
    """

    accelerator: Literal["cpu", "cuda"]
    count: int
    precision: Precision
    num_workers: int
    description: str

    def of(self, ranks: Ranks) -> torch.device:
        """Return the device of a process."""
        if self.accelerator == "cuda":
            return torch.device("cuda", ranks.gpu_index)
        return torch.device("cpu")


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """Return the context in which a network runs in this precision."""
    if precision == "32-true":
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16-mixed" else torch.float16
    return torch.autocast(device.type, dtype=dtype)


def prepare_process(
    network: nn.Module, devices: Devices, ranks: Ranks, *, deterministic: bool
) -> None:
    """Make threads, memory and layers ready for training on these devices."""
    if devices.accelerator == "cpu":
        keep_freed_memory()
        if devices.count > 1:
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // devices.count))
        if ranks.world > 1:
            synchronize_norms(network)
        return
    if deterministic:
        _repeat_exactly()
    torch.cuda.set_device(ranks.gpu_index)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = not deterministic  # all batches have one size, or two
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if ranks.world > 1:
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]


@contextmanager
def kept_threads() -> Iterator[None]:
    """Undo what is done within to the number of threads."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _repeat_exactly() -> None:
    """Choose algorithms that give the same sums every time on a GPU; a CPU gives them anyway.

    To be called before the first work on a GPU. Where an operation has no such algorithm, PyTorch
    warns and uses the one it has.
    """
    # cuBLAS would otherwise split sums by whatever workspace is free; read at its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic = True


def choose_devices(options: RunOptions, ranks: Ranks | None = None) -> Devices:
    """Choose devices, and describe them.

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
    if options.compile == "on" and not on_gpu:
        raise UsageError(
            "--compile on is for GPUs: on a CPU it takes minutes to start and gains nothing",
            hint="Leave it out; auto compiles where it pays.",
        )
    if ranks is not None and ranks.world > 1:
        return _shared_out(options, ranks, on_gpu=on_gpu)
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


def _shared_out(options: RunOptions, ranks: Ranks, *, on_gpu: bool) -> Devices:
    """Return the device of a process that torchrun or Slurm started."""
    if options.processes > 1:
        raise UsageError(
            f"--processes is for a training that starts its processes itself; {ranks.starter} has "
            f"started {ranks.world}"
        )
    if on_gpu and ranks.gpu_index >= torch.cuda.device_count():
        raise UsageError(
            f"expected a GPU for each of {ranks.local_world} processes on machine {ranks.node}, "
            f"found {torch.cuda.device_count()}",
            hint=f"Let {ranks.starter} start as many processes as there are GPUs, or add --gpus 0.",
        )
    kind = torch.cuda.get_device_name(ranks.gpu_index) if on_gpu else "CPU"
    return Devices(
        accelerator="cuda" if on_gpu else "cpu",
        count=ranks.local_world,
        precision=_precision(options.precision, on_gpu=on_gpu),
        num_workers=_workers(options.num_workers, ranks.local_world, on_gpu=on_gpu),
        description=f"{ranks.world} processes on {ranks.nodes} machine"
        f"{'s' if ranks.nodes > 1 else ''} ({ranks.starter}), {kind}",
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
