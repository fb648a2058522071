"""How processes that torchrun or Slurm started agree before and after the steps of a training."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, TypeVar

import torch

from bodycomp.errors import BodycompError, RunInterruptedError, TrainingError, TrainingSetError
from bodycomp.training.launch import leave_group
from bodycomp.training.options import RunOptions
from bodycomp.training.seats import Seat, gpu_index, outer_seat

PATIENCE: Final = timedelta(hours=2)
"""The first process checks the training set while the others wait. One that died is noticed at
once, by its broken connection."""

T = TypeVar("T")


@contextmanager
def meeting(options: RunOptions) -> Iterator[Seat | None]:
    """Meet the other processes, if torchrun or Slurm started several; yield this one's seat.

    Raises:
        TrainingError: The others cannot be reached.
    """
    seat = outer_seat()
    if seat is None:
        yield None
        return
    if seat.rank > 0:  # the first process speaks for all
        logging.getLogger("bodycomp").setLevel(logging.ERROR)
    _connect(seat, on_gpu=options.gpus > 0 and torch.cuda.is_available())
    try:
        yield seat
    except RunInterruptedError:  # in good order, and in all processes
        leave_group()
        raise
    except RuntimeError as error:
        if "peer" not in str(error) and "Connection" not in str(error):
            raise
        raise TrainingError(
            f"process {seat.rank} of {seat.world} lost its connection to another one, which has "
            "failed or was ended",
            hint="Its own message says why. --resume goes on from the last checkpoint.",
        ) from error
    leave_group()


def _connect(seat: Seat, *, on_gpu: bool) -> None:
    if on_gpu:
        torch.cuda.set_device(gpu_index(seat))
    os.environ |= {"MASTER_ADDR": seat.address, "MASTER_PORT": str(seat.port)}
    try:
        torch.distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            rank=seat.rank,
            world_size=seat.world,
            timeout=PATIENCE,
        )
    except RuntimeError as error:
        raise TrainingError(
            f"process {seat.rank} of {seat.world} cannot reach the first one at "
            f"{seat.address}:{seat.port}: {str(error).splitlines()[0]}",
            hint="MASTER_ADDR and MASTER_PORT name another place to meet.",
        ) from error


def gather(seat: Seat | None, value: T) -> list[T]:
    """Return the values of all processes in the order of their ranks."""
    if seat is None:
        return [value]
    values: list[Any] = [None] * seat.world
    torch.distributed.all_gather_object(values, value)
    return values


@contextmanager
def all_or_none(seat: Seat | None) -> Iterator[None]:
    """Do something that may fail in one process: then it fails in all, and none waits for ever.

    Within it processes must not wait for each other.

    Raises:
        TrainingError: Another process failed. Whatever failed in this one is raised as it is,
            unless a process before it failed too and has told.
    """
    own: Exception | None = None
    try:
        yield
    except (BodycompError, OSError) as error:
        own = error
    told = gather(seat, None if own is None else str(own).splitlines()[0])
    failed = [(rank, said) for rank, said in enumerate(told) if said is not None]
    if failed and seat is not None:
        leave_group()
    if failed and (seat is None or failed[0][0] == seat.rank):
        raise own  # type: ignore[misc]  # its line is among those told
    if failed:
        rank, said = failed[0]
        raise TrainingError(f"process {seat.rank} ends because process {rank} failed: {said}")  # type: ignore[union-attr]


def check_same_data(seat: Seat | None, digest: str) -> None:
    """Compare the training sets that the processes see.

    Raises:
        TrainingSetError: They differ; every process raises it.
    """
    digests = gather(seat, digest)
    other = next((rank for rank, found in enumerate(digests) if found != digests[0]), None)
    if other is not None:
        leave_group()
        raise TrainingSetError(
            f"process {other} sees another training set than process 0",
            hint="Give all machines the same DATA_DIR, on a file system that they share or copied "
            "whole to each.",
        )
