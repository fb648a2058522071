"""Series read ahead of the networks, in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Self

from bodycomp.errors import SeriesError
from bodycomp.processes import helper_processes
from bodycomp.scan import Scan
from bodycomp.study.sources import Source


class ReadAhead:
    """Reads sources in their order, at most ``workers`` of them ahead of the one that is taken.

    A file that brings a decoder down costs its series alone. Without workers a source is read
    when it is taken, in this process. Some sources may be passed over.
    """

    def __init__(self, sources: Sequence[Source], workers: int) -> None:
        self._workers = min(workers, max(len(sources) - 1, 0))
        self._waiting: Iterator[Source] = iter(sources)
        self._running: dict[int, Future[Scan]] = {}
        self._others = set(multiprocessing.active_children())
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        self._top_up()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._stop(at_once=error is not None)

    def take(self, source: Source) -> Scan:
        """Return a source's scan.

        Raises:
            SeriesError: Reading it ended the process.
            Exception: What ``Source.load`` raises.
        """
        if not self._workers:
            return source.load()
        future = self._running.pop(id(source), None)
        try:
            loaded = (future or self._submit(source)).result()
        except BrokenProcessPool:
            loaded = self._take_alone(source)
        self._top_up()
        return loaded

    def _take_alone(self, source: Source) -> Scan:
        """Read one source while nothing else is read, which tells whether it is to blame."""
        self._stop(at_once=True)
        self._running.clear()  # those that are not to blame are read when they are taken
        try:
            return self._submit(source).result()
        except BrokenProcessPool:
            self._stop(at_once=True)
            raise SeriesError(
                "reading it ended the process, from a damaged file or for lack of memory"
            ) from None

    def _top_up(self) -> None:
        while len(self._running) < self._workers:
            source = next(self._waiting, None)
            if source is None:
                return
            try:
                self._running[id(source)] = self._submit(source)
            except BrokenProcessPool:
                return  # seen again, and dealt with, by ``take``

    def _submit(self, source: Source) -> Future[Scan]:
        if self._pool is None:
            self._pool = helper_processes(self._workers)
        return self._pool.submit(source.load)

    def _stop(self, *, at_once: bool) -> None:
        if self._pool is None:
            return
        if at_once:
            for child in set(multiprocessing.active_children()) - self._others:
                child.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None
