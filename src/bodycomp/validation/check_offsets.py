"""What is wrong with offsets: of single rows, along a series, and of series that run the wrong way.

Series are distinguished by the column SeriesInstanceUID; their slices are a stack, so that offsets
count along. What ``manifest.csv`` knows of their heights is compared in ``check_splits``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.issues import Issue, Rule, row_place, table_place
from bodycomp.data.layout import offset_column
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


NOT_PARALLEL: Final = Rule(
    "offsets-not-parallel",
    "warning",
    "All offsets of a slice grow by the same mm from slice to slice; check this cell.",
)
OFFSET_STEP: Final = Rule(
    "offset-step",
    "warning",
    "Slices of a series lie whole multiples of its spacing apart; check for a slice of another "
    "series, or a mistyped offset.",
)
OFFSET_ORDER: Final = Rule(
    "offset-jump",
    "warning",
    "The rows of this series run along the body but for this one; check it and its slice.",
)
OFFSET_REPEATED: Final = Rule(
    "offset-repeated",
    "warning",
    "Two slices of a series have two heights; check both rows.",
)
OFFSET_UNIT: Final = Rule(
    "offset-unit", "error", "Offsets are in mm: multiply cm by 10 and m by 1000."
)

PARALLEL_MM: Final = 1.5
ROUNDING_MM: Final = 1.0
"""Offsets may be rounded to whole mm."""

USUAL_STEPS: Final = 0.6
"""Where fewer steps fit, slices are not of one stack, or were chosen from several."""

THINNEST_MM: Final = 0.35
"""Slices of the body lie 0.5 mm apart or more; 3 to 5 mm given in cm are less than this."""

FEWEST: Final = 5
FEWEST_TO_JUMP: Final = 8
MOSTLY: Final = 0.85


def rows_of_series(series: Sequence[str] | None) -> Mapping[str, NDArray[np.int64]]:
    """Return the rows of every series that is named, in order."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(series or ()):
        if name:
            rows.setdefault(name, []).append(row)
    return {name: np.array(found) for name, found in rows.items()}


def check_series(split: SliceSplit, levels: Sequence[str]) -> Iterator[Issue]:
    """Yield series whose offsets do not fit one stack of slices."""
    for rows in rows_of_series(split.series).values():
        if len(rows) < FEWEST:
            continue
        offsets_mm = split.offsets_mm[rows].astype(np.float64)
        yield from _not_parallel(split.name, rows, offsets_mm, levels)
        position = int(np.isfinite(offsets_mm).sum(axis=0).argmax())
        known = np.isfinite(offsets_mm[:, position])
        column = offset_column(levels[position])
        if np.count_nonzero(known) >= FEWEST:
            yield from _check_stack(split.name, rows[known], offsets_mm[known, position], column)


def _not_parallel(
    split: str, rows: NDArray[np.int64], offsets_mm: NDArray[np.float64], levels: Sequence[str]
) -> Iterator[Issue]:
    """Compare every level with the one that has most offsets."""
    leading = int(np.isfinite(offsets_mm).sum(axis=0).argmax())
    for position, level in enumerate(levels):
        apart_mm = offsets_mm[:, position] - offsets_mm[:, leading]
        known = np.flatnonzero(np.isfinite(apart_mm))
        if position == leading or len(known) < 3:
            continue
        off_mm = np.abs(apart_mm[known] - np.median(apart_mm[known]))
        worst = int(off_mm.argmax())
        if off_mm[worst] > PARALLEL_MM:
            count = int(np.count_nonzero(off_mm > PARALLEL_MM))
            message = (
                f"expected {level} at a fixed distance from {levels[leading]} in a series, found "
                f"{off_mm[worst]:.1f} mm more or less here ({count} of {len(known)} rows are off)"
            )
            place = row_place(split, int(rows[known[worst]]), offset_column(level))
            yield NOT_PARALLEL.broken(place, message, float(off_mm[worst]))


