"""What slice scores and confidences say against what is true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.agreement.statistics import MEAN, Statistic
from bodycomp.analysis.confidence import CLOSE_MM
from bodycomp.evaluation.estimates import SHARE_UNIT, BootstrapOptions, estimate, estimate_share
from bodycomp.evaluation.level_rows import LevelRow
from bodycomp.networks.targets import NEAR_MM

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
    bins = int(2 * NEAR_MM / SCORE_BIN_MM)
    place = np.clip(np.floor((true_mm + NEAR_MM) / SCORE_BIN_MM).astype(int), 0, bins - 1)
    return [
        _score_bin(-NEAR_MM + index * SCORE_BIN_MM, true_mm[own], estimated_mm[own])
        for index in range(bins)
        for own in (place == index,)
    ]


def _score_bin(
    low_mm: float, true_mm: NDArray[np.float64], estimated_mm: NDArray[np.float64]
) -> dict[str, Any]:
    count = int(true_mm.size)
    errors = estimated_mm - true_mm

    def over(statistic: Callable[[NDArray[np.float64]], Any], of: NDArray[np.float64]) -> Any:
        return float(statistic(of)) if count else None

    return {
        "from_mm": low_mm,
        "to_mm": low_mm + SCORE_BIN_MM,
        "n": count,
        "mean_true_mm": over(np.mean, true_mm),
        "mean_estimated_mm": over(np.mean, estimated_mm),
        "mean_error_mm": over(np.mean, errors),
        "median_error_mm": over(np.median, errors),
        "mean_absolute_error_mm": over(np.mean, np.abs(errors)),
    }


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
    mean_confidence = estimate(MEAN, [(c,) for c, _ in table], patients, SHARE_UNIT, options)
    return {
        "within_mm": CLOSE_MM,
        "bins": _confidence_bins(given, options),
        "mean_confidence": mean_confidence.to_dict(),
        "share_right": estimate_share([bool(r) for _, r in table], patients, options).to_dict(),
        "expected_calibration_error": estimate(
            EXPECTED_CALIBRATION_ERROR, table, patients, SHARE_UNIT, options
        ).to_dict(),
    }


def _confidence_bins(rows: Sequence[LevelRow], options: BootstrapOptions) -> list[dict[str, Any]]:
    confidence = np.array([row.confidence for row in rows], np.float64)
    place = _bin_of(confidence)
    bins = []
    for index in range(CONFIDENCE_BINS):
        own = [row for row, at in zip(rows, place, strict=True) if at == index]
        mean = float(confidence[place == index].mean()) if own else None
        right = [bool(row.is_within(CLOSE_MM)) for row in own]
        bins.append(
            {
                "from": index / CONFIDENCE_BINS,
                "to": (index + 1) / CONFIDENCE_BINS,
                "n": len(own),
                "mean_confidence": mean,
                "share_right": estimate_share(
                    right, [row.patient for row in own], options
                ).to_dict(),
            }
        )
    return bins


def _bin_of(confidence: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the bin of each confidence; bins hold their lower end, the last one both."""
    place = np.floor(confidence * CONFIDENCE_BINS).astype(np.intp)
    clipped: NDArray[np.intp] = np.clip(place, 0, CONFIDENCE_BINS - 1)
    return clipped


def _calibration_error(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    gaps = values[:, 0] - values[:, 1]
    member = np.zeros((len(values), CONFIDENCE_BINS))
    member[np.arange(len(values)), _bin_of(values[:, 0])] = 1
    # |sum of a bin's gaps| is its number times the distance of its two means.
    total = weights.sum(axis=1)
    per_bin = np.abs(weights @ (gaps[:, None] * member)).sum(axis=1)
    error: NDArray[np.float64] = per_bin / np.where(total == 0, np.nan, total)
    return error


EXPECTED_CALIBRATION_ERROR: Final = Statistic(
    _calibration_error, 2, "no level was located whose place is known"
)
"""Columns: confidence, and 1 for right or 0 for wrong."""
