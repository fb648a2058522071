"""Tables of levels as CSV: one row per level, or one row per case with columns per level.

Long tables have a column ``level`` and one of ``sop_instance_uid``, ``slice_index`` and ``z_mm``;
wide ones have columns such as ``L3_slice_index``. Where a position is given in several ways, the
first of these three is taken; a height must then agree with a number. A column ``case`` or
``patient`` says whose rows they are. Commas, semicolons and tabs separate; case, blanks, hyphens
and underscores of column names do not count, but in names of levels that are no vertebrae.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bodycomp.annotation.level_marks import LevelOptions
from bodycomp.annotation.mark_place import POSITIONS, Mark, place_mm
from bodycomp.annotation.scan import Scan
from bodycomp.errors import SeriesError, UsageError
from bodycomp.level_names import level_named, vertebra_named
from bodycomp.user_table import UserRow, read_user_table

_WIDE: Final = re.compile(
    r"(?P<level>.+?)[ _-]*(?P<position>sop[ _-]*instance[ _-]*uid|slice[ _-]*index|z[ _-]*mm)",
    re.IGNORECASE,
)
_CASES: Final = ("case", "caseid", "patient", "patientid")
_COLUMNS: Final = (
    "Give a column level and one of sop_instance_uid, slice_index and z_mm, or a column per level "
    "such as L3_slice_index."
)


def read_level_table(
    path: Path, scan: Scan, options: LevelOptions
) -> tuple[dict[str, float], dict[str, int]]:
    """Return level -> z in mm from the rows of the case, and level -> number of those counted.

    Raises:
        InputNotFoundError: The file is not there.
        SeriesError: No column for level or position; an unknown level; text where a number
            belongs; a slice that the scan lacks; no row for the case, or rows of several cases;
            one level in two places.
        SliceCountError: A slice that the scan has if slices are counted from 1 rather than 0, or
            from 0 rather than 1.
    """
    rows = _rows_of_case(_read(path), options, path.name)
    z_mm: dict[str, float] = {}
    numbers: dict[str, int] = {}
    for row in rows:
        for mark in _marks(row, path.name):
            found = place_mm(mark, scan, options, path.name)
            if mark.position == "sliceindex":
                numbers[mark.level] = int(float(mark.value))
            if z_mm.setdefault(mark.level, found) != found:
                raise SeriesError(
                    f"{path.name} line {mark.line}: expected one position of {mark.level}, "
                    "found a second one",
                    hint="Does the table hold several scans? Name the case in a column of its own.",
                )
    return z_mm, numbers


def cases_of_table(path: Path) -> frozenset[str] | None:
    """Return whose rows a table of levels holds, empty if it names nobody; None for other tables.

    Raises:
        InputNotFoundError: The file is not there.
    """
    try:
        rows = _read(path)
    except SeriesError:
        return None
    return frozenset(row.cells[name] for row in rows for name in _CASES if row.cells.get(name))


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c not in " _-")


def _read(path: Path) -> list[UserRow]:
    """Return the rows; keys of their cells are plain column names, or level and position."""
    table = read_user_table(path, "levels", SeriesError)
    columns = [" ".join(_wide_column(name) or (_plain(name),)) for name in table.columns]
    _check_columns(columns, path.name)
    return [
        UserRow(row.line, dict(zip(columns, row.cells.values(), strict=True))) for row in table.rows
    ]


def _check_columns(columns: list[str], where: str) -> None:
    is_long = "level" in columns and any(name in columns for name in POSITIONS)
    if not is_long and not any(" " in name for name in columns):
        found = ", ".join(columns) or "none"
        raise SeriesError(f"{where}: expected columns of levels, found {found}", hint=_COLUMNS)
    if len(set(columns)) < len(columns):
        raise SeriesError(f"{where}: expected every column once, found one twice")


def _wide_column(column: str) -> tuple[str, str] | None:
    """Return level and position that a column holds, None for others.

    >>> _wide_column("l3 Slice Index"), _wide_column("L3mid_z_mm"), _wide_column("z_mm")
    (('L3', 'sliceindex'), ('L3mid', 'zmm'), None)
    """
    found = _WIDE.fullmatch(column)
    if found is None:
        return None
    return vertebra_named(found["level"]) or found["level"], _plain(found["position"])


def _rows_of_case(rows: list[UserRow], options: LevelOptions, where: str) -> list[UserRow]:
    columns = [name for name in _CASES if rows and name in rows[0].cells]
    if not columns:
        return rows
    if options.case:
        chosen = [row for row in rows if options.case in (row.cells[name] for name in columns)]
        if not chosen:
            raise SeriesError(
                f"{where}: expected rows for the case, found none in column {columns[0]}",
                hint="Write the case's name as the cases table has it.",
            )
        return chosen
    cases = {row.cells[columns[0]] for row in rows}
    if len(cases) > 1:
        raise SeriesError(
            f"{where}: expected the levels of one scan, found {len(cases)} cases",
            hint="Say which case the rows to take belong to.",
        )
    return rows


def _marks(row: UserRow, where: str) -> Iterator[Mark]:
    """Yield the levels of one row; empty positions are levels that were not marked."""
    cells = row.cells
    found: dict[str, dict[str, str]] = {}
    if "level" in cells:
        found[_level(cells["level"], f"{where} line {row.line}")] = dict(cells)
    else:
        for column, value in cells.items():
            name, _, position = column.rpartition(" ")
            if name and value:
                found.setdefault(_level(name, f"{where} line {row.line}"), {})[position] = value
    for level, values in found.items():
        given = [position for position in POSITIONS if values.get(position)]
        if given:
            yield Mark(row.line, level, given[0], values[given[0]], values.get("zmm", ""))


def _level(text: str, where: str) -> str:
    """Return the level that a text names.

    Raises:
        SeriesError: It can name none.
    """
    try:
        return level_named(text)
    except UsageError as error:
        raise SeriesError(f"{where}: {error.message}", hint=error.hint) from error
