"""Tables of levels as CSV: one row per level, or one row per case with columns per level.

Long tables have a column ``level`` and one of ``sop_instance_uid``, ``slice_index`` and ``z_mm``;
wide ones have columns such as ``L3_slice_index``. Where a position is given in several ways, the
first of these three is taken. A column ``case`` or ``patient`` says whose rows they are. Commas,
semicolons and tabs separate; case, blanks, hyphens and underscores of column names do not count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bodycomp.annotation.level_marks import (
    LevelOptions,
    level_named,
    slice_of_number,
)
from bodycomp.annotation.scan import Scan
from bodycomp.errors import SeriesError
from bodycomp.imaging.axial import MAX_SHEAR_DEGREES, obliquity_degrees
from bodycomp.user_table import UserRow, read_user_table

_POSITIONS: Final = ("sopinstanceuid", "sliceindex", "zmm")
_CASES: Final = ("case", "caseid", "patient", "patientid")
_COLUMNS: Final = (
    "Give a column level and one of sop_instance_uid, slice_index and z_mm, or a column per level "
    "such as L3_slice_index."
)


@dataclass(frozen=True, slots=True)
class _Mark:
    """One level's position as the table states it."""

    line: int
    level: str
    position: str
    value: str


def read_level_table(path: Path, scan: Scan, options: LevelOptions) -> dict[str, float]:
    """Return level -> z in mm from the rows that belong to the case.

    Raises:
        InputNotFoundError: The file is not there.
        SeriesError: No column for level or position; an unknown level; text where a number
            belongs; a slice that the scan lacks; no row for the case, or rows of several cases;
            one level in two places.
    """
    rows = _rows_of_case(_read(path), options, path.name)
    z_mm: dict[str, float] = {}
    for row in rows:
        for mark in _marks(row, path.name):
            found = _z_mm(mark, scan, options, path.name)
            if z_mm.setdefault(mark.level, found) != found:
                raise SeriesError(
                    f"{path.name} line {mark.line}: expected one position of {mark.level}, "
                    "found a second one",
                    hint="Does the table hold several scans? Name the case in a column of its own.",
                )
    return z_mm


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
    """Return the rows; keys of their cells are plain column names."""
    table = read_user_table(path, "levels", SeriesError)
    columns = [_plain(name) for name in table.columns]
    _check_columns(columns, path.name)
    return [
        UserRow(row.line, dict(zip(columns, row.cells.values(), strict=True))) for row in table.rows
    ]


def _check_columns(columns: list[str], where: str) -> None:
    is_long = "level" in columns and any(name in columns for name in _POSITIONS)
    if not is_long and not any(_wide_column(name) for name in columns):
        found = ", ".join(columns) or "none"
        raise SeriesError(f"{where}: expected columns of levels, found {found}", hint=_COLUMNS)
    if len(set(columns)) < len(columns):
        raise SeriesError(f"{where}: expected every column once, found one twice")


def _wide_column(column: str) -> tuple[str, str] | None:
    """Return level and position that a column such as ``l3sliceindex`` holds, None for others."""
    for position in _POSITIONS:
        level = level_named(column.removesuffix(position)) if column.endswith(position) else None
        if level is not None:
            return level, position
    return None


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


def _marks(row: UserRow, where: str) -> Iterator[_Mark]:
    """Yield the levels of one row; empty positions are levels that were not marked."""
    cells = row.cells
    if "level" in cells:
        level = level_named(cells["level"])
        if level is None:
            raise SeriesError(
                f"{where} line {row.line}: expected a level such as L3, found {cells['level']!r}",
                hint="Levels are C1..C7, T1..T12, L1..L5 and S1.",
            )
        for position in _POSITIONS:
            if cells.get(position):
                yield _Mark(row.line, level, position, cells[position])
                return
        return
    marks: dict[str, _Mark] = {}
    for column, value in cells.items():
        wide = _wide_column(column)
        if wide and value:
            level, position = wide
            mark = _Mark(row.line, level, position, value)
            known = marks.setdefault(level, mark)
            if _POSITIONS.index(position) < _POSITIONS.index(known.position):
                marks[level] = mark
    yield from marks.values()


def _check_one_height(scan: Scan, at: str) -> None:
    """Check that a z means one slice: slices that lean have a z of their own at every pixel.

    Raises:
        SeriesError: The slices are oblique, or the gantry was tilted.
    """
    degrees = obliquity_degrees(scan.volume.orientation)
    if degrees > MAX_SHEAR_DEGREES:
        raise SeriesError(
            f"{at}: expected axial slices for a level given by its z, found slices that lean by "
            f"{degrees:.1f} degrees, each of which covers many z",
            hint="Give the slice index or the SOPInstanceUID, a landmark or vertebra labels.",
        )


def _z_mm(mark: _Mark, scan: Scan, options: LevelOptions, where: str) -> float:
    """Return where a mark lies.

    Raises:
        SeriesError: It is no number, or names a slice that the scan lacks.
    """
    at = f"{where} line {mark.line}, {mark.level}"
    if mark.position == "sopinstanceuid":
        count = scan.sop_instance_uids.count(mark.value)
        if count != 1:
            found = f"one that {count} slices share" if count else "another one"
            raise SeriesError(
                f"{at}: expected the SOPInstanceUID of one slice of the scan, found {found}",
                hint="Mark the level by its slice index or z, or choose the series on which it "
                "was marked.",
            )
        return float(scan.volume.slice_z_mm[scan.sop_instance_uids.index(mark.value)])
    number = _number(mark, at)
    if mark.position == "zmm":
        _check_one_height(scan, at)
        return number
    index = slice_of_number(int(number), scan.volume, options) if number.is_integer() else None
    if index is None:
        first, last = options.first_slice, options.first_slice + len(scan.volume) - 1
        raise SeriesError(
            f"{at}: expected the number of a slice in {first}..{last}, found {mark.value}",
            hint="Say from which end slices are counted, and whether from 0 or 1.",
        )
    return float(scan.volume.slice_z_mm[index])


def _number(mark: _Mark, at: str) -> float:
    try:
        number = float(mark.value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SeriesError(
            f"{at}: expected a number, found {mark.value!r}",
            hint="Leave the cell empty where the level was not marked; decimals take a point.",
        )
    return number
