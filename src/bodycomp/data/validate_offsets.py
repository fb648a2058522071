"""What is wrong with the offsets of single rows: no body is that long, no spine so ordered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.findings import Finding, Rule
from bodycomp.data.naming import offset_column
from bodycomp.data.places import row_place
from bodycomp.data.slice_set import SliceSplit
from bodycomp.level_names import head_to_feet, vertebra_rank

OFFSET_FAR: Final = Rule(
    "offset-far",
    "error",
    "Offsets are mm between slice and level; check for a lost decimal point or another unit.",
)
LEVEL_ORDER: Final = Rule(
    "level-order",
    "error",
    "Offsets are slice minus level, positive towards the head: the higher the level, the smaller "
    "its offset. Look for swapped columns or a reversed sign.",
)
LEVEL_DISTANCE: Final = Rule(
    "level-distance",
    "warning",
    "Check which vertebra was marked (one off is common), and that offsets are in mm.",
)

LONGEST_BODY_MM: Final = 2500.0

STEP_MM: Final = (9.0, 55.0)
"""From one level to the next. Vertebra and disc take 18 to 40 mm in adults, least in the neck, most
in the lumbar spine (Busscher et al., Eur Spine J 19, 2010; the phantom: 20 to 42 mm), and half of
that in small children."""


def check_rows(split: SliceSplit, levels: Sequence[str]) -> Iterator[Finding]:
    """Yield rows whose offsets cannot be, or contradict each other where levels are vertebrae."""
    for position, level in enumerate(levels):
        offsets_mm = split.offsets_mm[:, position]
        for row in np.flatnonzero(np.abs(offsets_mm) > LONGEST_BODY_MM).tolist():
            found = float(offsets_mm[row])
            message = f"expected at most {LONGEST_BODY_MM:.0f} mm, found {found:g} mm"
            yield OFFSET_FAR.broken(
                row_place(split.name, row, offset_column(level)), message, found
            )
    ranks = {name: rank for name in levels if (rank := vertebra_rank(name)) is not None}
    for names in pairwise(head_to_feet(ranks)):
        offsets_mm = split.offsets_mm[:, [levels.index(name) for name in names]]
        yield from _check_pair(split, names, ranks[names[1]] - ranks[names[0]], offsets_mm)


def _check_pair(
    split: SliceSplit, names: tuple[str, str], steps: int, offsets_mm: NDArray[np.float32]
) -> Iterator[Finding]:
    """Judge the distance of two neighbouring vertebrae; once for each series, whose rows agree."""
    distances_mm = offsets_mm[:, 1] - offsets_mm[:, 0]
    low_mm, high_mm = (steps * limit for limit in STEP_MM)
    told: set[str] = set()
    known = np.isfinite(distances_mm)
    for row in np.flatnonzero(known & ~((distances_mm >= low_mm) & (distances_mm <= high_mm))):
        series = split.series[row] if split.series is not None else ""
        if series in told:
            continue
        told |= {series} if series else set()
        distance_mm = float(distances_mm[row])
        place = row_place(split.name, int(row))
        if distance_mm <= 0:
            message = (
                f"expected {names[0]} above {names[1]}, found it {-distance_mm:g} mm below: "
                f"offsets {offsets_mm[row, 0]:g} and {offsets_mm[row, 1]:g} mm"
            )
            yield LEVEL_ORDER.broken(place, message, distance_mm)
        else:
            message = (
                f"expected {low_mm:.0f} to {high_mm:.0f} mm between {names[0]} and {names[1]}, "
                f"found {distance_mm:g} mm"
            )
            yield LEVEL_DISTANCE.broken(place, message, distance_mm)
