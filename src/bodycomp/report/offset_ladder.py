"""Slices of one series in the order of their offsets: a reversed sign shows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bodycomp.data.slice_set import SliceSplit

OFFSETS_MM: Final = (-160, -120, -80, -40, 0, 40, 80, 120, 160)
NEAR_MM: Final = 15.0
"""A slice farther from the wanted offset than this is not shown in its place."""

SERIES_OF_A_SPLIT: Final = 3
FEWEST_PLACES: Final = 3


@dataclass(frozen=True, slots=True)
class LadderRow:
    """One row of slices.

    Attributes:
        split: Where they are from.
        name: The row in words; nothing identifying.
        slices: For each of ``OFFSETS_MM`` the index of a slice, None where there is none.
    """

    split: str
    name: str
    slices: tuple[int | None, ...]


def ladder_rows(splits: Mapping[str, SliceSplit], column: int, seed: int = 0) -> list[LadderRow]:
    """Choose a few series of every split, and of each the slices nearest to the wanted offsets.

    Args:
        splits: The splits.
        column: The level, as a column of their offsets.
        seed: Of the choice of series.
    """
    rows = []
    for name, split in splits.items():
        series = _series(split)
        order = np.random.default_rng(seed).permutation(len(series))
        found = [_nearest(split, column, series[place]) for place in order]
        telling = [row for row in found if sum(x is not None for x in row) >= FEWEST_PLACES]
        rows += [
            LadderRow(name, f"{name}, slice {_first(row):06d} and others", row)
            for row in telling[:SERIES_OF_A_SPLIT]
        ]
    return rows


def _series(split: SliceSplit) -> list[Sequence[int]]:
    """Return the slices of each series, or else of each patient, or else all together."""
    keys = split.series or split.patient
    if keys is None:
        return [range(len(split))]
    members: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        members.setdefault(key, []).append(index)
    return list(members.values())


def _nearest(split: SliceSplit, column: int, members: Sequence[int]) -> tuple[int | None, ...]:
    offsets_mm = split.offsets_mm[members, column]
    if not np.isfinite(offsets_mm).any():
        return (None,) * len(OFFSETS_MM)
    found: list[int | None] = []
    for wanted in OFFSETS_MM:
        distances = np.abs(offsets_mm - wanted)
        best = int(np.nanargmin(distances))
        found.append(int(members[best]) if distances[best] <= NEAR_MM else None)
    return tuple(found)


def _first(row: Sequence[int | None]) -> int:
    return next(index for index in row if index is not None)
