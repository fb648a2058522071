"""Cases in parallel: a few processes, which end with the one that started them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from bodycomp.errors import OutputError
from bodycomp.preparation.faults import PartFault
from bodycomp.preparation.make_part import PartJob, make_part
from bodycomp.processes import helper_processes


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
    others = set(multiprocessing.active_children())
    pool = helper_processes(processes)
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
