"""Where levels lie in a scan, and how annotators count slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from bodycomp.annotation.grid import slice_heights_mm
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.errors import SeriesError, UsageError
from bodycomp.imaging.volume import Volume
from bodycomp.level_names import head_to_feet, level_named, vertebra_rank


@dataclass(frozen=True, slots=True)
class LevelMarks:
    """Levels of one scan.

    Attributes:
        z_mm: Level -> its height, of vertebrae the mid-height of the body, on the scale of the
            scan's ``slice_z_mm``; levels outside the scan are not in it.
        notes: What was left out; nothing identifying.
        outside_z_mm: The same of levels that were marked beyond the ends of the scan.
        slice_numbers: Level -> number of its slice as the file states it, of levels in the scan
            that were marked so.
    """

    z_mm: Mapping[str, float]
    notes: tuple[str, ...] = ()
    outside_z_mm: Mapping[str, float] = field(default_factory=dict)
    slice_numbers: Mapping[str, int] = field(default_factory=dict)


def level_in(text: str, where: str) -> str:
    """Return the level that a text of a file names; SeriesError if it can name none."""
    try:
        return level_named(text)
    except UsageError as error:
        raise SeriesError(f"{where}: {error.message}", hint=error.hint) from error


def z_of_heights(heights_mm: float, volume: Volume) -> float:
    """Return the ``slice_z_mm`` of a plane at this height along the slices' normal."""
    rise = heights_mm - float(slice_heights_mm(volume)[0])
    return float(volume.slice_z_mm[0]) + rise / volume.depth_per_z


def marks_inside(z_mm: Mapping[str, float], volume: Volume, notes: Sequence[str]) -> LevelMarks:
    """Return the levels that lie in the scan, within half the distance of its slices.

    Raises:
        SeriesError: Vertebrae that do not follow one another from head to feet.
    """
    names = head_to_feet(z_mm)
    vertebrae = [name for name in names if vertebra_rank(name) is not None]
    for upper, lower in pairwise(vertebrae):
        if z_mm[upper] <= z_mm[lower]:
            raise SeriesError(
                f"expected {upper} above {lower}, found z = {z_mm[upper]:.1f} mm and "
                f"{z_mm[lower]:.1f} mm",
                hint="Are slices counted from the other end, or two levels swapped?",
            )
    edge_mm = (volume.slice_spacing_mm or 1.0) / 2
    low, high = volume.slice_z_mm[0] - edge_mm, volume.slice_z_mm[-1] + edge_mm
    inside = {name: float(z_mm[name]) for name in names if low <= z_mm[name] <= high}
    outside = {name: float(z_mm[name]) for name in names if name not in inside}
    said = [f"{', '.join(outside)} outside the scan, left out"] if outside else []
    return LevelMarks(inside, (*notes, *said), outside)


def ways_of_counting(options: LevelOptions) -> Iterator[LevelOptions]:
    """Yield options for every way in which slices can be counted, that of ``options`` first."""
    yield options
    ends: tuple[Literal["feet", "head"], ...] = ("feet", "head")
    for from_end in ends:
        for first_slice in (0, 1):
            if (from_end, first_slice) != (options.from_end, options.first_slice):
                yield replace(options, from_end=from_end, first_slice=first_slice)


def slice_of_number(number: int, slices: int, options: LevelOptions) -> int | None:
    """Return the index from the feet of a slice counted as the options say, None beyond the scan.

    >>> slice_of_number(1, 4, LevelOptions(first_slice=1, from_end="head"))
    3
    """
    index = number - options.first_slice
    if not 0 <= index < slices:
        return None
    return index if options.from_end == "feet" else slices - 1 - index
