"""The CSV table beside the slices: read strictly where a mistake would shift rows or columns."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.issues import MISSING_FILE, Issue, IssueList, row_place
from bodycomp.data.layout import PLAIN_OFFSET_COLUMN, offset_column

UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
COLUMNS_SHOWN: Final = 20


@dataclass(frozen=True, eq=False)
class Table:
    """A CSV table whose row i belongs to slice i.

    Attributes:
        where: Name of the file for messages.
        columns: Names in the header, without surrounding blanks; an unnamed one is empty.
        rows: Cells as text, as many per row as there are columns.
    """

    where: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> tuple[str, ...] | None:
        """Return the cells of the only column of this name, None if there is none or several."""
        if self.columns.count(name) != 1:
            return None
        index = self.columns.index(name)
        return tuple(row[index].strip() for row in self.rows)

    def describe_columns(self) -> str:
        """List the columns that are there, for a message."""
        names = [name or "(unnamed)" for name in self.columns[:COLUMNS_SHOWN]]
        more = len(self.columns) - len(names)
        return ", ".join(names) + (f" and {more} more" if more else "")


def read_table(path: Path, where: str, split: str) -> tuple[Table | None, tuple[Issue, ...]]:
    """Read a CSV file, with or without byte-order mark, any line ends, quoted or not.

    Returns:
        The table, None if it cannot be used; and the errors.
    """
    issues = IssueList(split)
    if not path.is_file():
        message = f"expected this table in {path.parent}, found no such file"
        hint = "Each split needs meta/<split>.csv with a row per slice."
        issues.error(MISSING_FILE, where, message, hint)
        return None, issues.all()
    data = path.read_bytes()
    if data.startswith(UTF16_MARKS) or b"\0" in data:
        message = "expected plain text in UTF-8, found UTF-16 or a binary file"
        hint = "Save as 'CSV UTF-8 (comma delimited)'."
        issues.error("table-unreadable", where, message, hint)
        return None, issues.all()
    # Only columns that are not read may hold other encodings, so that no byte is fatal.
    text = data.decode("utf-8-sig", errors="replace")
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        message = f"expected a comma-separated table, found one that cannot be read ({error})"
        issues.error("table-unreadable", where, message, "Check the quotation marks.")
        return None, issues.all()
    while lines and not any(cell.strip() for cell in lines[-1]):
        lines.pop()
    if not lines:
        message = "expected a header and a row per slice, found an empty file"
        issues.error("table-empty", where, message, "Write the table again.")
        return None, issues.all()
    columns = tuple(name.strip() for name in lines[0])
    _check_separator(issues, where, columns)
    if not issues.all():
        _check_row_lengths(issues, split, lines)
    errors = issues.all()
    table = Table(where, columns, tuple(tuple(line) for line in lines[1:]))
    return (None if errors else table), errors


def read_offsets(
    table: Table, levels: Sequence[str], split: str
) -> tuple[NDArray[np.float32], tuple[Issue, ...]]:
    """Read the offsets of every level.

    Args:
        table: The table of one split.
        levels: Known level names without repeats.
        split: The split whose table it is.

    Returns:
        (row, level) offsets in mm, NaN where a level was not annotated; and the errors.
    """
    issues = IssueList(split)
    offsets_mm = np.full((len(table), len(levels)), np.nan, np.float32)
    for position, level in enumerate(levels):
        name = _find_offset_column(issues, table, level, single=len(levels) == 1)
        cells = None if name is None else table.column(name)
        if name is None or cells is None:
            continue
        for row, cell in enumerate(cells):
            offset = _parse_offset(cell)
            if offset is None:
                message = f"expected an offset in mm or an empty cell, found {cell!r}"
                hint = (
                    "Write a finite number with a decimal point; leave the cell empty where the "
                    "level was not annotated."
                )
                where = row_place(split, row, name)
                issues.error("offset-not-a-number", where, message, hint)
            else:
                offsets_mm[row, position] = offset
    return offsets_mm, issues.all()


def _parse_offset(cell: str) -> float | None:
    """Return an offset in mm, NaN for an empty cell, None for anything else."""
    if not cell:
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        return None
    fits = math.isfinite(value) and abs(value) <= float(np.finfo(np.float32).max)
    return value if fits and "_" not in cell else None


def _find_offset_column(issues: IssueList, table: Table, level: str, *, single: bool) -> str | None:
    wanted = offset_column(level)
    names = (wanted, PLAIN_OFFSET_COLUMN) if single else (wanted,)
    for name in names:
        count = table.columns.count(name)
        if count > 1:
            message = f"expected one column {name}, found {count}"
            issues.error("column-repeated", table.where, message, "Keep one of them.")
            return None
        if count == 1:
            return name
    hint = (
        f"Name the column {wanted} or {PLAIN_OFFSET_COLUMN}, or name other levels with -L."
        if single
        else f"Plain {PLAIN_OFFSET_COLUMN} is accepted for a single level only; name the levels "
        "that are there with -L."
    )
    message = f"expected a column {' or '.join(names)}, found {table.describe_columns()}"
    issues.error("column-missing", table.where, message, hint)
    return None


def _check_separator(issues: IssueList, where: str, columns: tuple[str, ...]) -> None:
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(columns) == 1 and mark in columns[0]:
            message = f"expected columns separated by commas, found {name}"
            hint = "Save with commas between columns and a point as the decimal mark."
            issues.error("table-separator", where, message, hint)


def _check_row_lengths(issues: IssueList, split: str, lines: list[list[str]]) -> None:
    width = len(lines[0])
    for row, cells in enumerate(lines[1:]):
        if len(cells) == width:
            continue
        found = f"{len(cells)}" if cells else "an empty line"
        message = f"expected {width} cells as in the header, found {found}"
        hint = "Each row belongs to the slice of its number; a broken row would shift the others."
        issues.error("table-row-length", row_place(split, row), message, hint)
