"""Tables for spreadsheets and statistics programs: CSV, and Parquet with typed columns."""

from __future__ import annotations

import csv
import importlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Final

from bodycomp.errors import OutputError, UsageError
from bodycomp.storage import atomic_file

Cell = str | int | float | None
"""None is an empty cell: not measured, or not stated."""

DECIMALS: Final = 4
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that spreadsheets calculate (OWASP, CSV injection)."""
_GUARD: Final = "'"
_ROWS_AT_ONCE: Final = 1000
"""Rows for Parquet that are held as Python's own values."""


class CsvTable:
    """A CSV table that grows row by row, in a file that is open for text."""

    def __init__(self, file: IO[str], columns: Sequence[str], *, header: bool = True) -> None:
        self._file = file
        self._writer = csv.DictWriter(file, columns, lineterminator="\n")
        if header:
            self._writer.writeheader()

    def append(self, row: Mapping[str, Cell]) -> None:
        """Write one row; missing columns and None become empty cells.

        Raises:
            OutputError: A column is not in the header.
        """
        try:
            self._writer.writerow(rounded_cells(row))
        except ValueError as error:
            raise OutputError(f"a table row has columns that its header lacks ({error})") from error
        self._file.flush()


@contextmanager
def open_table(path: Path, columns: Sequence[str]) -> Iterator[CsvTable]:
    """Yield a table; it appears as ``path`` at the end, or not at all."""
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield CsvTable(file, columns)


@contextmanager
def growing_table(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]
) -> Iterator[CsvTable]:
    """Yield a table that is in its place from the start, and has each row once it is known."""
    write_table(path, columns, rows)
    with path.open("a", encoding="utf-8", newline="") as file:
        yield CsvTable(file, columns, header=False)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> None:
    """Write a whole table, in place of an earlier one."""
    with open_table(path, columns) as table:
        for row in rows:
            table.append(row)


def rounded_cells(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Return cells with numbers of ``DECIMALS`` decimals."""
    return {
        key: round(cell, DECIMALS) if isinstance(cell, float) else cell
        for key, cell in cells.items()
    }


def check_parquet() -> None:
    """Check that Parquet can be written.

    Raises:
        UsageError: pyarrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError(
            "expected pyarrow to write Parquet with, found none",
            hint="Install it with: pip install 'bodycomp[parquet]'",
        )


def write_parquet(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> None:
    """Write a table whole or not at all, with every digit of its numbers, unlike CSV.

    A column without any value has the type null, which takes on the other file's type where several
    files are read together.

    Raises:
        UsageError: pyarrow is not installed.
    """
    check_parquet()
    arrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    parts = [
        arrow.table({name: [row.get(name) for row in part] for name in columns})
        for part in _batches(rows)
    ] or [arrow.table({name: [] for name in columns})]
    table = arrow.concat_tables(parts, promote_options="permissive").combine_chunks()
    with atomic_file(path) as temporary:
        parquet.write_table(table, temporary)


def _batches(rows: Iterable[Mapping[str, Cell]]) -> Iterator[list[Mapping[str, Cell]]]:
    waiting = iter(rows)
    while part := list(islice(waiting, _ROWS_AT_ONCE)):
        yield part


def guarded(text: str) -> str:
    """Return a text as a cell that every spreadsheet shows and none calculates.

    >>> guarded("=1+1"), guarded("fine")
    ("'=1+1", 'fine')
    """
    return _GUARD + text if text.startswith(_FORMULA_STARTS) else text


def unguarded(cell: str) -> str:
    """Return the text of a cell that ``guarded`` made.

    >>> unguarded("'=1+1"), unguarded("'quoted'")
    ('=1+1', "'quoted'")
    """
    is_guarded = cell.startswith(_GUARD) and cell[1:].startswith(_FORMULA_STARTS)
    return cell[1:] if is_guarded else cell


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    cells = [tuple(text.replace("|", "\\|") for text in row) for row in (heads, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return [lines[0], f"|{'---|' * len(heads)}", *lines[1:]]
