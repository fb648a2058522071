"""How much each body resembles the others as they are, rather than mirrored.

The body's box is cut out and brought to 24 x 24 parts. What a mirror changes is the difference D of
this picture and its mirror image. A sample's score is its product with the mean of D over the other
samples, each part weighted by the inverse of its variance: a linear discriminant between bodies as
they are and mirrored bodies: positive for a body like the others, negative for a mirrored one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.details import ALIGNED_SIDE, DetailStore

UP_DOWN, LEFT_RIGHT = 1, 2
"""Axes of (sample, row, column) that a mirror turns round."""

FOLDS: Final = 12
"""A sample is compared with the other folds, so that a patient is not compared with itself."""

FEWEST_OTHERS: Final = 30
VARIANCE_FLOOR: Final = 0.05
PIECE: Final = 1024


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which samples are compared with which.

    Attributes:
        folds: (N,) 0..FOLDS-1; a patient's samples share a fold where patients are known.
        bins: (N,) samples of one height in the body, counted from 0; -1 takes no part.
    """

    folds: NDArray[np.int64]
    bins: NDArray[np.int64]


def grouping_of(bins: NDArray[np.int64], patients: NDArray[np.int64] | None) -> Grouping:
    """Return the grouping of samples of these heights and patients.

    Where patients are not known, neighbouring samples share a fold.
    """
    near = np.arange(len(bins)) * FOLDS // max(1, len(bins))
    if patients is None:
        return Grouping(near, bins)
    return Grouping(np.where(patients >= 0, patients % FOLDS, near), bins)


def mirror_scores(store: DetailStore, grouping: Grouping, axis: int) -> NDArray[np.float64]:
    """Return (N,) scores, NaN where there is too little to compare with."""
    bins = int(grouping.bins.max(initial=-1)) + 1
    cells = bins * FOLDS
    shape = (cells, ALIGNED_SIDE * ALIGNED_SIDE)
    counts, sums, squares = np.zeros(cells), np.zeros(shape), np.zeros(shape)
    for where, change in _changes(store, grouping, axis):
        cell = grouping.bins[where] * FOLDS + grouping.folds[where]
        np.add.at(counts, cell, 1)
        np.add.at(sums, cell, change)
        np.add.at(squares, cell, change**2)
    weights, enough = _weights(counts, sums, squares)
    scores = np.full(len(grouping.bins), np.nan)
    for where, change in _changes(store, grouping, axis):
        cell = grouping.bins[where] * FOLDS + grouping.folds[where]
        scores[where] = np.where(enough[cell], (change * weights[cell]).sum(axis=1), np.nan)
    return scores


def spine_contrasts(store: DetailStore) -> NDArray[np.float64]:
    """Return for every body how much brighter its middle is behind than in front."""
    found = [np.zeros(0)]
    for start in range(0, len(store), PIECE):
        aligned = store.read(start, min(start + PIECE, len(store)))["aligned"].astype(np.float64)
        middle = aligned[aligned.any(axis=(1, 2)), :, 9:15]
        found.append(middle[:, 14:22].mean(axis=(1, 2)) - middle[:, 2:10].mean(axis=(1, 2)))
    return np.concatenate(found)


def _changes(
    store: DetailStore, grouping: Grouping, axis: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield positions and flattened D of the samples that take part, in pieces."""
    for start in range(0, len(store), PIECE):
        stop = min(start + PIECE, len(store))
        aligned = store.read(start, stop)["aligned"].astype(np.float64)
        part = (grouping.bins[start:stop] >= 0) & aligned.any(axis=(1, 2))
        taken = aligned[part]
        change = taken - np.flip(taken, axis)
        yield start + np.flatnonzero(part), change.reshape(len(taken), ALIGNED_SIDE**2)


def _weights(
    counts: NDArray[np.float64], sums: NDArray[np.float64], squares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return (cell, part) weights made of the other folds of each bin, and whether they suffice."""
    others = counts.reshape(-1, FOLDS).sum(axis=1, keepdims=True) - counts.reshape(-1, FOLDS)
    count = np.maximum(others.reshape(-1, 1), 1)
    mean, square = (_of_other_folds(each) / count for each in (sums, squares))
    weights = mean / (np.maximum(square - mean**2, 0) + VARIANCE_FLOOR)
    size = np.abs(weights).sum(axis=1, keepdims=True)
    return weights / np.maximum(size, 1e-9), others.reshape(-1) >= FEWEST_OTHERS


def _of_other_folds(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for every (bin, fold) the sum over the bin's other folds."""
    by_bin = sums.reshape(-1, FOLDS, sums.shape[1])
    others: NDArray[np.float64] = (by_bin.sum(axis=1, keepdims=True) - by_bin).reshape(sums.shape)
    return others
