"""A review that people exported -> the reviewed table, with what they corrected measured anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from bodycomp.analysis.pipeline import Segmenter
from bodycomp.errors import ReviewError
from bodycomp.progress import Progress, no_progress
from bodycomp.review.correction import (
    Corrector,
    LevelChange,
    networks_labels,
)
from bodycomp.review.found_scans import found_scans, segmenter_of
from bodycomp.review.history import Change, EventKind, ReviewEvent
from bodycomp.review.measure_mask import GivenMask
from bodycomp.review.options import ReviewOptions
from bodycomp.review.plan import RowAction, painted_row, plan_review
from bodycomp.review.recorded import recorded_masks
from bodycomp.review.review_csv import ReviewRow, read_review
from bodycomp.review.session import ReviewSession, corrected_folder, opened_session
from bodycomp.study.measured_run import CaseKey
from bodycomp.study.outputs import LABELS_NAME


@dataclass(frozen=True, slots=True)
class ReviewOutcome:
    """What a review changed.

    Attributes:
        new: Cases of which the review says something new.
        moved, restored: Levels that were measured elsewhere, and those put back where the
            networks had found them.
        painted: Levels that were measured with a mask that was corrected on the page.
        waiting: Moves and corrected masks that were left out.
        rejected_changes: Cases that were moved or painted, and rejected, which are not measured.
        repeated, older: Rows that said what counted already, and those that were overtaken.
        verdicts: Verdict -> number of cases that have it now.
    """

    table: Path
    new: int
    moved: int
    restored: int
    painted: int
    waiting: int
    rejected_changes: int
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
        changes = {row: act for row, act in actions if act in (RowAction.MOVE, RowAction.PAINT)}
        measured = {}
        if changes and options.move:
            measured = _measure_changes(session, options, changes, progress, segmenter)
        events = [measured.get(row.case) or _verdict_event(row, action) for row, action in actions]
        did = Counter(plan.actions[row] for row in changes if row.case in measured)
        return ReviewOutcome(
            table=session.finish(events),
            moved=did[RowAction.MOVE],
            restored=sum(action is RowAction.RESTORE for _, action in actions),
            painted=did[RowAction.PAINT],
            waiting=len(changes) - len(measured),
            rejected_changes=sum(row.is_rejected_change for row in rows),
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


def _measure_changes(
    session: ReviewSession,
    options: ReviewOptions,
    changes: Mapping[ReviewRow, RowAction],
    progress: Progress,
    segmenter: Segmenter | None,
) -> dict[CaseKey, ReviewEvent]:
    """Measure every level as it was moved or painted; each series is read once.

    Raises:
        ReviewError: The scans, or the models that moved levels need, are not given.
    """
    if not options.scans.inputs:
        first = min(row.line for row in changes)
        raise ReviewError(
            f"expected the scans, to measure {len(changes)} levels that were moved or whose mask "
            f"was corrected, the first in line {first} of {options.review.name}; found none",
            hint="Name the files or folders that were measured after the review, or leave these "
            "levels for another time with --no-scans.",
        )
    is_segmented = RowAction.MOVE in changes.values()
    segment = segmenter_of(session.run, options.scans, segmenter) if is_segmented else None
    with found_scans(session.run, options.scans, progress) as scans:
        scans.check_there(row.case for row in changes)
        events: dict[CaseKey, ReviewEvent] = {}
        by_series = sorted(changes, key=lambda row: row.case[:2])
        for _, members in groupby(by_series, key=lambda row: row.case[:2]):
            same = list(members)
            key, scan = scans.load(same[0].case)
            corrector = Corrector(session.run, key, scan, scans.outputs, segment)
            for row in same:
                make = _move if changes[row] is RowAction.MOVE else _paint
                events[row.case] = make(session, corrector, row)
                progress("series", len(events), len(changes))
        return events


def _move(session: ReviewSession, corrector: Corrector, row: ReviewRow) -> ReviewEvent:
    index, by, at, why = row.moved_to_slice, row.reviewer, row.reviewed_at, row.comment
    change = LevelChange(case=row.case, slice_index=index, by=by, at=at, reason=why)
    choice = corrector.choice(change, session.row(row.case))
    event = corrector.event(change, choice, EventKind.REVIEW)
    return replace(event, verdict=row.verdict)


def _paint(session: ReviewSession, corrector: Corrector, row: ReviewRow) -> ReviewEvent:
    """Measure a level with the mask that was painted on the one that the page showed.

    Raises:
        ReviewError: The mask is gone, or another slice than those of the level was painted.
    """
    run, base, painting = session.run, painted_row(session, row), row.painting
    if base is None or painting is None:
        raise ReviewError(f"{row.case}: expected a painting on a mask of this run, found none")
    folder = run.folder(row.case) if base is run.rows[row.case] else corrected_folder(run, row.case)
    labels = recorded_masks(folder / LABELS_NAME, corrector.scan.volume)
    if labels is None:
        raise ReviewError(f"expected masks on the pixels of {row.case}, found none in {folder}")
    try:
        painted = painting.on(labels)
    except ValueError as error:
        raise ReviewError(f"line {row.line}, column masks: {error}") from error
    mask = GivenMask(painted, np.ones(len(painted), np.bool_), painting.digest)
    change = LevelChange(
        case=row.case,
        mask=mask,
        networks_labels=networks_labels(run, row.case, base),
        by=row.reviewer,
        at=row.reviewed_at,
        reason=row.comment,
    )
    choice = corrector.choice(change, base)
    measured = corrector.slices_of(row.case, choice)
    others = sorted(set(painting.indices) - set(measured))
    if others:
        raise ReviewError(
            f"line {row.line}, column masks: expected slices on which {row.case} is measured "
            f"({', '.join(map(str, measured))}), found {others[0]}"
        )
    event = corrector.event(change, choice, EventKind.REVIEW)
    return replace(event, verdict=row.verdict, painting=painting.digest)
