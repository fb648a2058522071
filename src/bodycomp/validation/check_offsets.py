"""What is wrong with offsets: of single rows, and of series that run the wrong way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.issues import Issue, Rule, row_place, table_place
from bodycomp.data.layout import offset_column
from bodycomp.data.slice_set import SliceSplit
from bodycomp.level_names import head_to_feet, vertebra_rank
from bodycomp.validation.check_series import rows_of_series

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

OFFSET_REVERSED: Final = Rule(
    "offset-reversed",
    "warning",
    "Offsets are positive above the level, towards the head: turn their sign, or the slice order.",
)

SET_REVERSED: Final = Rule(
    "set-reversed",
    "error",
    "Offsets are positive above the level, towards the head: turn signs.",
)

LUNG_SHARE: Final = 0.15
"""Share of the body that is black; slices through the lungs have more, bowel gas makes less."""

FEWEST_SLICES: Final = 3
BELOW: Final = -0.15
"""Of the series' extent; in phantom series lungs lie 0.3 to 0.7 of it above the rest."""

MOST_SERIES: Final = 0.5
FEWEST_SERIES: Final = 3


def check_rows(split: SliceSplit, levels: Sequence[str]) -> Iterator[Issue]:
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
) -> Iterator[Issue]:
    """Check the distance of two neighbouring vertebrae; once for each series, whose rows agree."""
    distances_mm = offsets_mm[:, 1] - offsets_mm[:, 0]
    low_mm, high_mm = (steps * limit for limit in STEP_MM)
    reported: set[str] = set()
    known = np.isfinite(distances_mm)
    for row in np.flatnonzero(known & ~((distances_mm >= low_mm) & (distances_mm <= high_mm))):
        series = split.series[row] if split.series is not None else ""
        if series in reported:
            continue
        reported |= {series} if series else set()
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


def check_direction(split: SliceSplit, facts: NDArray[np.void]) -> Iterator[Issue]:
    """Yield series whose lungs lie below the rest, and a split where that is the rule."""
    heights = {
        int(rows[0]): height
        for rows in rows_of_series(split.series).values()
        if (height := lung_height(split.offsets_mm[rows], facts[rows])) is not None
    }
    reversed_rows = [row for row, height in heights.items() if height < BELOW]
    if len(heights) >= FEWEST_SERIES and len(reversed_rows) > MOST_SERIES * len(heights):
        message = (
            f"expected lungs at larger offsets than the belly, found them at smaller ones in "
            f"{len(reversed_rows)} of {len(heights)} series"
        )
        yield SET_REVERSED.broken(table_place(split.name), message, len(reversed_rows))
        return
    for row in reversed_rows:
        message = (
            "expected lungs at larger offsets than the belly, found them at smaller ones in the "
            "series that begins here"
        )
        yield OFFSET_REVERSED.broken(row_place(split.name, row), message, heights[row])


def lung_height(offsets_mm: NDArray[np.float32], facts: NDArray[np.void]) -> float | None:
    """Return how far the lungs lie above the rest of a series, as a share of its extent.

    None without both lungs and other slices among those with offsets.
    """
    position = int(np.isfinite(offsets_mm).sum(axis=0).argmax())
    heights_mm = offsets_mm[:, position]
    known = np.isfinite(heights_mm) & facts["seen"]
    lungs = known & (facts["air_share"] > LUNG_SHARE)
    rest = known & ~lungs
    if min(np.count_nonzero(lungs), np.count_nonzero(rest)) < FEWEST_SLICES:
        return None
    extent_mm = float(np.ptp(heights_mm[known]))
    if not extent_mm:
        return None
    return float(np.median(heights_mm[lungs]) - np.median(heights_mm[rest])) / extent_mm
