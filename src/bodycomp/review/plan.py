"""What the rows of a review mean for a run, or why they do not fit it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bodycomp.review.history import CaseState
from bodycomp.review.review_csv import Faults, ReviewRow
from bodycomp.review.session import ReviewSession
from bodycomp.study.measured_run import CaseKey, MeasuredRun
from bodycomp.tables import Cell


class RowAction(StrEnum):
    """What a row asks for beside its verdict."""

    KEEP = "keep"
    MOVE = "move"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """What is to be done: rows that say something new, and counts of those that do not."""

    actions: Mapping[ReviewRow, RowAction]
    repeated: int
    older: int


def plan_review(session: ReviewSession, rows: Sequence[ReviewRow], name: str) -> ReviewPlan:
    """Check every row against the run and say what it asks for.

    The last word counts, by the time when it was given, so that reviews can be applied in any
    order and more than once. A row without a move is about the slice that was shown: the corrected
    one stays, and the networks' slice comes back in its place.

    Raises:
        ReviewError: Rows that do not fit; all of them are named, as those of the file ``name``.
    """
    faults = Faults(name)
    actions: dict[ReviewRow, RowAction] = {}
    repeated = older = 0
    for row in rows:
        if not _fits(session.run, row, faults):
            continue
        state = session.state(row.case)
        if state.is_newer_than(row.reviewed_at):
            older += 1
            continue
        action = _action(session, row, faults)
        if action is RowAction.KEEP and _says_the_same(row, state):
            repeated += 1
        else:
            actions[row] = action
    faults.raise_if_any()
    return ReviewPlan(actions, repeated, older)


def _says_the_same(row: ReviewRow, state: CaseState) -> bool:
    said = (row.verdict, row.comment, row.reviewer, row.reviewed_at)
    return said == (state.verdict, state.comment, state.reviewer, state.reviewed_at)


def _fits(run: MeasuredRun, row: ReviewRow, faults: Faults) -> bool:
    """Whether a row is about a case of this run; what is wrong with it is noted."""
    column = _unknown_name(run, row.case)
    if column:
        value = getattr(row.case, column)
        hint = "The review is of another run, or names were changed; see results.csv."
        faults.add(row.line, column, f"expected one of this run, found {value!r}", hint)
        return False
    if row.models != run.models:
        expected, found = "+".join(run.models), "+".join(row.models)
        hint = "The review is of another run: export it from the page of this one."
        faults.add(row.line, "models", f"expected {expected}, found {found or 'nothing'}", hint)
        return False
    slices = run.rows[row.case].get("slices")
    moved = row.moved_to_slice
    if moved is not None and isinstance(slices, int) and moved >= slices:
        message = f"expected a slice from 0 to {slices - 1}, found {moved}"
        faults.add(row.line, "moved_to_slice", message)
        return False
    return True


def _unknown_name(run: MeasuredRun, case: CaseKey) -> str:
    """Return the first column that names something the run does not have; empty if it has all."""
    if case in run.rows:
        return ""
    if not any(known.study == case.study for known in run.rows):
        return "study"
    return "level" if any(known[:2] == case[:2] for known in run.rows) else "series"


def _action(session: ReviewSession, row: ReviewRow, faults: Faults) -> RowAction:
    now = session.row(row.case)["slice_index"]
    networks = session.run.rows[row.case]["slice_index"]
    if row.moved_to_slice is not None and row.moved_to_slice == now:
        return RowAction.KEEP
    if row.shown_slice not in (now, networks):
        slices = dict.fromkeys(_in_words(each) for each in (networks, now))
        found = _in_words(row.shown_slice)
        hint = "The review is of an earlier state: open the page anew and review the case again."
        faults.add(row.line, "slice_index", f"expected {' or '.join(slices)}, found {found}", hint)
        return RowAction.KEEP
    if row.is_rejected_move:
        return RowAction.KEEP
    wanted = row.shown_slice if row.moved_to_slice is None else row.moved_to_slice
    if wanted == now:
        return RowAction.KEEP
    return RowAction.RESTORE if wanted == networks else RowAction.MOVE


def _in_words(slice_index: Cell) -> str:
    return "nothing" if slice_index is None else str(slice_index)
