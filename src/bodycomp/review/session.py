"""A run while people's words are taken in: all of them count, or none, whatever happens.

What a correction measured lies in a hidden folder until the history has its event; then the folder
gets its name, and ``reviewed.csv`` is made again. What a kill interrupts is carried through, or
removed, when the run is opened next. ``results.csv`` stays what the networks measured.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bodycomp.report.result_rows import (
    NO_CORRECTION,
    VERDICT_COLUMNS,
    rejected_row,
    reviewed_columns,
)
from bodycomp.review.history import (
    REJECT,
    CaseState,
    Change,
    ReviewEvent,
    read_history,
    states_of,
    write_history,
)
from bodycomp.storage import locked_folder, remove_interrupted
from bodycomp.study.inputs import UNPACKED_FOLDERS
from bodycomp.study.measured_run import CaseKey, MeasuredRun, opened_run
from bodycomp.study.options import SERIES_PREFIX, STUDY_PREFIX
from bodycomp.study.out_folder import CORRECTED_NAME, HISTORY_NAME, REVIEWED_NAME
from bodycomp.study.sources import IDENTIFIER_COLUMNS
from bodycomp.tables import Cell, guarded, write_table

_STAGE: Final = ".correcting-"


class ReviewSession:
    """A run and its history; ``states`` say what counts of cases that have one."""

    def __init__(self, run: MeasuredRun, history: Sequence[ReviewEvent]) -> None:
        self.run = run
        self._history = tuple(history)
        self.states: Mapping[CaseKey, CaseState] = states_of(run, history)

    def state(self, case: CaseKey) -> CaseState:
        """Return what counts for a case."""
        return self.states.get(case, CaseState())

    def row(self, case: CaseKey) -> Mapping[str, Cell]:
        """Return a case's measurements that count: corrected, or else the networks'."""
        return self.state(case).row or self.run.rows[case]

    def finish(self, events: Sequence[ReviewEvent]) -> Path:
        """Let events count: in the history, in the folders and in the table, which is returned."""
        if events:
            self._history = (*self._history, *map(self._stamped, events))
            write_history(self.run.out_dir, self._history)
            self.states = states_of(self.run, self._history)
            settle(self.run, self._history)
        path = self.run.out_dir / REVIEWED_NAME
        any_row = next(iter(self.run.rows.values()))
        write_table(path, reviewed_columns(any_row, IDENTIFIER_COLUMNS), self._reviewed_rows())
        return path

    def _stamped(self, event: ReviewEvent) -> ReviewEvent:
        return replace(event, original=self.run.row_digest(event.case), applied_at=now())

    def _reviewed_rows(self) -> Iterator[dict[str, Cell]]:
        """Yield the results without what people rejected, and with what they corrected."""
        for case in self.run.rows:
            state, row = self.state(case), {**NO_CORRECTION, **self.row(case)}
            if state.verdict == REJECT:
                row = rejected_row(row)
            said = (state.verdict, guarded(state.comment), guarded(state.reviewer))
            yield row | dict(zip(VERDICT_COLUMNS, (*said, state.reviewed_at), strict=True))


@contextmanager
def opened_session(out_dir: Path) -> Iterator[ReviewSession]:
    """Yield a run with its history, after carrying through what a kill interrupted.

    Raises:
        InputNotFoundError: No run is there.
        OutputError: Something else is writing to its folder, or the history is damaged.
        ReviewError: It holds no result.
    """
    with locked_folder(out_dir) if out_dir.is_dir() else nullcontext(), opened_run(out_dir) as run:
        for folder in out_dir.glob(UNPACKED_FOLDERS):
            shutil.rmtree(folder)
        for name in (HISTORY_NAME, REVIEWED_NAME):
            remove_interrupted(out_dir / name)
        history = read_history(out_dir)
        settle(run, history)
        try:
            yield ReviewSession(run, history)
        except BaseException:
            settle(run, read_history(out_dir))  # what had begun to count counts, the rest goes
            raise


def refresh_reviewed(out_dir: Path) -> None:
    """Bring the reviewed table up to a run that was resumed; without reviews there is none.

    Raises:
        OutputError: Something else is writing to the folder, or the history is damaged.
    """
    if (out_dir / HISTORY_NAME).exists():
        with opened_session(out_dir) as session:
            session.finish(())


def now() -> str:
    """Return this moment, ISO 8601 in UTC.

    >>> now().endswith("+00:00")
    True
    """
    return datetime.now(UTC).isoformat(timespec="seconds")


def corrected_folder(run: MeasuredRun, case: CaseKey) -> Path:
    """Return where the corrected results of a case lie, if there are any."""
    return run.folder(case) / CORRECTED_NAME / case.level


def new_stage(run: MeasuredRun, case: CaseKey) -> Path:
    """Make and return a hidden folder for corrected results of a case."""
    stage = run.folder(case) / f"{_STAGE}{case.level}-{uuid.uuid4().hex[:8]}"
    stage.mkdir()
    return stage


def settle(run: MeasuredRun, events: Sequence[ReviewEvent]) -> None:
    """Give staged folders that count their name, and remove what counts no more."""
    states = states_of(run, events)
    for case in dict.fromkeys(event.case for event in events if event.change is not Change.NONE):
        if case not in run.rows:
            continue
        corrected = states.get(case, CaseState()).corrected
        place = corrected_folder(run, case)
        if corrected is None:
            shutil.rmtree(place, ignore_errors=True)
        elif (stage := run.folder(case) / corrected.stage).is_dir():  # else it was done before
            shutil.rmtree(place, ignore_errors=True)
            place.parent.mkdir(exist_ok=True)
            stage.rename(place)
        if place.parent.is_dir() and not any(place.parent.iterdir()):
            place.parent.rmdir()
    for stage in run.out_dir.glob(f"{STUDY_PREFIX}*/{SERIES_PREFIX}*/{_STAGE}*"):
        shutil.rmtree(stage)
