"""How levels are spread over series and splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.findings import Finding, Place, Rule
from bodycomp.data.places import table_name
from bodycomp.data.slice_set import SliceSplit
from bodycomp.data.validate_series import rows_of_series

LEVEL_RARE: Final = Rule(
    "level-rare",
    "warning",
    "Annotate the level in more patients, or leave it out of -L.",
)
OFFSETS_DIFFER: Final = Rule(
    "offsets-differ",
    "warning",
    "Make splits by chance among patients of all scan ranges; heights never learnt are guessed.",
)

FEWEST_SERIES: Final = 3
FEWEST_ROWS: Final = 20
OVERLAP: Final = 0.5
"""Phantom splits share 0.85 and more of the heights that both have."""


def check_levels_of_splits(
    splits: Mapping[str, SliceSplit], levels: Sequence[str]
) -> Iterator[Finding]:
    """Yield levels of too few series, and splits of other heights than train."""
    for name, split in splits.items():
        rows = rows_of_series(split.series)
        for position, level in enumerate(levels):
            annotated = np.isfinite(split.offsets_mm[:, position])
            place = Place(f"{table_name(name)}, level {level}", name)
            series = sum(bool(annotated[each].any()) for each in rows.values())
            if rows and 0 < series < FEWEST_SERIES:
                message = f"expected the level in {FEWEST_SERIES} series or more, found {series}"
                yield LEVEL_RARE.broken(place, message, series)
            if name != "train" and "train" in splits:
                learnt = splits["train"].offsets_mm[:, position]
                yield from _compare(place, split.offsets_mm[:, position], learnt)


def _compare(
    place: Place, own_mm: NDArray[np.float32], learnt_mm: NDArray[np.float32]
) -> Iterator[Finding]:
    own, learnt = (each[np.isfinite(each)] for each in (own_mm, learnt_mm))
    if min(len(own), len(learnt)) < FEWEST_ROWS:
        return
    (low, high), (first, last) = (np.percentile(each, [5, 95]).tolist() for each in (own, learnt))
    shared = max(0.0, min(high, last) - max(low, first)) / max(high - low, 1e-6)
    if shared < OVERLAP:
        message = (
            f"expected heights that train has ({first:.0f} to {last:.0f} mm), found {low:.0f} to "
            f"{high:.0f} mm"
        )
        yield OFFSETS_DIFFER.broken(place, message, shared)
