"""A review that people exported -> the reviewed table, with levels measured where they moved to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from bodycomp.analysis.pipeline import Segmenter
from bodycomp.errors import ReviewError
from bodycomp.progress import Progress, no_progress
from bodycomp.review.correction import Corrector, LevelChange
from bodycomp.review.found_scans import found_scans, segmenter_of
from bodycomp.review.history import Change, EventKind, ReviewEvent
from bodycomp.review.options import ReviewOptions
from bodycomp.review.plan import RowAction, plan_review
from bodycomp.review.review_csv import ReviewRow, read_review
from bodycomp.review.session import ReviewSession, opened_session
from bodycomp.study.measured_run import CaseKey


@dataclass(frozen=True, slots=True)
class ReviewOutcome:
    """What a review changed.

    Attributes:
        new: Cases of which the review says something new.
        moved, restored: Levels that were measured elsewhere, and those put back where the
            networks had found them.
        waiting: Moves that were left out.
        rejected_moves: Cases that were moved and rejected, which are not measured.
        repeated, older: Rows that said what counted already, and those that were overtaken.
        verdicts: Verdict -> number of cases that have it now.
    """

    table: Path
    new: int
    moved: int
    restored: int
    waiting: int
    rejected_moves: int
    repeated: int
    older: int
    verdicts: Counter[str]


def apply_review(
    options: ReviewOptions, progress: Progress = no_progress, *, segmenter: Segmenter | None = None
) -> ReviewOutcome:
    """Apply a review to a run: all of it or nothing.

    A segmenter takes the place of the model in ``options.scans.models_dir``.

    Raises:
        InputNotFoundError: The run, the review, an input or the key is not there.
        ReviewError: The review does not fit the run, or scans or models are missing that moved
            levels need.
        ModelError: The models are not those of the run.
        OutputError: Something else is writing to the run's folder, or it is damaged.
    """
    with opened_session(options.scans.out_dir) as session:
        rows = read_review(options.review, options.reviewer)
        plan = plan_review(session, rows, options.review.name)
        actions = plan.actions.items()
        moves = [row for row, action in actions if action is RowAction.MOVE]
        waiting = 0 if options.move else len(moves)
        moved = {}
        if moves and options.move:
            moved = _measure_moves(session, options, moves, progress, segmenter)
        events = [moved.get(row.case) or _verdict_event(row, action) for row, action in actions]
        return ReviewOutcome(
            table=session.finish(events),
            moved=len(moved),
            restored=sum(action is RowAction.RESTORE for _, action in actions),
            waiting=waiting,
            rejected_moves=sum(row.is_rejected_move for row in rows),
            new=len(plan.actions),
            repeated=plan.repeated,
            older=plan.older,
            verdicts=Counter(state.verdict for state in session.states.values()),
        )


def _verdict_event(row: ReviewRow, action: RowAction) -> ReviewEvent:
    return ReviewEvent(
        case=row.case,
        kind=EventKind.REVIEW,
        at=row.reviewed_at,
        by=row.reviewer,
        verdict=row.verdict,
        comment=row.comment,
        change=Change.RESTORED if action is RowAction.RESTORE else Change.NONE,
    )


def _measure_moves(
    session: ReviewSession,
    options: ReviewOptions,
    rows: Sequence[ReviewRow],
    progress: Progress,
    segmenter: Segmenter | None,
) -> dict[CaseKey, ReviewEvent]:
    """Measure every level where it was moved to; each series is read once.

    Raises:
        ReviewError: The scans or the models are not given.
    """
    if not options.scans.inputs:
        raise ReviewError(
            f"expected the scans, to measure {len(rows)} levels where they were moved to, the "
            f"first in line {rows[0].line} of {options.review.name}; found none",
            hint="Name the files or folders that were measured after the review, or leave the "
            "moves for another time with --no-scans.",
        )
    segment = segmenter_of(session.run, options.scans, segmenter)
    with found_scans(session.run, options.scans, progress) as scans:
        scans.check_there(row.case for row in rows)
        events: dict[CaseKey, ReviewEvent] = {}
        by_series = sorted(rows, key=lambda row: row.case[:2])
        for _, members in groupby(by_series, key=lambda row: row.case[:2]):
            same = list(members)
            key, scan = scans.load(same[0].case)
            corrector = Corrector(session.run, key, scan, scans.outputs, segment)
            for row in same:
                events[row.case] = _move(session, corrector, row)
                progress("series", len(events), len(rows))
        return events


def _move(session: ReviewSession, corrector: Corrector, row: ReviewRow) -> ReviewEvent:
    index, by, at, why = row.moved_to_slice, row.reviewer, row.reviewed_at, row.comment
    change = LevelChange(case=row.case, slice_index=index, by=by, at=at, reason=why)
    choice = corrector.choice(change, session.row(row.case))
    event = corrector.event(change, choice, EventKind.REVIEW)
    return replace(event, verdict=row.verdict)
