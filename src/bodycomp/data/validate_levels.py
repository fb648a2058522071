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
from bodycomp.data.validate_splits import SPLIT_SMALL

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
    """Yield splits and levels of too few series, and splits of other heights than train.

    Heights are those above the level with most offsets.
    """
    for name, split in splits.items():
        rows = rows_of_series(split.series)
        if 0 < len(rows) < FEWEST_SERIES:
            message = f"expected {FEWEST_SERIES} series or more, found {len(rows)}"
            yield SPLIT_SMALL.broken(Place(name, name), message, len(rows))
        else:
            yield from _rare(split, levels, list(rows.values()))
        if name != "train" and "train" in splits:
            leading = int(np.isfinite(split.offsets_mm).sum(axis=0).argmax())
            place = _level_place(name, levels[leading])
            learnt_mm = splits["train"].offsets_mm[:, leading]
            yield from _compare(place, split.offsets_mm[:, leading], learnt_mm)


def _rare(
    split: SliceSplit, levels: Sequence[str], series: Sequence[NDArray[np.int64]]
) -> Iterator[Finding]:
    for position, level in enumerate(levels):
        annotated = np.isfinite(split.offsets_mm[:, position])
        found = sum(bool(annotated[rows].any()) for rows in series)
        if 0 < found < FEWEST_SERIES:
            message = f"expected the level in {FEWEST_SERIES} series or more, found {found}"
            yield LEVEL_RARE.broken(_level_place(split.name, level), message, found)


def _level_place(split: str, level: str) -> Place:
    return Place(f"{table_name(split)}, level {level}", split)


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
