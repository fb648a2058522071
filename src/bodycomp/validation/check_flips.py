"""Bodies that are upside down or mirrored, unlike the others of the set or unlike any body.

The body's box is cut out and brought to 24 x 24 parts. What a mirror changes is the difference D of
this picture and its mirror image. A sample's score is its product with the mean of D over the other
samples, each part weighted by the inverse of its variance: a linear discriminant between bodies as
they are and mirrored bodies, positive for a body like the others, negative for a mirrored one.

What was measured, and what no rule here can see: docs/validation.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.issues import Issue, Place, PlaceOf, Rule
from bodycomp.validation.details import ALIGNED_SIDE, DetailStore, Gathered

UPSIDE_DOWN: Final = Rule(
    "upside-down",
    "warning",
    "Turn it so that the front is on top and the table below, masks as their images.",
)
SET_UPSIDE_DOWN: Final = Rule(
    "set-upside-down",
    "warning",
    "Turn all slices so that the front is on top; bodycomp turns scans so before it runs a model.",
)
MIRRORED: Final = Rule(
    "mirrored",
    "warning",
    "Look for the liver: it belongs on the left of the picture. Situs inversus is rare (1:10,000).",
)

FLIPPED_SHARE: Final = -0.5
"""Of the usual score; a flipped body has about -1 times it."""

CLEAR: Final = 2.0
"""Rules speak only if the usual score is so many times its spread (1.48 MAD)."""

CLEAR_MEAN: Final = 4.0
"""The mean of many samples counts from so many standard errors on: by chance, once in 30,000."""

FEWEST_IN_GROUP, FEWEST_GROUPS, FEWEST_IN_SPLIT = 5, 8, 30

UP_DOWN, LEFT_RIGHT = 1, 2
"""Axes of (sample, row, column) that a mirror turns round."""

FOLDS: Final = 12
"""A sample is compared with the other folds, so that a patient is not compared with itself."""

FEWEST_OTHERS: Final = 30
VARIANCE_FLOOR: Final = 0.05
CHUNK: Final = 1024


def check_flips(
    gathered: Gathered,
    grouping: Grouping,
    patients: NDArray[np.int64] | None,
    place_of: PlaceOf,
) -> Iterator[Issue]:
    """Yield images upside down, and patients or splits that are mirrored left-right.

    ``patients`` holds the number of each sample's patient, -1 if not known; None if none is.
    """
    yield from _upside_down(gathered, grouping, place_of)
    scores = mirror_scores(gathered.store, grouping, LEFT_RIGHT)
    if patients is not None:
        yield from _mirrored_patients(gathered, scores, patients, place_of)
    else:
        yield from _mirrored_splits(gathered, scores, place_of)


def _upside_down(gathered: Gathered, grouping: Grouping, place_of: PlaceOf) -> Iterator[Issue]:
    contrast = _clear_mean(spine_contrasts(gathered.store))
    if contrast is not None and contrast < 0:
        message = "expected the spine in the lower half of the bodies, found it in the upper half"
        yield SET_UPSIDE_DOWN.broken(Place("all splits"), message, contrast)
    scores = mirror_scores(gathered.store, grouping, UP_DOWN)
    usual = _usual(scores)
    if usual is None:
        return
    for position in np.flatnonzero(scores < FLIPPED_SHARE * usual).tolist():
        place, share = place_of(*gathered.sample(position)), float(scores[position] / usual)
        message = f"expected a body that lies as the others, found one upside down ({share:.1f})"
        yield UPSIDE_DOWN.broken(place, message, share)


def _mirrored_patients(
    gathered: Gathered, scores: NDArray[np.float64], patients: NDArray[np.int64], place_of: PlaceOf
) -> Iterator[Issue]:
    known = np.isfinite(scores) & (patients >= 0)
    counts = np.bincount(patients[known])
    sums = np.bincount(patients[known], scores[known])
    enough = np.flatnonzero(counts >= FEWEST_IN_GROUP)
    means = sums[enough] / counts[enough]
    usual = _usual(means)
    if usual is None or len(means) < FEWEST_GROUPS:
        return
    for patient, mean in zip(enough.tolist(), means.tolist(), strict=True):
        if mean < FLIPPED_SHARE * usual:
            members = np.flatnonzero(patients == patient)
            message = (
                "expected left and right as in the other patients, found the "
                f"{len(members)} samples of this one mirrored ({mean / usual:.1f})"
            )
            place = place_of(*gathered.sample(int(members[0])))
            yield MIRRORED.broken(place, message, mean / usual)


def _mirrored_splits(
    gathered: Gathered, scores: NDArray[np.float64], place_of: PlaceOf
) -> Iterator[Issue]:
    """Compare splits as wholes: single slices are too symmetric to tell."""
    means = {}
    for split, facts in gathered.facts.items():
        start = gathered.starts[split]
        own = scores[start : start + len(facts)]
        mean = _clear_mean(own)
        if np.isfinite(own).sum() >= FEWEST_IN_SPLIT and mean is not None:
            means[split] = mean
    usual = means.get("train", 0.0)
    for split, mean in means.items():
        if mean < FLIPPED_SHARE * usual and usual > 0:
            message = (
                f"expected left and right as in train, found {split} mirrored as a whole "
                f"({mean / usual:.1f})"
            )
            yield MIRRORED.broken(Place(place_of(split, 0).where, split), message, mean / usual)


def _usual(scores: NDArray[np.float64]) -> float | None:
    """Return the median score, None if it does not stand out of the spread."""
    known = scores[np.isfinite(scores)]
    if not len(known):
        return None
    median = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(known - median)))
    return median if median > CLEAR * spread else None


def _clear_mean(values: NDArray[np.float64]) -> float | None:
    """Return the mean of the known values, None if chance may have made it."""
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return None
    mean = float(known.mean())
    error = float(known.std(ddof=1)) / math.sqrt(len(known))
    return mean if abs(mean) > CLEAR_MEAN * error else None


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which samples are compared: (N,) folds 0..FOLDS-1, and bins of one height or -1."""

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
    for start in range(0, len(store), CHUNK):
        aligned = store.read(start, min(start + CHUNK, len(store)))["aligned"].astype(np.float64)
        middle = aligned[aligned.any(axis=(1, 2)), :, 9:15]
        found.append(middle[:, 14:22].mean(axis=(1, 2)) - middle[:, 2:10].mean(axis=(1, 2)))
    return np.concatenate(found)


def _changes(
    store: DetailStore, grouping: Grouping, axis: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield positions and flattened D of the samples that take part, in chunks."""
    for start in range(0, len(store), CHUNK):
        stop = min(start + CHUNK, len(store))
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
