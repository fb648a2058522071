"""The slice-selection training set: a folder of PNG files and a table of offsets per split.

Tables are read strictly where a mistake would shift rows or columns.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.issues import MISSING_FILE, Issue, as_error, collect, error, row_place
from bodycomp.data.layout import (
    OPTIONAL_SPLITS,
    PATIENT_COLUMN,
    PLAIN_OFFSET_COLUMN,
    PNG_NAME,
    SERIES_COLUMN,
    offset_column,
    png_folder,
    png_name,
    table_path,
)
from bodycomp.level_names import check_levels

UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
COLUMNS_SHOWN: Final = 20


@dataclass(frozen=True, eq=False)
class Table:
    """A CSV table whose row i belongs to slice i; cells as text, unnamed columns empty."""

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
    there = [name or "(unnamed)" for name in table.columns[:COLUMNS_SHOWN]]
    left = len(table.columns) - len(there)
    more = f" and {left} more" if left else ""
    message = f"expected a column {' or '.join(names)}, found {', '.join(there) + more}"
    return error("column-missing", table.where, message, hint)


_LOOKS_LIKE_A_SLICE: Final = re.compile(r"\.(png|jpe?g|tiff?|bmp|gif|dcm|npy)$", re.IGNORECASE)
_ID_HINT: Final = "Name the slices 000000.png, 000001.png, ... without gaps."


@dataclass(frozen=True, eq=False)
class SliceSplit:
    """One split of a slice-selection training set; the PNG files are not read yet.

    ``offsets_mm`` (N, L) are positive above the level, NaN where not annotated. ``patient`` and
    ``series`` (N,) are cells of the columns PatientID and SeriesInstanceUID.
    """

    name: str
    folder: Path
    offsets_mm: NDArray[np.float32]
    patient: tuple[str, ...] | None = None
    series: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.offsets_mm)

    def png_path(self, index: int) -> Path:
        """Return the file of slice ``index``."""
        return self.folder / png_name(index)


def open_slice_split(data_dir: Path, split: str, levels: Sequence[str]) -> SliceSplit | None:
    """Open one split after checking file names and the table; no PNG is read.

    None for a test split that is not there; what breaks the format is an error. ``bodycomp
    validate`` lists all reasons.
    """
    opened, issues = inspect_slice_split(data_dir, split, levels)
    if issues:
        raise as_error(issues[0], data_dir / issues[0].where)
    return None if opened is None else opened[0]


def inspect_slice_split(
    data_dir: Path, split: str, levels: Sequence[str]
) -> tuple[tuple[SliceSplit, Table] | None, tuple[Issue, ...]]:
    """Check what file names and the table say.

    Returns the split with its table if nothing is wrong, and the errors; neither for a test split
    that is not there.
    """
    levels = check_levels(levels)
    folder, path = png_folder(data_dir, split), table_path(data_dir, split)
    if split in OPTIONAL_SPLITS and not folder.exists() and not path.exists():
        return None, ()
    count, named = _count_slices(folder, f"images/{split}")
    name_errors = collect(named, split)
    table, table_errors = read_table(path, f"meta/{split}.csv", split)
    if table is None:
        return None, (*name_errors, *table_errors)
    offsets_mm, offset_errors = read_offsets(table, levels, split)
    row_errors = () if name_errors else collect(_wrong_row_count(table, count, split), split)
    errors = (*name_errors, *row_errors, *offset_errors)
    if errors:
        return None, errors
    patient, series = table.column(PATIENT_COLUMN), table.column(SERIES_COLUMN)
    return (SliceSplit(split, folder, offsets_mm, patient, series), table), ()


def _count_slices(folder: Path, where: str) -> tuple[int, list[Issue]]:
    """Count the PNG files of a folder and check their names."""
    if not folder.is_dir():
        beside = sorted(p.name for p in folder.parent.iterdir()) if folder.parent.is_dir() else []
        found = ", ".join(beside[:8]) or "no images folder"
        message = f"expected a folder of PNG slices, found {found}"
        hint = "Slices lie in images/<split>/000000.png ..."
        return 0, [error(MISSING_FILE, where, message, hint)]
    issues: list[Issue] = []
    ids = []
    for name in sorted(path.name for path in folder.iterdir()):
        match = PNG_NAME.fullmatch(name)
        if match:
            ids.append(int(match[1]))
        elif _LOOKS_LIKE_A_SLICE.search(name) and not name.startswith("."):
            message = f"expected six digits and .png, found {name}"
            issues.append(error("png-name", f"{where}/{name}", message, _ID_HINT))
    if not ids:
        message = "expected at least one slice 000000.png, found none"
        issues.append(error("no-slices", where, message, _ID_HINT))
    elif ids[-1] != len(ids) - 1:
        first = next(index for index, number in enumerate(ids) if index != number)
        message = (
            f"expected IDs 000000 to {ids[-1]:06d} without gaps, found {ids[-1] + 1 - len(ids)} "
            f"missing, the first is {png_name(first)}"
        )
        hint = f"{_ID_HINT} Row i of the table belongs to ID i."
        issues.append(error("png-gap", where, message, hint))
    return len(ids), issues


def _wrong_row_count(table: Table, count: int, split: str) -> Iterator[Issue]:
    rows, folder = len(table), f"images/{split}"
    if rows == count:
        return
    detail = (
        f"the first row without a slice is row {count}: {folder}/{png_name(count)} is missing"
        if rows > count
        else f"the first slice without a row is {folder}/{png_name(rows)}"
    )
    message = f"expected a row for each of the {count} slices, found {rows} rows; {detail}"
    hint = "The header does not count; row i (from 0) belongs to slice i."
    yield error("row-count", table.where, message, hint)
