"""The CSV that a review page exports -> rows that are whole in themselves, or every fault in it.

Whether they fit a run is decided by ``review_plan``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bodycomp.errors import InputNotFoundError, ReviewError
from bodycomp.review.history import ACCEPT, REJECT
from bodycomp.review.painting import Painting
from bodycomp.study.measured_run import CaseKey
from bodycomp.tables import unguarded
from bodycomp.user_table import SheetRow, sheet_rows

COLUMNS: Final = (
    *("study", "series", "level", "verdict", "comment", "moved_to_slice", "reviewer"),
    *("reviewed_at", "slice_index", "models"),
)
LATER_COLUMNS: Final = ("masks", "masks_from")
"""What exports of earlier versions lack."""

VERDICTS: Final = (ACCEPT, REJECT, "")
_SHOWN_FAULTS: Final = 20
_SHOWN_LETTERS: Final = 40
CLOCKS_APART: Final = timedelta(minutes=10)
"""By how much a reviewer's clock may be ahead of this one."""

_EXCEL: Final = "Spreadsheet programs rewrite dates and numbers; export the review again."


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """What a person said of one case.

    Attributes:
        line: Where the row begins in the file, from 1.
        moved_to_slice: Slice that the level was moved to, feet to head from 0; None if it was not.
        shown_slice: Slice that the person saw as the level's; None where none was chosen.
        models: Digests of the models whose results were shown.
        masks_from: Digest of the file with the masks that were shown; empty if it is not known.
        painting: How they were changed, None if they were not.
    """

    line: int
    case: CaseKey
    verdict: str
    comment: str = field(repr=False)
    moved_to_slice: int | None
    reviewer: str = field(repr=False)
    reviewed_at: str
    shown_slice: int | None
    models: tuple[str, ...]
    masks_from: str = ""
    painting: Painting | None = None

    @property
    def is_rejected_change(self) -> bool:
        """Whether a case was moved or painted that is rejected all the same."""
        is_changed = self.moved_to_slice is not None or self.painting is not None
        return self.verdict == REJECT and is_changed


