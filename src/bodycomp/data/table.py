"""The CSV table beside the slices: read strictly where a mistake would shift rows or columns."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.issues import MISSING_FILE, Issue, collect, error, row_place
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

    Returns no table if it cannot be used, and the errors.
    """
    lines = _read_lines(path, where)
    if isinstance(lines, Issue):
        return None, collect([lines], split)
    table = Table(where, tuple(name.strip() for name in lines[0]), tuple(map(tuple, lines[1:])))
    errors = collect(_wrong_rows(table, split), split)
    return (None if errors else table), errors


def _read_lines(path: Path, where: str) -> list[list[str]] | Issue:
    if not path.is_file():
        message = f"expected this table in {path.parent}, found no such file"
        hint = "Each split needs meta/<split>.csv with a row per slice."
        return error(MISSING_FILE, where, message, hint)
    data = path.read_bytes()
    if data.startswith(UTF16_MARKS) or b"\0" in data:
        message = "expected plain text in UTF-8, found UTF-16 or a binary file"
        hint = "Save as 'CSV UTF-8 (comma delimited)'."
        return error("table-unreadable", where, message, hint)
    # Only columns that are not read may hold other encodings, so that no byte is fatal.
    text = data.decode("utf-8-sig", errors="replace")
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as fault:
        message = f"expected a comma-separated table, found one that cannot be read ({fault})"
        return error("table-unreadable", where, message, "Check the quotation marks.")
    while lines and not any(cell.strip() for cell in lines[-1]):
        lines.pop()
    message = "expected a header and a row per slice, found an empty file"
    return lines or error("table-empty", where, message, "Write the table again.")


def _wrong_rows(table: Table, split: str) -> Iterator[Issue]:
    width = len(table.columns)
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if width == 1 and mark in table.columns[0]:
            message = f"expected columns separated by commas, found {name}"
            hint = "Save with commas between columns and a point as the decimal mark."
            yield error("table-separator", table.where, message, hint)
            return
    for row, cells in enumerate(table.rows):
        if len(cells) != width:
            found = f"{len(cells)}" if cells else "an empty line"
            message = f"expected {width} cells as in the header, found {found}"
            hint = (
                "Each row belongs to the slice of its number; a broken row would shift the others."
            )
            yield error("table-row-length", row_place(split, row), message, hint)


def read_offsets(
    table: Table, levels: Sequence[str], split: str
) -> tuple[NDArray[np.float32], tuple[Issue, ...]]:
    """Read the offsets of every level.

    Returns (row, level) offsets in mm, NaN where a level was not annotated; and the errors.
    """
    offsets_mm = np.full((len(table), len(levels)), np.nan, np.float32)
    issues: list[Issue] = []
    for position, level in enumerate(levels):
        name = _offset_column_of(table, level, single=len(levels) == 1)
        if isinstance(name, Issue):
            issues.append(name)
            continue
        for row, cell in enumerate(table.column(name) or ()):
            offset = _parse_offset(cell)
            if offset is None:
                message = f"expected an offset in mm or an empty cell, found {cell!r}"
                hint = (
                    "Write a finite number with a decimal point; leave the cell empty where the "
                    "level was not annotated."
                )
                place = row_place(split, row, name)
                issues.append(error("offset-not-a-number", place, message, hint))
            else:
                offsets_mm[row, position] = offset
    return offsets_mm, collect(issues, split)


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


def _offset_column_of(table: Table, level: str, *, single: bool) -> str | Issue:
    named = offset_column(level)
    names = (named, PLAIN_OFFSET_COLUMN) if single else (named,)
    for name in names:
        count = table.columns.count(name)
        if count > 1:
            message = f"expected one column {name}, found {count}"
            return error("column-repeated", table.where, message, "Keep one of them.")
        if count == 1:
            return name
    hint = (
        f"Name the column {named} or {PLAIN_OFFSET_COLUMN}, or name other levels with -L."
        if single
        else f"Plain {PLAIN_OFFSET_COLUMN} is accepted for a single level only; name the levels "
        "that are there with -L."
    )
    message = f"expected a column {' or '.join(names)}, found {table.describe_columns()}"
    return error("column-missing", table.where, message, hint)
