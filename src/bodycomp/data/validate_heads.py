"""Offsets that run the wrong way: lungs lie above the belly, whatever the numbers say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.findings import Finding, Rule
from bodycomp.data.places import row_place, table_place
from bodycomp.data.slice_set import SliceSplit
from bodycomp.data.validate_series import rows_of_series

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


def check_direction(split: SliceSplit, facts: NDArray[np.void]) -> Iterator[Finding]:
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
