"""How well levels are found: errors in mm near a level, and by locating it in whole series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.confidence import CLOSE_MM
from bodycomp.networks.targets import NEAR_MM
from bodycomp.training.located_series import LocatedSeries

FOUND_MM: Final = CLOSE_MM
"""A level counts as found when it is located within this distance."""


def view_error_mm(
    offsets_mm: NDArray[np.floating], estimated_mm: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Return (slice, level) errors with true and estimated offsets clipped to +-50 mm.

    A far slice counts only if it is taken for a near one or for one on the other side. NaN where
    the level was not annotated.
    """
    clipped = [np.clip(values, -NEAR_MM, NEAR_MM) for values in (offsets_mm, estimated_mm)]
    return np.asarray(np.abs(clipped[1] - clipped[0]))


def offset_metrics(
    offsets_mm: NDArray[np.floating],
    estimated_mm: NDArray[np.floating],
    levels: Sequence[str],
) -> dict[str, float | None]:
    """Return per level the mean absolute error in mm, on the slices near it.

    Args:
        offsets_mm: (slice, level) true offsets, NaN where not annotated.
        estimated_mm: (slice, level) offsets by the network.
        levels: Names of the levels.

    Returns:
        ``mae_mm_<level>`` over the annotated slices within 50 mm; None without any.
    """
    metrics: dict[str, float | None] = {}
    for index, level in enumerate(levels):
        near = np.abs(offsets_mm[:, index]) <= NEAR_MM  # False for NaN
        errors = np.abs(estimated_mm - offsets_mm)[near, index]
        metrics[f"mae_mm_{level}"] = float(errors.mean()) if errors.size else None
    return metrics


def near_counts(offsets_mm: NDArray[np.floating], levels: Sequence[str]) -> dict[str, int]:
    """Return per metric of ``offset_metrics`` the number of slices that it is made of."""
    near = (np.abs(offsets_mm) <= NEAR_MM).sum(axis=0)
    return {f"mae_mm_{level}": int(count) for level, count in zip(levels, near, strict=True)}


def series_metrics(located: Sequence[LocatedSeries]) -> dict[str, float | None]:
    """Return per level how well it is located in the series that it lies in.

    Returns:
        ``located_error_mm_<level>``, the median distance between the level and where it was
        located, over the series in which it was; ``found_<level>``, the share of all series in
        which it was located within 10 mm. None without any such series.
    """
    metrics: dict[str, float | None] = {}
    for level in located:
        errors_mm = level.errors_mm
        known_mm = errors_mm[np.isfinite(errors_mm)]
        metrics[f"located_error_mm_{level.level}"] = (
            float(np.median(known_mm)) if known_mm.size else None
        )
        metrics[f"found_{level.level}"] = (
            float((errors_mm <= FOUND_MM).mean()) if errors_mm.size else None
        )
    return metrics


def series_counts(located: Sequence[LocatedSeries]) -> dict[str, int]:
    """Return per metric of ``series_metrics`` the number of series that it is made of."""
    counts = {}
    for level in located:
        errors_mm = level.errors_mm
        counts[f"located_error_mm_{level.level}"] = int(np.isfinite(errors_mm).sum())
        counts[f"found_{level.level}"] = errors_mm.size
    return counts
