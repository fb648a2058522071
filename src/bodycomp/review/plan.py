"""What the rows of a review mean for a run, or why they do not fit it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bodycomp.report.result_rows import CORRECTED, tissues_of
from bodycomp.review.history import CaseState
from bodycomp.review.measure_mask import file_digest
from bodycomp.review.painting import Painting
from bodycomp.review.review_csv import Faults, ReviewRow
from bodycomp.review.session import ReviewSession, corrected_folder
from bodycomp.study.measured_run import CaseKey, MeasuredRun
from bodycomp.study.outputs import LABELS_NAME
from bodycomp.tables import Cell


class RowAction(StrEnum):
    """What a row asks for beside its verdict."""

    KEEP = "keep"
    MOVE = "move"
    PAINT = "paint"
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
    order and more than once. A row without a change is about the slice and the mask that were
    shown: corrected ones stay, and the networks' come back in their place.

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
    if row.painting is not None and isinstance(slices, int):
        tissues = tissues_of(run.rows[row.case])
        fault = row.painting.fault(slices, [tissue.label for tissue in tissues])
        if fault:
            faults.add(row.line, "masks", fault)
        return not fault
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
    if row.painting is not None and not row.is_rejected_change:
        return _painting_action(session, row, row.painting, faults)
    if row.moved_to_slice is not None and row.moved_to_slice == now:
        return RowAction.KEEP
    if row.shown_slice not in (now, networks):
        slices = dict.fromkeys(_in_words(each) for each in (networks, now))
        found = _in_words(row.shown_slice)
        hint = "The review is of an earlier state: open the page anew and review the case again."
        faults.add(row.line, "slice_index", f"expected {' or '.join(slices)}, found {found}", hint)
        return RowAction.KEEP
    if row.is_rejected_change:
        return RowAction.KEEP
    wanted = row.shown_slice if row.moved_to_slice is None else row.moved_to_slice
    if wanted == now:
        return RowAction.RESTORE if _saw_networks_mask(session, row) else RowAction.KEEP
    return RowAction.RESTORE if wanted == networks else RowAction.MOVE


def _saw_networks_mask(session: ReviewSession, row: ReviewRow) -> bool:
    """Whether the networks' mask was shown of a case whose mask alone was corrected."""
    corrected = session.row(row.case).get(CORRECTED) == "mask"
    return corrected and row.masks_from == networks_digest(session, row.case)


def _painting_action(
    session: ReviewSession, row: ReviewRow, painting: Painting, faults: Faults
) -> RowAction:
    corrected = session.state(row.case).corrected
    if corrected is not None and corrected.painting == painting.digest:
        return RowAction.KEEP
    base = painted_row(session, row)
    if base is None:
        hint = "The mask was corrected since: open the page anew and correct it there."
        message = f"expected the digest of a mask of this run, found {painting.masks_from!r}"
        faults.add(row.line, "masks_from", message, hint)
        return RowAction.KEEP
    now = base["slice_index"]
    if row.shown_slice != now or row.moved_to_slice not in (None, now):
        message = f"expected a level on slice {_in_words(now)}, where its mask was painted"
        hint = "Move the level first, and correct the mask of its new slice then."
        faults.add(row.line, "moved_to_slice", message, hint)
        return RowAction.KEEP
    return RowAction.PAINT


def painted_row(session: ReviewSession, row: ReviewRow) -> Mapping[str, Cell] | None:
    """Return the measurements whose mask was painted on; None if the mask is no longer there."""
    if row.masks_from == networks_digest(session, row.case):
        return session.run.rows[row.case]
    if session.state(row.case).corrected is None:
        return None
    place = corrected_folder(session.run, row.case) / LABELS_NAME
    return session.row(row.case) if row.masks_from == file_digest(place) else None


def networks_digest(session: ReviewSession, case: CaseKey) -> str:
    """Return the digest of the file with the networks' masks."""
    return file_digest(session.run.folder(case) / LABELS_NAME)


def _in_words(slice_index: Cell) -> str:
    return "nothing" if slice_index is None else str(slice_index)
