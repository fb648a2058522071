"""Tables of levels as CSV: one row per level, or one row per case with columns per level.

Long tables have a column ``level`` and one of ``sop_instance_uid``, ``slice_index`` and ``z_mm``;
wide ones have columns such as ``L3_slice_index``. Where a position is given in several ways, the
first of these three is taken; a height must then agree with a number. A column ``case`` or
``patient`` says whose rows they are. Commas, semicolons and tabs separate; case, blanks, hyphens
and underscores of column names do not count, but in names of levels that are no vertebrae.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bodycomp.annotation.level_marks import level_in, slice_of_number, ways_of_counting
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.errors import SeriesError, SliceCountError
from bodycomp.imaging.volume import MAX_SHEAR_DEGREES, Volume, obliquity_degrees
from bodycomp.level_names import vertebra_named
from bodycomp.scan import Scan
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
    """Return whose rows a table of levels holds, none if it names nobody; None for others."""
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
        found[level_in(cells["level"], f"{where} line {row.line}")] = dict(cells)
    else:
        for column, value in cells.items():
            name, _, position = column.rpartition(" ")
            if name and value:
                found.setdefault(level_in(name, f"{where} line {row.line}"), {})[position] = value
    for level, values in found.items():
        given = [position for position in POSITIONS if values.get(position)]
        if given:
            yield Mark(row.line, level, given[0], values[given[0]], values.get("zmm", ""))


POSITIONS: Final = ("sopinstanceuid", "sliceindex", "zmm")
"""Columns that state a position, the first one that is there counts."""

ROUNDING_MM: Final = 0.05
"""Heights may be rounded to a tenth of a millimetre."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One level's position as the table states it; ``z_mm`` where a row has a height as well."""

    line: int
    level: str
    position: str
    value: str
    z_mm: str = ""


def place_mm(mark: Mark, scan: Scan, options: LevelOptions, where: str) -> float:
    """Return where a mark lies, on the scale of ``slice_z_mm``.

    Raises:
        SliceCountError: The slice is there if the first one has another number.
        SeriesError: It is no number, names a slice that the scan lacks, or contradicts a height.
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
    number = _number(mark.value, at)
    degrees = obliquity_degrees(scan.volume.orientation)
    if mark.position == "zmm":
        if degrees > MAX_SHEAR_DEGREES:
            raise SeriesError(
                f"{at}: expected axial slices for a level given by its z, found slices that lean "
                f"by {degrees:.1f} degrees, each of which covers many z",
                hint="Give the slice index or the SOPInstanceUID, a landmark or vertebra labels.",
            )
        return number
    index = slice_of_number(int(number), len(scan.volume), options) if number.is_integer() else None
    if index is None:
        raise _no_such_slice(at, mark.value, len(scan.volume), options)
    z_mm = float(scan.volume.slice_z_mm[index])
    if mark.z_mm and degrees <= MAX_SHEAR_DEGREES:
        _check_height(at, int(number), z_mm, _number(mark.z_mm, at), scan.volume, options)
    return z_mm


def _no_such_slice(at: str, value: str, slices: int, options: LevelOptions) -> SeriesError:
    first, last = options.first_slice, options.first_slice + slices - 1
    message = f"{at}: expected the number of a slice in {first}..{last}, found {value}"
    other = 1 - first
    if float(value) == (last + 1 if other else 0):
        return SliceCountError(
            message,
            hint=f"The table seems to count slices from {other}: all its levels are then one slice "
            f"off. Say --levels-first-slice {other}.",
        )
    return SeriesError(
        message, hint="Say from which end slices are counted, and whether from 0 or 1."
    )


def _check_height(
    at: str, number: int, slice_mm: float, z_mm: float, volume: Volume, options: LevelOptions
) -> None:
    """Check that a row's height is that of its slice."""
    slack_mm = (volume.slice_spacing_mm or 1.0) / 2 + ROUNDING_MM
    if abs(z_mm - slice_mm) <= slack_mm:
        return
    hint = "Keep the column that is right."
    for other in ways_of_counting(options):
        index = slice_of_number(number, len(volume), other)
        if index is not None and abs(z_mm - volume.slice_z_mm[index]) <= slack_mm:
            hint = (
                f"They agree where slices are counted from the {other.from_end} from "
                f"{other.first_slice}: say --levels-from {other.from_end} --levels-first-slice "
                f"{other.first_slice}."
            )
            break
    raise SeriesError(
        f"{at}: expected slice_index and z_mm of one place, found slice {number} at z = "
        f"{slice_mm:.1f} mm and z_mm {z_mm:.1f}",
        hint=hint,
    )


def _number(value: str, at: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SeriesError(
            f"{at}: expected a number, found {value!r}",
            hint="Leave the cell empty where the level was not marked; decimals take a point.",
        )
    return number
