"""The processes of a training: how they meet, and those that this program starts itself."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import torch

from bodycomp.errors import RunInterruptedError, TrainingError
from bodycomp.training.machine.ranks import Ranks, leave_group, outer_ranks
from bodycomp.training.steps.checkpoints import RESUME_HINT

HELPER_MODULE: Final = "bodycomp.training.helper"

PATIENCE: Final = timedelta(hours=2)
"""The first process checks the training set while the others wait. One that died is noticed at
once, by its broken connection."""

GRACE_S: Final = 60.0
"""A process left alone by a dead one may wait for it for ever; it is ended after this time."""

LAST_WORDS_S: Final = 5.0
"""Time for a process to end after its connections broke."""


@contextmanager
def rendezvous(*, on_gpu: bool) -> Iterator[Ranks]:
    """Meet the other processes, if torchrun or Slurm started several; yield this one's rank.

    Raises:
        TrainingError: The others cannot be reached.
    """
    ranks = outer_ranks()
    if ranks.world == 1:
        yield ranks
        return
    if not ranks.is_first:  # the first process speaks for all
        logging.getLogger("bodycomp").setLevel(logging.ERROR)
    connect(ranks, on_gpu=on_gpu)
    try:
        yield ranks
    except RunInterruptedError:  # in good order, and in all processes
        leave_group()
        raise
    except RuntimeError as error:
        if "peer" not in str(error) and "Connection" not in str(error):
            raise
        raise TrainingError(
            f"process {ranks.rank} of {ranks.world} lost its connection to another one, which has "
            "failed or was ended",
            hint="Its own message says why. --resume continues from the last checkpoint.",
        ) from error
    leave_group()


def connect(ranks: Ranks, *, on_gpu: bool) -> None:
    """Join the group of processes."""
    if on_gpu:
        torch.cuda.set_device(ranks.gpu_index)
    address = f"[{ranks.address}]" if ":" in ranks.address else ranks.address
    try:
        torch.distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            init_method=f"tcp://{address}:{ranks.port}",
            rank=ranks.rank,
            world_size=ranks.world,
            timeout=PATIENCE,
        )
    except RuntimeError as error:
        raise TrainingError(
            f"process {ranks.rank} of {ranks.world} cannot reach the first one at "
            f"{ranks.address}:{ranks.port}: {str(error).splitlines()[0]}",
            hint="MASTER_ADDR and MASTER_PORT name another place for the rendezvous.",
        ) from error


@contextmanager
def helpers(run_folder: Path, ranks: Ranks, *, on_gpu: bool) -> Iterator[None]:
    """Run within a group of processes that this program starts itself, if there are to be several.

    If a helper fails, this process does not wait for it.

    Raises:
        TrainingError: A helper failed.
    """
    if ranks.world == 1 or ranks.starter != "bodycomp":
        yield
        return
    started = _start(run_folder, ranks) if ranks.is_first else []
    over = threading.Event()
    threading.Thread(target=_watch_helpers, args=(started, over), daemon=True).start()
    wait_s = 0.0
    try:
        connect(ranks, on_gpu=on_gpu)
        yield
        wait_s = GRACE_S
    except RuntimeError as error:
        failed = [process for process in started if _has_failed(process, wait_s=LAST_WORDS_S)]
        if not failed:
            raise
        raise TrainingError(_how_it_ended(failed[0]), hint=RESUME_HINT) from error
    finally:
        over.set()
        for process in started:
            _end(process, wait_s=wait_s)
        leave_group()


def _start(run_folder: Path, ranks: Ranks) -> list[subprocess.Popen[bytes]]:
    return [
        subprocess.Popen(  # noqa: S603 - this interpreter, this package
            [
                *(sys.executable, "-m", HELPER_MODULE, str(run_folder)),
                *(str(rank), str(ranks.world), str(ranks.port)),
            ],
            start_new_session=True,  # Ctrl-C is this process's affair
        )
        for rank in range(1, ranks.world)
    ]


def _has_failed(process: subprocess.Popen[bytes], *, wait_s: float) -> bool:
    try:
        return process.wait(wait_s) != 0
    except subprocess.TimeoutExpired:
        return False


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    if code < 0:
        return f"another process of this training was ended by {signal.Signals(-code).name}"
    return "another process of this training failed; see above"


def _end(process: subprocess.Popen[bytes], *, wait_s: float) -> None:
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _watch_helpers(started: list[subprocess.Popen[bytes]], over: threading.Event) -> None:
    """End this process if a helper has failed and the training is stuck waiting for it."""
    failed_at: float | None = None
    while not over.wait(1.0):
        if failed_at is None and any(process.poll() not in {None, 0} for process in started):
            failed_at = time.monotonic()
        if failed_at is not None and time.monotonic() - failed_at > GRACE_S:
            sys.stderr.write("error: a process of this training failed; its message is above\n")
            os._exit(1)


def end_with_parent() -> None:
    """End this process soon after the one that started it is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
