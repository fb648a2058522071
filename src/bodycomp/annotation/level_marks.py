"""Where vertebral levels lie in a scan, and how annotators name and count them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

from bodycomp.anatomy import LEVEL_NAMES, level_order
from bodycomp.annotation.grid import slice_heights_mm
from bodycomp.errors import SeriesError
from bodycomp.imaging.volume import Volume

_NAME: Final = re.compile(
    r"(?:vertebrae?|level)?[\s_-]*(?P<part>C|TH?|L|S)\s?0?(?P<number>[0-9]{1,2})"
    r"(?:[\s_-]*(?:vertebra|body))?",
    re.IGNORECASE,
)


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
        z_mm: Level -> mid-height of its vertebral body, on the scale of the scan's ``slice_z_mm``;
            levels outside the scan are not in it.
        notes: What was left out; nothing identifying.
        outside_z_mm: The same of levels that were marked beyond the ends of the scan.
    """

    z_mm: Mapping[str, float]
    notes: tuple[str, ...] = ()
    outside_z_mm: Mapping[str, float] = field(default_factory=dict)


def level_named(text: str) -> str | None:
    """Return the level that a name means, None if it means none.

    >>> [level_named(n) for n in ("l3", "vertebrae_T12", "Th 5", "L3 body", "L6", "liver")]
    ['L3', 'T12', 'T5', 'L3', None, None]
    """
    found = _NAME.fullmatch(text.strip())
    if found is None:
        return None
    name = f"{found['part'][0].upper()}{int(found['number'])}"
    return name if name in LEVEL_NAMES else None


def z_of_heights(heights_mm: float, volume: Volume) -> float:
    """Return the ``slice_z_mm`` of a plane at this height along the slices' normal."""
    rise = heights_mm - float(slice_heights_mm(volume)[0])
    return float(volume.slice_z_mm[0]) + rise / volume.depth_per_z


def marks_inside(z_mm: Mapping[str, float], volume: Volume, notes: Sequence[str]) -> LevelMarks:
    """Return the levels that lie in the scan, within half the distance of its slices.

    Raises:
        SeriesError: Levels that do not follow one another from head to feet.
    """
    names = sorted(z_mm, key=level_order)
    for upper, lower in pairwise(names):
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
