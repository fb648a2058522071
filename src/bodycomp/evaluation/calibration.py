"""What slice scores and confidences say against what is true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.agreement.statistics import MEAN, Statistic
from bodycomp.analysis.confidence import CLOSE_MM
from bodycomp.evaluation.estimates import SHARE_UNIT, estimate, estimate_share, number
from bodycomp.evaluation.level_rows import LevelRow
from bodycomp.evaluation.options import BootstrapOptions
from bodycomp.networks.targets import NEAR_MM

Floats = NDArray[np.float64]

SCORE_BIN_MM: Final = 10.0
CONFIDENCE_BINS: Final = 10
"""Of equal width over 0..1, as usual for the expected calibration error."""


def score_calibration(rows: Sequence[LevelRow]) -> list[dict[str, Any]]:
    """Return per bin of 10 mm of true offset what the network said of the slices in it.

    Bins hold their lower end, the last one both. ``median_error_mm`` and ``mean_error_mm`` are
    estimated minus true; scores saturate, so that far slices are estimated nearer than they are.
    """
    if not rows:
        return []
    true_mm = np.concatenate([row.near_true_mm for row in rows]).astype(np.float64)
    estimated_mm = np.concatenate([row.near_estimated_mm for row in rows]).astype(np.float64)
    count = int(2 * NEAR_MM / SCORE_BIN_MM)
    place = np.clip(np.floor((true_mm + NEAR_MM) / SCORE_BIN_MM).astype(int), 0, count - 1)
    bins = []
    for index in range(count):
        true, estimated = true_mm[place == index], estimated_mm[place == index]
        numbers: dict[str, tuple[Callable[[Floats], Any], Floats]] = {
            "mean_true_mm": (np.mean, true),
            "mean_estimated_mm": (np.mean, estimated),
            "mean_error_mm": (np.mean, estimated - true),
            "median_error_mm": (np.median, estimated - true),
            "mean_absolute_error_mm": (np.mean, np.abs(estimated - true)),
        }
        low_mm = -NEAR_MM + index * SCORE_BIN_MM
        bins.append(
            {"from_mm": low_mm, "to_mm": low_mm + SCORE_BIN_MM, "n": true.size}
            | {name: float(of(own)) if true.size else None for name, (of, own) in numbers.items()}
        )
    return bins


def confidence_calibration(rows: Sequence[LevelRow], options: BootstrapOptions) -> dict[str, Any]:
    """Return per bin of confidence how many positions are right, and how far off it is on average.

    Positions that were given and whose truth is known; one in a series without the level is wrong
    unless it lies within 10 mm of where the level is, beyond the end. The expected calibration
    error is the mean over bins of the distance between mean confidence and share of right
    positions, weighted by their number (Naeini, AAAI 2015); it is never 0 for few cases, even of a
    perfect confidence.
    """
    given = [row for row in rows if row.confidence is not None and row.is_present is not None]
    patients = [row.patient for row in given]
    table = [(row.confidence or 0.0, float(row.is_within(CLOSE_MM) or False)) for row in given]
    numbers = {
        "mean_confidence": estimate(MEAN, [(c,) for c, _ in table], patients, options),
        "share_right": estimate_share([bool(r) for _, r in table], patients, options),
        "expected_calibration_error": estimate(
            EXPECTED_CALIBRATION_ERROR, table, patients, options
        ),
    }
    return {
        "within_mm": CLOSE_MM,
        "bins": _confidence_bins(given, options),
        **{name: number(interval, SHARE_UNIT) for name, interval in numbers.items()},
    }


def _confidence_bins(rows: Sequence[LevelRow], options: BootstrapOptions) -> list[dict[str, Any]]:
    confidence = np.array([row.confidence for row in rows], np.float64)
    place = _bin_of(confidence)
    bins = []
    for index in range(CONFIDENCE_BINS):
        own = [row for row, at in zip(rows, place, strict=True) if at == index]
        right = [bool(row.is_within(CLOSE_MM)) for row in own]
        share = estimate_share(right, [row.patient for row in own], options)
        bins.append(
            {
                "from": index / CONFIDENCE_BINS,
                "to": (index + 1) / CONFIDENCE_BINS,
                "n": len(own),
                "mean_confidence": float(confidence[place == index].mean()) if own else None,
                "share_right": number(share, SHARE_UNIT),
            }
        )
    return bins


def _bin_of(confidence: Floats) -> NDArray[np.intp]:
    """Return the bin of each confidence; bins hold their lower end, the last one both."""
    place = np.floor(confidence * CONFIDENCE_BINS).astype(np.intp)
    clipped: NDArray[np.intp] = np.clip(place, 0, CONFIDENCE_BINS - 1)
    return clipped


def _calibration_error(values: Floats, weights: Floats) -> Floats:
    gaps = values[:, 0] - values[:, 1]
    member = np.zeros((len(values), CONFIDENCE_BINS))
    member[np.arange(len(values)), _bin_of(values[:, 0])] = 1
    # |sum of a bin's gaps| is its number times the distance of its two means.
    total = weights.sum(axis=1)
    per_bin = np.abs(weights @ (gaps[:, None] * member)).sum(axis=1)
    error: Floats = per_bin / np.where(total == 0, np.nan, total)
    return error


EXPECTED_CALIBRATION_ERROR: Final = Statistic(
    _calibration_error, 2, "no level was located whose place is known"
)
"""Columns: confidence, and 1 for right or 0 for wrong."""