def _check_stack(
    split: str, rows: NDArray[np.int64], offsets_mm: NDArray[np.float64], column: str
) -> Iterator[Issue]:
    order = np.argsort(offsets_mm, kind="stable")
    steps_mm = np.diff(offsets_mm[order])
    for here in np.flatnonzero(steps_mm < 1e-3).tolist():
        one, other = sorted((int(rows[order[here]]), int(rows[order[here + 1]])))
        message = f"expected a height of its own, found that of row {one} in the same series"
        yield OFFSET_REPEATED.broken(row_place(split, other, column), message, one)
    steps_mm = steps_mm[steps_mm >= 1e-3]
    if len(steps_mm) and np.median(steps_mm) < THINNEST_MM:
        step_mm = float(np.median(steps_mm))
        message = (
            f"expected slices {THINNEST_MM:g} mm or more apart, found {step_mm:.3g} in the series "
            f"of {len(rows)} rows that begins here"
        )
        yield OFFSET_UNIT.broken(row_place(split, int(rows[0]), column), message, step_mm)
        return
    yield from _uneven(split, rows[order], offsets_mm[order], column)
    yield from _jumps(split, rows, offsets_mm, column)


def _uneven(
    split: str, rows: NDArray[np.int64], offsets_mm: NDArray[np.float64], column: str
) -> Iterator[Issue]:
    """Yield the row that is farthest from whole multiples of the smallest usual step."""
    steps_mm = np.diff(offsets_mm)
    spacing_mm = _spacing(steps_mm[steps_mm >= 1e-3])
    if spacing_mm is None:
        return
    off_mm = np.abs(steps_mm - np.rint(steps_mm / spacing_mm) * spacing_mm)
    slack_mm = ROUNDING_MM + 0.01 * steps_mm  # the spacing itself is known to so much
    wrong = np.flatnonzero(off_mm > slack_mm)
    if len(wrong):
        worst = int(wrong[off_mm[wrong].argmax()])
        message = (
            f"expected steps of {spacing_mm:g} mm or multiples of it in the series, found "
            f"{steps_mm[worst]:.4g} mm between rows {rows[worst]} and {rows[worst + 1]} "
            f"({len(wrong)} of {len(steps_mm)} steps are off)"
        )
        place = row_place(split, int(rows[worst + 1]), column)
        yield OFFSET_STEP.broken(place, message, float(steps_mm[worst]))


def _spacing(steps_mm: NDArray[np.float64]) -> float | None:
    """Return the step of which most steps are multiples, None if there is none."""
    best, most = None, USUAL_STEPS * len(steps_mm)
    values, counts = np.unique(np.round(steps_mm, 1), return_counts=True)
    for spacing_mm in values[(counts >= 2) & (values > 0)]:
        off_mm = np.abs(steps_mm - np.rint(steps_mm / spacing_mm) * spacing_mm)
        fitting = float(np.count_nonzero(off_mm <= ROUNDING_MM + 0.01 * steps_mm))
        if fitting >= most:
            best, most = float(spacing_mm), fitting
    return best


def _jumps(
    split: str, rows: NDArray[np.int64], offsets_mm: NDArray[np.float64], column: str
) -> Iterator[Issue]:
    """Yield where a series that runs one way along the table turns back."""
    steps_mm = np.diff(offsets_mm)
    upward = (steps_mm > 0).mean() if len(steps_mm) >= FEWEST_TO_JUMP else 0.5
    if not (1 > upward >= MOSTLY or 0 < upward <= 1 - MOSTLY):
        return
    back = steps_mm < 0 if upward > 0.5 else steps_mm > 0
    for here in np.flatnonzero(back).tolist():
        message = (
            f"expected offsets that {'grow' if upward > 0.5 else 'fall'} from row to row of the "
            f"series, found {offsets_mm[here + 1]:g} mm after {offsets_mm[here]:g} mm"
        )
        place = row_place(split, int(rows[here + 1]), column)
        yield OFFSET_ORDER.broken(place, message, float(steps_mm[here]))
