"""Where levels lie in a scan, and how annotators count slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from bodycomp.annotation.grid import slice_heights_mm
from bodycomp.errors import SeriesError
from bodycomp.imaging.axial import slice_normal
from bodycomp.imaging.volume import Volume
from bodycomp.level_names import head_to_feet, vertebra_rank


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelOptions:
    """What a file of levels cannot say by itself.

    Attributes:
        case: The rows of a table that count: its case or patient column has this text.
        first_slice: Number of the first slice; 0, or 1 as ITK-SNAP and many tables count.
        from_end: End of the body at which slices are counted from.
        vertebra_labels: Level -> label number in a vertebra map; empty for TotalSegmentator's.
    """

    case: str = field(default="", repr=False)
    first_slice: int = 0
    from_end: Literal["feet", "head"] = "feet"
    vertebra_labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LevelMarks:
    """Levels of one scan.

    Attributes:
        z_mm: Level -> its height, of vertebrae the mid-height of the body, on the scale of the
            scan's ``slice_z_mm``; levels outside the scan are not in it.
        notes: What was left out; nothing identifying.
        outside_z_mm: The same of levels that were marked beyond the ends of the scan.
    """

    z_mm: Mapping[str, float]
    notes: tuple[str, ...] = ()
    outside_z_mm: Mapping[str, float] = field(default_factory=dict)


def z_of_heights(heights_mm: float, volume: Volume) -> float:
    """Return the ``slice_z_mm`` of a plane at this height along the slices' normal."""
    rise = heights_mm - float(slice_heights_mm(volume)[0])
    return float(volume.slice_z_mm[0]) + rise * float(slice_normal(volume.orientation)[2])


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


def slice_of_number(number: int, volume: Volume, options: LevelOptions) -> int | None:
    """Return the index from the feet of a slice counted as the options say, None beyond the scan.

    >>> import numpy as np
    >>> volume = Volume(np.zeros((4, 1, 1), np.int16), (1.0, 1.0), np.arange(4.0))
    >>> slice_of_number(1, volume, LevelOptions(first_slice=1, from_end="head"))
    3
    """
    index = number - options.first_slice
    if not 0 <= index < len(volume):
        return None
    return index if options.from_end == "feet" else len(volume) - 1 - index
