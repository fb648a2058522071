"""Slices of one series in the order of their offsets: a reversed sign shows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bodycomp.data.slice_set import SliceSplit
from bodycomp.report.training_set_view import LADDER_SIDE, SliceView, slice_picture

OFFSETS_MM: Final = (-160, -120, -80, -40, 0, 40, 80, 120, 160)
NEAR_MM: Final = 15.0
"""A slice farther from the wanted offset than this is not shown in its place."""

LADDERS_SHOWN: Final = 3
SERIES_OF_A_SPLIT: Final = 3
FEWEST_PLACES: Final = 3


@dataclass(frozen=True, slots=True)
class LadderRow:
    """One row of slices: a name that identifies nobody, and a slice for each of ``OFFSETS_MM``."""

    split: str
    name: str
    slices: tuple[int | None, ...]


def ladders_of(view: SliceView, seed: int) -> list[dict[str, Any]]:
    """Return the ladders of the first levels that have slices, as the template takes them."""
    levels = enumerate(view.levels)
    found = [(level, at, ladder_rows(view.splits, at, seed)) for at, level in levels]
    return [
        {
            "level": level,
            "offsets": [f"{offset:+d}" if offset else "0" for offset in OFFSETS_MM],
            "middle": OFFSETS_MM.index(0),
            "rows": [{"name": row.name, "cells": _cells(view, at, row)} for row in rows],
        }
        for level, at, rows in [each for each in found if each[2]][:LADDERS_SHOWN]
    ]


def _cells(view: SliceView, column: int, row: LadderRow) -> list[dict[str, Any] | None]:
    cells: list[dict[str, Any] | None] = []
    for index in row.slices:
        split = view.splits[row.split]
        picture = None if index is None else slice_picture(split, index, LADDER_SIDE)
        if picture is None or index is None:
            cells.append(None)
        else:
            words = f"{row.split} {index}, {split.offsets_mm[index, column]:+.1f} mm"
            cells.append({"photo": picture.photo, "words": words})
    return cells


def ladder_rows(splits: Mapping[str, SliceSplit], column: int, seed: int = 0) -> list[LadderRow]:
    """Choose a few series of every split, and of each the slices nearest to ``OFFSETS_MM``.

    ``column`` is that of the level among the splits' offsets.
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
