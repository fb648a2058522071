"""Tables that people keep in spreadsheets, saved as CSV in whichever way theirs does it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bodycomp.errors import BodycompError, InputNotFoundError


@dataclass(frozen=True, slots=True)
class UserRow:
    """One row; cells may identify people, so they are left out of ``repr``.

    Attributes:
        line: Line of the file on which it ends, counted from 1.
        cells: Column -> text without blanks around it.
    """

    line: int
    cells: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class UserTable:
    """A table with a header.

    Attributes:
        columns: Names of the columns, without blanks around them.
        rows: Rows that are not blank.
    """

    columns: tuple[str, ...]
    rows: tuple[UserRow, ...]


def read_user_table(path: Path, what: str, error: type[BodycompError]) -> UserTable:
    """Read a table in UTF-8 with commas, semicolons or tabs, whichever its header has most of.

    Args:
        path: The file.
        what: What it is a table of, for messages.
        error: Raised where the table cannot be right.

    Raises:
        InputNotFoundError: The file is not there.
        BodycompError: Of the type ``error``: it is not text, no CSV, has a column twice, or a row
            with more or fewer cells than columns. The message names the line, no cell.
    """
    if not path.is_file():
        raise InputNotFoundError(f"expected a table of {what}, found nothing at {path}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as fault:
        raise error(
            f"{path.name}: expected a table in UTF-8, found other bytes",
            hint="Save it as 'CSV UTF-8'.",
        ) from fault
    header = text.split("\n", 1)[0]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True
    )
    try:
        columns = tuple(name.strip() for name in next(reader, []))
        found = [(reader.line_num, cells) for cells in reader]
    except csv.Error as fault:
        raise error(f"{path.name} line {reader.line_num}: expected CSV ({fault})") from fault
    if len(set(columns)) < len(columns):
        raise error(f"{path.name}: expected every column once, found one twice")
    rows = []
    for line, cells in found:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            raise error(
                f"{path.name} line {line}: expected {len(columns)} cells, found {len(cells)}"
            )
        row = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
        rows.append(UserRow(line, row))
    return UserTable(columns, tuple(rows))
