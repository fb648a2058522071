"""Bodies that are upside down or mirrored, unlike the others of the set or unlike any body.

What was measured, and what no rule here can see: docs/validation.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.asymmetry import LEFT_RIGHT, UP_DOWN, Grouping, mirror_scores, spine_contrasts
from bodycomp.data.findings import Finding, Place, Rule
from bodycomp.data.gathering import Gathered

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

PlaceOf = Callable[[str, int], Place]


def check_flips(
    gathered: Gathered,
    grouping: Grouping,
    patients: NDArray[np.int64] | None,
    place_of: PlaceOf,
) -> Iterator[Finding]:
    """Yield images upside down, and patients or splits that are mirrored left-right.

    Args:
        gathered: Details of all samples.
        grouping: Which samples are compared.
        patients: (N,) number of each sample's patient, -1 if not known; None if none is.
        place_of: How a sample is called.
    """
    yield from _upside_down(gathered, grouping, place_of)
    scores = mirror_scores(gathered.store, grouping, LEFT_RIGHT)
    if patients is not None:
        yield from _mirrored_patients(gathered, scores, patients, place_of)
    else:
        yield from _mirrored_splits(gathered, scores, place_of)


def _upside_down(gathered: Gathered, grouping: Grouping, place_of: PlaceOf) -> Iterator[Finding]:
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
) -> Iterator[Finding]:
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
) -> Iterator[Finding]:
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
