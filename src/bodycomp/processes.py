"""Processes that help this one and end with it however it ends; results in order."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import connection
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def helper_processes(count: int) -> ProcessPoolExecutor:
    """Return a pool of processes that leave Ctrl-C to this one and end at once when it is gone.

    They log nothing: what they have to say comes back with their results. Where this process logs
    faults with their tracebacks (``--debug``), they print theirs.
    """
    context = multiprocessing.get_context("spawn")  # fork is unsafe once threads run
    debug = logging.getLogger("bodycomp").isEnabledFor(logging.DEBUG)
    return ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(debug,))


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


def _begin(debug: bool) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger().addHandler(logging.NullHandler())  # else Python prints warnings of its own
    if debug:
        logger = logging.getLogger("bodycomp")
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.DEBUG)
    else:
        warnings.simplefilter("ignore")
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
