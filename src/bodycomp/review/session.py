"""A run while people's words are taken in: all of them count, or none, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from bodycomp.review.corrected_folders import clear_interrupted, settle
from bodycomp.review.history import (
    CaseState,
    ReviewEvent,
    read_history,
    states_of,
    write_history,
)
from bodycomp.review.reviewed_table import write_reviewed_table
from bodycomp.storage import locked_folder
from bodycomp.study.measured_run import Case, MeasuredRun, opened_run
from bodycomp.study.out_folder import HISTORY_NAME, REVIEWED_NAME


class ReviewSession:
    """A run and its history.

    Attributes:
        run: The run.
        states: What counts so far, of cases that have a history.
    """

    def __init__(self, run: MeasuredRun, history: Sequence[ReviewEvent]) -> None:
        self.run = run
        self._history = tuple(history)
        self.states: Mapping[Case, CaseState] = states_of(run, history)

    def state(self, case: Case) -> CaseState:
        """Return what counts for a case."""
        return self.states.get(case, CaseState())

    def finish(self, events: Sequence[ReviewEvent]) -> Path:
        """Let events count: in the history, in the folders and in the table, which is returned."""
        if events:
            self._history = (*self._history, *events)
            write_history(self.run.out_dir, self._history)
            self.states = states_of(self.run, self._history)
            settle(self.run, self._history)
        write_reviewed_table(self.run, self._history)
        return self.run.out_dir / REVIEWED_NAME


@contextmanager
def opened_session(out_dir: Path) -> Iterator[ReviewSession]:
    """Yield a run with its history, after carrying through what a kill interrupted.

    Raises:
        InputNotFoundError: No run is there.
        OutputError: Something else is writing to its folder, or the history is damaged.
        ReviewError: It holds no result.
    """
    with (
        locked_folder(out_dir) if out_dir.is_dir() else nullcontext(),
        opened_run(out_dir) as run,
    ):
        clear_interrupted(run)
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
