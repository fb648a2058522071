"""Results on their way to the disk, behind the networks."""

from __future__ import annotations

import logging
import shutil
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from bodycomp.errors import OutputError
from bodycomp.report.result_rows import Cell, result_rows
from bodycomp.results import SeriesResult
from bodycomp.scan import Scan
from bodycomp.storage import atomic_folder
from bodycomp.study.journal import StudyRecord
from bodycomp.study.options import RefusedSeries
from bodycomp.study.outputs import OutputChoice, write_series
from bodycomp.study.sources import Source

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
            scan = write_series(place, key, scan, result, self._choice)
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
        self._refused.append(
            RefusedSeries(source.study, source.series, source.what, kind, reason, source.file_count)
        )

    def close(self) -> StudyRecord:
        """Give the folder its name; it is on the disk when this returns."""
        if self._analyzed:
            self._stack.close()
        else:
            self.abandon()
        return StudyRecord(self._place.name, self._sources, self._analyzed, tuple(self._refused))

    def abandon(self) -> None:
        """Remove what was written."""
        self._stack.pop_all()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
