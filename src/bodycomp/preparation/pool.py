"""Cases in parallel: a few processes, which end with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection

from bodycomp.errors import OutputError
from bodycomp.preparation.make_part import PartFault, PartJob, make_part


def make_parts(
    jobs: Sequence[PartJob], processes: int
) -> Iterator[tuple[PartJob, PartFault | None]]:
    """Make parts, yielding each when it is finished, in any order.

    Raises:
        OutputError: The disk is full, or a process was ended from outside.
    """
    if min(processes, len(jobs)) <= 1:
        for job in jobs:
            yield job, make_part(job)
        return
    context = multiprocessing.get_context("spawn")  # fork is unsafe once threads run
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin)
    done = False
    try:
        yield from _finished(pool, jobs, ahead=2 * processes)
        done = True
    except BrokenProcessPool as error:
        raise OutputError(
            "a process was ended from outside, most likely because memory ran out",
            hint="Try fewer --jobs; what is finished is kept, and the same command goes on.",
        ) from error
    finally:
        if not done:  # an unfinished case is made again anyway: nobody shall wait for it
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
        pool.shutdown(wait=done, cancel_futures=True)


def _finished(
    pool: ProcessPoolExecutor, jobs: Sequence[PartJob], ahead: int
) -> Iterator[tuple[PartJob, PartFault | None]]:
    running: dict[Future[PartFault | None], PartJob] = {}
    waiting = iter(jobs)
    while True:
        for job in waiting:
            running[pool.submit(make_part, job)] = job
            if len(running) == ahead:
                break
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future.result()


def _begin() -> None:
    """Leave Ctrl-C to the parent, and end at once when the parent is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
