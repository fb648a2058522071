"""Numbers that stand for structures, on a grid of their own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import (
    ALL_TISSUES,
    BACKGROUND_LABEL,
    FATS,
    MUSCLE,
    Tissue,
)
from bodycomp.errors import SeriesError
from bodycomp.imaging.grid import Grid

LabelValues = NDArray[np.uint8] | NDArray[np.uint16]

ROUNDING: Final = 1e-3
MAX_LABEL: Final = int(np.iinfo(np.uint16).max)


@dataclass(frozen=True, eq=False)
class LabelMap:
    """One label per voxel, 0 for the background.

    Attributes:
        values: Three-dimensional, axes as stored.
    """

    values: LabelValues = field(repr=False)
    grid: Grid


def as_labels(values: NDArray[Any], where: str) -> LabelValues:
    """Return whole numbers in the smaller unsigned type that holds them.

    Numbers within ``ROUNDING`` of a whole one are rounded: scaling on the way to a file leaves them
    that far off.

    Raises:
        SeriesError: Fractions, negative numbers, NaN, or no numbers at all.
    """
    if values.size == 0 or values.dtype.kind not in "iufb":
        raise SeriesError(f"{where}: expected label numbers, found {values.dtype} {values.shape}")
    if values.dtype.kind == "f":
        values = _whole_numbers(values, where)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > MAX_LABEL:
        raise SeriesError(
            f"{where}: expected labels in 0..{MAX_LABEL}, found values from {low:g} to {high:g}",
            hint="Is this the scan rather than its label map?",
        )
    if high <= np.iinfo(np.uint8).max:
        return values.astype(np.uint8, copy=False)
    return values.astype(np.uint16, copy=False)


def _whole_numbers(values: NDArray[Any], where: str) -> NDArray[Any]:
    """Return the nearest whole numbers."""
    whole: NDArray[Any] = np.rint(values)
    with np.errstate(invalid="ignore"):
        wrong = values[~(np.abs(values - whole) <= ROUNDING)]  # NaN is within nothing
    if wrong.size:
        raise SeriesError(
            f"{where}: expected whole label numbers, found {wrong.size} fractions such as "
            f"{float(wrong[0])!r}",
            hint="A label map that was resampled with interpolation has lost its labels; "
            "export it again with nearest neighbours, or on the grid of the scan.",
        )
    return whole


def values_in(labels: LabelValues) -> list[int]:
    """Return the labels that occur, without the background.

    >>> values_in(np.array([[[0, 7, 2]]], np.uint8))
    [2, 7]
    """
    counts = np.zeros(1 + int(labels.max(initial=0)), np.intp)
    for plane in labels:  # bincount makes a copy eight times as large
        counts += np.bincount(plane.reshape(-1), minlength=len(counts))
    return [int(value) for value in np.flatnonzero(counts) if value]


def folded(labels: NDArray[np.uint8], tissues: Collection[Tissue]) -> NDArray[np.uint8]:
    """Return labels as they are for some tissues.

    Groups of muscle that are none of them are muscle, fat between muscles and vertebral bodies
    likewise background, and so is muscle where it is none of them. Other labels stay.
    """
    table = np.arange(256, dtype=np.uint8)
    muscle = MUSCLE.label if MUSCLE in tissues else BACKGROUND_LABEL
    for tissue in {*ALL_TISSUES} - {*FATS, *tissues}:
        table[tissue.label] = muscle if MUSCLE.of(tissue.label) else BACKGROUND_LABEL
    return table[labels]
