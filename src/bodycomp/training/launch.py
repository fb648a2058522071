"""Several processes for one training on one machine: the first one starts the others.

They share the run's folder: the others read the options from ``args.json`` and write nothing.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import torch

from bodycomp.errors import TrainingError
from bodycomp.training.checkpoints import RESUME_HINT
from bodycomp.training.seats import Seat, seat_on_one_machine

HELPER_MODULE: Final = "bodycomp.training.helper"
GRACE_S: Final = 60.0
"""A process left alone by a dead one may wait for it for ever; it is ended after this time."""

LAST_WORDS_S: Final = 5.0
"""Time for a process to end after its connections broke."""


def first_seat(world: int) -> Seat:
    """Return the seat of the process that starts the others."""
    if world == 1:
        return Seat()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return seat_on_one_machine(0, world, int(probe.getsockname()[1]))


@contextmanager
def helpers(run_folder: Path, seat: Seat) -> Iterator[None]:
    """Run the other processes of a training; if one of them fails, this one does not wait.

    Args:
        run_folder: The run, with its ``args.json``.
        seat: Of this process.

    Raises:
        TrainingError: A helper failed.
    """
    started = [
        subprocess.Popen(  # noqa: S603 - this interpreter, this package
            [
                *(sys.executable, "-m", HELPER_MODULE, str(run_folder)),
                *(str(rank), str(seat.world), str(seat.port)),
            ],
            start_new_session=True,  # Ctrl-C is this process's affair
        )
        for rank in range(1, seat.world)
    ]
    over = threading.Event()
    if started:
        threading.Thread(target=_watch_helpers, args=(started, over), daemon=True).start()
    environment = dict(os.environ)
    wait_s = 0.0
    try:
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
        if started:
            leave_group()
            # Lightning leaves addresses there that are wrong for the next training.
            os.environ.clear()
            os.environ.update(environment)


def leave_group() -> None:
    """Leave the group of processes, in good order once they have agreed on that.

    Lightning would reuse it for the next training, and a process that ends with the group's
    threads running is now and then aborted by them.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


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
