"""Series read ahead of the networks in processes, results written behind them in a thread."""

from __future__ import annotations

import logging
import multiprocessing
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from bodycomp.errors import OutputError, SeriesError
from bodycomp.processes import helper_processes
from bodycomp.report.result_rows import result_rows
from bodycomp.results import SeriesResult
from bodycomp.scan import Scan
from bodycomp.storage import atomic_folder
from bodycomp.study.journal import StudyRecord
from bodycomp.study.options import RefusedSeries
from bodycomp.study.outputs import FHIR_NAME, OutputChoice, write_series
from bodycomp.study.sources import Source
from bodycomp.tables import Cell

if TYPE_CHECKING:
    from bodycomp.fhir.study_bundle import StudyBundle


class ReadAhead:
    """Reads sources in their order, at most ``workers`` of them ahead of the one that is taken.

    A file that brings a decoder down costs its series alone. Without workers a source is read
    when it is taken, in this process. Some sources may be passed over.
    """

    def __init__(self, sources: Sequence[Source], workers: int) -> None:
        self._workers = workers
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


_LOG: Final = logging.getLogger(__name__)
_AHEAD: Final = 2
"""Tasks that may wait; each holds a volume."""


class Behind:
    """Does tasks one after the other, in a thread of its own or at once.

    After a task has failed no other is begun; its error is raised by the next ``submit`` or at the
    end.
    """

    def __init__(self, *, threaded: bool) -> None:
        self._executor = ThreadPoolExecutor(1) if threaded else None
        self._pending: deque[Future[None]] = deque()
        self._failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._executor is None:
            return
        self._executor.shutdown(wait=True)
        while error is None and self._pending:
            self._pending.popleft().result()

    def submit(self, task: Callable[[], None]) -> None:
        """Do a task after those before it; waits while too many wait already."""
        if self._executor is None:
            task()
            return
        while len(self._pending) > _AHEAD:
            self._pending.popleft().result()
        self._pending.append(self._executor.submit(self._do, task))

    def abandon(self, folder: StudyFolder) -> None:
        """Remove an unfinished folder, once the studies before it are written."""
        if self._executor is not None:
            self._executor.shutdown(wait=True)
        folder.abandon()

    def _do(self, task: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            task()
        except BaseException:
            self._failed = True
            raise


class StudyFolder:
    """The folder of one study, which appears when it is closed; without results there is none."""

    def __init__(self, place: Path, sources: tuple[str, ...], choice: OutputChoice) -> None:
        self._place = place
        self._sources = sources
        self._choice = choice
        self._bundle: StudyBundle | None = None
        if choice.fhir:
            from bodycomp.fhir.study_bundle import StudyBundle  # noqa: PLC0415 - with highdicom

            self._bundle = StudyBundle()
        self._stack = ExitStack()
        self._temporary: Path | None = None
        self._analyzed: dict[str, tuple[Mapping[str, Cell], ...]] = {}
        self._refused: list[RefusedSeries] = []

    def add(self, source: Source, scan: Scan, result: SeriesResult) -> None:
        """Write one series; what its content provokes makes a refusal.

        Raises:
            OutputError, OSError: The disk cannot be written to.
        """
        if self._temporary is None:
            folder = atomic_folder(self._place, overwrite=True, durable=True)
            self._temporary = self._stack.enter_context(folder)
        place = self._temporary / source.series
        place.mkdir()
        try:
            key = source.key(identifiers=self._choice.identifiers)
            scan = write_series(place, key, scan, result, self._choice, self._bundle)
            self._analyzed[source.series] = tuple(result_rows(key, scan, result))
        except (OutputError, OSError, MemoryError):
            raise
        except Exception as error:
            _LOG.debug("unexpected fault", exc_info=True)
            shutil.rmtree(place, ignore_errors=True)
            reason = f"unexpected {type(error).__name__} while writing; see --debug"
            self.refuse(source, "fault", reason)

    def refuse(self, source: Source, kind: str, reason: str) -> None:
        """Note that a series could not be analysed."""
        self._refused.append(source.refused(kind, reason))

    def close(self) -> StudyRecord:
        """Give the folder its name; it is on the disk when this returns."""
        if self._analyzed:
            if self._bundle is not None and self._temporary is not None:
                self._bundle.write(self._temporary / FHIR_NAME)
            self._stack.close()
        else:
            self.abandon()
        return StudyRecord(self._place.name, self._sources, self._analyzed, tuple(self._refused))

    def abandon(self) -> None:
        """Remove what was written."""
        self._stack.pop_all()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
