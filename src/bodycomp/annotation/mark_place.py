"""Where one row of a table of levels places a level, by UID, number of the slice, or height."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from bodycomp.annotation.level_marks import LevelOptions, slice_of_number, ways_of_counting
from bodycomp.annotation.scan import Scan
from bodycomp.errors import SeriesError, SliceCountError
from bodycomp.imaging.axial import MAX_SHEAR_DEGREES, obliquity_degrees
from bodycomp.imaging.volume import Volume

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
    """Check that a row's height is that of its slice.

    Raises:
        SeriesError: It is another one; the hint names the way of counting that explains it.
    """
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
