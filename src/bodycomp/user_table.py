"""Tables that people keep in spreadsheets, saved as CSV in whichever way theirs does it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bodycomp.errors import BodycompError, InputNotFoundError

_SEPARATOR: Final = re.compile(
    r'[\r\n]*"?sep=(?P<mark>[^"\r\n])"?[,;\t ]*(\r\n|\r|\n|$)', re.IGNORECASE
)
"""The line by which a table tells Excel what separates its columns; saved again it is a cell."""


@dataclass(frozen=True, slots=True)
class UserRow:
    """One row: the line on which it ends, from 1, and column -> text without blanks around it.

    Cells may identify people, so they are left out of ``repr``.
    """

    line: int
    cells: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class UserTable:
    """A table with a header: names of columns without blanks around, and rows not blank."""

    columns: tuple[str, ...]
    rows: tuple[UserRow, ...]


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row of a spreadsheet.

    Attributes:
        number: As the spreadsheet shows it, counted from 1; blank rows count.
        first_line, line: Lines of the file on which it begins and ends, counted from 1.
        cells: As stored; as many as there are columns, unless they are too few or too many.
    """

    number: int
    first_line: int
    line: int
    cells: tuple[str, ...] = field(repr=False)


def sheet_rows(text: str, *, strict: bool = True) -> list[SheetRow]:
    """Return the header and the rows that are not blank, as spreadsheets save them.

    Commas, semicolons or tabs separate, whichever the header has most of, or what a first line such
    as ``sep=;`` says. Columns without a name and without any content are left out, and so are empty
    cells behind the last column. If ``strict``, quotation marks in the wrong place are an error.

    Raises:
        csv.Error: No CSV; the message names the line.
    """
    stream = io.StringIO(text, newline="")
    declared = _SEPARATOR.match(text)
    skipped = len(declared[0].splitlines()) if declared else 0
    if declared:
        stream.seek(declared.end())
    mark = declared["mark"] if declared else max(",;\t", key=_first_line(text).count)
    reader = csv.reader(stream, delimiter=mark, strict=strict)
    rows, first = [], skipped + 1
    try:
        for number, cells in enumerate(reader, start=1):
            line = skipped + reader.line_num
            if any(cell.strip() for cell in cells):
                rows.append(SheetRow(number, first, line, tuple(cells)))
            first = line + 1
    except csv.Error as fault:
        raise csv.Error(f"line {skipped + reader.line_num}: {fault}") from fault
    return _without_blank_columns(rows)


def read_user_table(path: Path, what: str, error: type[BodycompError]) -> UserTable:
    """Read a table of ``what``, as messages call it, in UTF-8 by the rules of ``sheet_rows``.

    Raises:
        InputNotFoundError: The file is not there.
        BodycompError: Of the type ``error``: it is not text, no CSV, has a column twice, or a row
            with more or fewer cells than columns. The message names the line, no cell.
    """
    if not path.is_file():
        raise InputNotFoundError(f"expected a table of {what}, found nothing at {path}")
    try:
        found = sheet_rows(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        raise error(
            f"{path.name}: expected a table in UTF-8, found other bytes",
            hint="Save it as 'CSV UTF-8'.",
        ) from fault
    except csv.Error as fault:
        raise error(f"{path.name}: expected CSV ({fault})") from fault
    columns = tuple(name.strip() for name in found[0].cells) if found else ()
    if len(set(columns)) < len(columns):
        raise error(f"{path.name}: expected every column once, found one twice")
    rows = []
    for row in found[1:]:
        if len(row.cells) != len(columns):
            raise error(
                f"{path.name} line {row.line}: expected {len(columns)} cells, found "
                f"{len(row.cells)}"
            )
        cells = dict(zip(columns, (cell.strip() for cell in row.cells), strict=True))
        rows.append(UserRow(row.line, cells))
    return UserTable(columns, tuple(rows))


def _first_line(text: str) -> str:
    return "".join(text.lstrip("\r\n").splitlines()[:1])


def _without_blank_columns(rows: list[SheetRow]) -> list[SheetRow]:
    """Return rows without columns that hold nothing, whatever their rows have behind the last."""
    if not rows:
        return rows
    width = max(len(row.cells) for row in rows)
    used = [
        any(at < len(row.cells) and row.cells[at].strip() for row in rows) for at in range(width)
    ]
    named = [at for at, cell in enumerate(rows[0].cells) if cell.strip() or used[at]]
    last = max(named) + 1
    kept = []
    for row in rows:
        cells = [cell for at, cell in enumerate(row.cells) if at in named or at >= last]
        while len(cells) > len(named) and not cells[-1].strip():
            cells.pop()
        kept.append(replace(row, cells=tuple(cells)))
    return kept
