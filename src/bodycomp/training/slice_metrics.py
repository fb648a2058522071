"""How well levels are found: errors in mm near a level, and by locating it in whole series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.slice_selection import ChoiceOptions, choose_slice

NEAR_MM: Final = 50.0
"""Slices within this distance of a level are near it; farther ones all look alike to a network
whose target has a scale of 10 mm."""

FOUND_MM: Final = 10.0
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


def series_metrics(
    offsets_mm: NDArray[np.floating],
    estimated_mm: NDArray[np.floating],
    levels: Sequence[str],
    series: NDArray[np.str_],
    scale_mm: float,
) -> dict[str, float | None]:
    """Return per level how well it is located in the series that it lies in.

    Args:
        offsets_mm: (slice, level) true offsets, NaN where not annotated.
        estimated_mm: (slice, level) offsets by the network.
        levels: Names of the levels.
        series: (slice,) name of each slice's series.
        scale_mm: Scale of the targets.

    Returns:
        ``located_error_mm_<level>``, the median distance between the level and where it was
        located, over the series in which it was; ``found_<level>``, the share of all series in
        which it was located within 10 mm. None without any such series.
    """
    metrics: dict[str, float | None] = {}
    options = ChoiceOptions(scale_mm=scale_mm)
    for index, level in enumerate(levels):
        distances_mm = locating_errors_mm(
            level, offsets_mm[:, index], estimated_mm[:, index], series, options
        )
        located_mm = distances_mm[np.isfinite(distances_mm)]
        metrics[f"located_error_mm_{level}"] = (
            float(np.median(located_mm)) if located_mm.size else None
        )
        metrics[f"found_{level}"] = (
            float((distances_mm <= FOUND_MM).mean()) if distances_mm.size else None
        )
    return metrics


def locating_errors_mm(
    level: str,
    offset_mm: NDArray[np.floating],
    estimated_mm: NDArray[np.floating],
    series: NDArray[np.str_],
    options: ChoiceOptions,
) -> NDArray[np.float64]:
    """Locate one level in every series that it lies in, as the analysis of a scan does.

    A slice's true offset serves as its position, so that the level lies at 0 mm. Slices without
    an annotation or a series name take no part.

    Returns:
        (series,) distance between the level and where it was located; infinite where it was not.
    """
    usable = ~np.isnan(offset_mm) & (series != "")
    distances = []
    for name in np.unique(series[usable]):
        own = np.flatnonzero(usable & (series == name))
        z_mm, first = np.unique(offset_mm[own].astype(np.float64), return_index=True)
        if not z_mm[0] <= 0 <= z_mm[-1]:
            continue
        choice = choose_slice(level, estimated_mm[own][first], z_mm, options)
        distances.append(np.inf if choice.z_mm is None else abs(choice.z_mm))
    return np.array(distances, dtype=np.float64)
