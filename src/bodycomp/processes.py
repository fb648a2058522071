"""Where work is done: in this process, or in others that end with it however it ends."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Work(Generic[Item, Result]):
    """What workers make of every item.

    Attributes:
        do: Does an item; it and its results can be pickled. Done twice it gives the same: the
            worker that had an item may be lost.
        paths: What the machine that does an item must see.
        alone: Does the same in this process, where an item ended the workers that had it; ``do`` if
            None.
    """

    do: Callable[[Item], Result]
    paths: Callable[[Item], tuple[Path, ...]]
    alone: Callable[[Item], Result] | None = None


class Workers(Protocol):
    """Processes here, or on the machines of a cluster, that share the items of a work."""

    def results(
        self, work: Work[Item, Result], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each item with what was made of it, in any order; each once.

        Raises:
            BrokenProcessPool: A process was ended from outside.
            ClusterError: The cluster was lost, or cannot do the work.
            Exception: What doing an item raises.
        """


@dataclass(frozen=True)
class ProcessWorkers:
    """So many processes of this machine; where one is enough, this process itself."""

    count: int

    def results(
        self, work: Work[Item, Result], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each item with what was made of it, as ``Workers``."""
        if self.count <= 1:
            yield from ((item, work.do(item)) for item in items)
            return
        others = set(multiprocessing.active_children())
        pool = helper_processes(self.count)
        done = False
        try:
            futures = {pool.submit(work.do, item): item for item in items}
            yield from ((futures[future], future.result()) for future in as_completed(futures))
            done = True
        finally:
            if not done:  # an unfinished item is done again anyway: nobody shall wait for it
                for child in set(multiprocessing.active_children()) - others:
                    child.terminate()
            pool.shutdown(wait=done, cancel_futures=True)


def helper_processes(count: int) -> ProcessPoolExecutor:
    """Return a pool of processes that leave Ctrl-C to this one and end at once when it is gone.

    They log nothing: what they have to say comes back with their results. Where this process logs
    faults with their tracebacks (``--debug``), they print theirs.
    """
    context = multiprocessing.get_context("spawn")  # fork is unsafe once threads run
    return ProcessPoolExecutor(
        count, mp_context=context, initializer=_begin, initargs=(is_debugging(),)
    )


def results_in_order(
    pool: Executor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """Yield what a pool makes of every item, in order; ``ahead`` are in it before one is due."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def log_nothing(*, debug: bool) -> None:
    """Have this process log nothing, or faults with their tracebacks on standard error alone."""
    logging.getLogger().addHandler(logging.NullHandler())  # else Python prints warnings of its own
    if debug:
        logger = logging.getLogger("bodycomp")
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.DEBUG)
    else:
        warnings.simplefilter("ignore")


def is_debugging() -> bool:
    """Whether this process logs faults with their tracebacks (``--debug``)."""
    return logging.getLogger("bodycomp").isEnabledFor(logging.DEBUG)


def _begin(debug: bool) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log_nothing(debug=debug)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
