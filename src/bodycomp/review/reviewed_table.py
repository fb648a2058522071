"""``reviewed.csv``: the results without what people rejected, and with what they corrected.

It is made from the journal and the history whenever one of them grows; ``results.csv`` stays what
the networks measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bodycomp.report.result_rows import Cell
from bodycomp.report.review_rows import (
    NO_CORRECTION,
    VERDICT_COLUMNS,
    rejected_row,
    reviewed_columns,
)
from bodycomp.report.tables import guarded, write_table
from bodycomp.review.history import CaseState, ReviewEvent, states_of
from bodycomp.review.review_csv import REJECT
from bodycomp.study.measured_run import Case, MeasuredRun
from bodycomp.study.out_folder import REVIEWED_NAME
from bodycomp.study.sources import IDENTIFIER_COLUMNS


def write_reviewed_table(run: MeasuredRun, events: Sequence[ReviewEvent]) -> None:
    """Write the table, in place of an earlier one.

    Raises:
        OSError: It cannot be written.
    """
    states = states_of(run, events)
    columns = reviewed_columns(next(iter(run.rows.values())), IDENTIFIER_COLUMNS)
    write_table(run.out_dir / REVIEWED_NAME, columns, _rows(run, states))


def row_in_effect(run: MeasuredRun, case: Case, state: CaseState) -> Mapping[str, Cell]:
    """Return a case's measurements: corrected, or else the networks'."""
    corrected = state.corrected
    return run.rows[case] if corrected is None or corrected.row is None else corrected.row


def _rows(run: MeasuredRun, states: Mapping[Case, CaseState]) -> Iterator[dict[str, Cell]]:
    for case in run.rows:
        state = states.get(case, CaseState())
        row = {**NO_CORRECTION, **row_in_effect(run, case, state)}
        if state.verdict == REJECT:
            row = rejected_row(row)
        words = (state.verdict, guarded(state.comment), guarded(state.reviewer), state.reviewed_at)
        yield row | dict(zip(VERDICT_COLUMNS, words, strict=True))