class Faults:
    """What is wrong with a file, collected so that all of it is reported at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: list[str] = []
        self._hints: list[str] = []

    def add(self, line: int, column: str, message: str, hint: str = "") -> None:
        """Note a fault of one cell."""
        self._found.append(f"{self._name} line {line}, column {column}: {message}")
        self._hints.append(hint)

    def raise_if_any(self) -> None:
        """Raise a ReviewError of all that was noted, if anything was."""
        if not self._found:
            return
        shown = self._found[:_SHOWN_FAULTS]
        more = len(self._found) - len(shown)
        text = "\n".join(shown) + (f"\nand {more} more" if more else "")
        hints = dict.fromkeys(filter(None, self._hints))
        raise ReviewError(text, hint="\n".join((*hints, "Nothing was written.")))


def read_review(path: Path, reviewer: str = "") -> tuple[ReviewRow, ...]:
    """Read a review; commas, semicolons or tabs, with or without a byte order mark.

    ``reviewer`` is who reviewed, for rows that do not say it.

    Raises:
        InputNotFoundError: The file is not there.
        ReviewError: Not a table in UTF-8, or columns are missing, or cells cannot be right; the
            message names line and column of every fault.
    """
    if not path.is_file():
        raise InputNotFoundError(f"expected a review, found no file at {path}")
    faults = Faults(path.name)
    found = [_row(line, cells, reviewer, faults) for line, cells in _cells(path, faults)]
    rows = [row for row in found if row is not None]
    first: dict[CaseKey, int] = {}
    for row in rows:
        if first.setdefault(row.case, row.line) != row.line:
            message = f"expected one row per case, found {row.case} in line {first[row.case]}, too"
            faults.add(row.line, "level", message, "Keep the row that counts.")
    faults.raise_if_any()
    if not rows:
        raise ReviewError(
            f"{path.name}: expected rows below the header, found none",
            hint="Accept, reject, move or comment cases on the page, and export the review again.",
        )
    return tuple(rows)


def _cells(path: Path, faults: Faults) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the first line of every row that is not empty, and its cells by column."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReviewError(
            f"{path.name}: expected a table in UTF-8, found other bytes",
            hint="Export the review again, or save it as 'CSV UTF-8'.",
        ) from error
    try:
        header, *rows = sheet_rows(text, strict=False) or [SheetRow(1, 1, 1, ())]
    except csv.Error as error:
        raise ReviewError(f"{path.name}: no table ({error})") from error
    columns = [cell.strip().casefold() for cell in header.cells]
    _check_columns(columns, path.name)
    for row in rows:
        if len(row.cells) > len(columns):
            message = f"expected {len(columns)} cells, found {len(row.cells)}"
            faults.add(row.first_line, columns[-1], message)
        padded = [*row.cells, *[""] * len(columns)]
        yield row.first_line, {name: padded[at].strip() for at, name in enumerate(columns)}


def _check_columns(columns: list[str], name: str) -> None:
    missing = [column for column in COLUMNS if column not in columns]
    twice = sorted({each for each in (*COLUMNS, *LATER_COLUMNS) if columns.count(each) > 1})
    if missing or twice:
        wrong = f"missing: {', '.join(missing)}" if missing else f"twice: {', '.join(twice)}"
        raise ReviewError(
            f"{name}: expected the columns of a review, found {', '.join(columns) or 'nothing'} "
            f"({wrong})",
            hint="Give the CSV that the review page exports.",
        )


def _row(line: int, cells: Mapping[str, str], reviewer: str, faults: Faults) -> ReviewRow | None:
    verdict = cells["verdict"].casefold()
    if verdict not in VERDICTS:
        found = f"expected accept, reject or nothing, found {cells['verdict']!r}"
        faults.add(line, "verdict", found)
    moved = _slice_number(cells, "moved_to_slice", line, faults)
    by = unguarded(cells["reviewer"]) or reviewer
    if not by:
        hint = "Name them with --by; initials or a code will do."
        faults.add(line, "reviewer", "expected who reviewed, found nothing", hint)
    _check_moment(cells["reviewed_at"], line, faults)
    case = CaseKey(cells["study"], cells["series"], cells["level"])
    for name, value in zip(case._fields, case, strict=True):
        if not value:
            faults.add(line, name, "expected a name as in results.csv, found nothing")
    return (
        ReviewRow(
            line=line,
            case=case,
            verdict=verdict,
            comment=unguarded(cells["comment"]),
            moved_to_slice=moved,
            reviewer=by,
            reviewed_at=cells["reviewed_at"],
            shown_slice=_slice_number(cells, "slice_index", line, faults),
            models=tuple(re.split(r"[\s+,;/]+", cells["models"])),
            masks_from=cells.get("masks_from", ""),
            painting=_painting(cells, line, faults),
        )
        if all(case)
        else None
    )


def _check_moment(text: str, line: int, faults: Faults) -> None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        example = "2025-03-31T09:41:00+02:00"
        faults.add(line, "reviewed_at", f"expected a time like {example}, found {text!r}", _EXCEL)
    elif moment > datetime.now(UTC) + CLOCKS_APART:
        # The last word counts: nothing said later could win over one that is dated ahead.
        message = f"expected a time that has passed, found {text!r}"
        faults.add(line, "reviewed_at", message, "Set the clock of the computer that reviewed.")


def _painting(cells: Mapping[str, str], line: int, faults: Faults) -> Painting | None:
    masks, masks_from = (cells.get(name, "") for name in LATER_COLUMNS)
    if not masks:
        return None
    if not masks_from:
        faults.add(line, "masks_from", "expected which masks were painted on, found nothing")
        return None
    try:
        return Painting.parse(masks, masks_from)
    except ValueError as error:
        shown = masks if len(masks) <= _SHOWN_LETTERS else f"{masks[:_SHOWN_LETTERS]}..."
        faults.add(line, "masks", f"{error}, found {shown!r}", _EXCEL)
        return None


def _slice_number(cells: Mapping[str, str], column: str, line: int, faults: Faults) -> int | None:
    """Return a cell's slice; None where it is empty or no whole number, which is a fault."""
    cell = cells[column]
    if cell.isascii() and cell.isdigit():
        return int(cell)
    if cell:
        message = f"expected the index of a slice, from 0 at the feet, found {cell!r}"
        faults.add(line, column, message, _EXCEL)
    return None
