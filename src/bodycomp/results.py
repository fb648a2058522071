"""What an analysis found, as frozen values without any file format.

What could not be measured is None, with a reason beside it. Zero means zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import Tissue


class LevelStatus(StrEnum):
    """Whether a vertebral level was found in a series."""

    FOUND = "found"
    ABSENT = "absent"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, eq=False)
class SliceChoice:
    """Where a level lies in a series.

    Attributes:
        level: Name of the vertebral level.
        status: Found, absent from the series, or not certain enough to measure.
        reason: Why it was not found; empty when found.
        slice_index: Index of the chosen slice in the volume, feet to head; None unless found.
        z_mm: Position of the level between slices, patient frame; None unless found.
        offset_mm: (slice,) estimated offset of every slice above the level, mm, as the network
            scored it (clipped where the score saturates).
        smoothed_offset_mm: (slice,) the same after smoothing along z.
        crossings: Number of ascending zero crossings of the smoothed curve.
    """

    level: str
    status: LevelStatus
    reason: str
    slice_index: int | None
    z_mm: float | None
    offset_mm: NDArray[np.float32]
    smoothed_offset_mm: NDArray[np.float32]
    crossings: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One tissue on one slice, or averaged over the slices of a range.

    HU statistics are None when the tissue has no pixel; ``area_cm2`` is then 0.

    Attributes:
        area_cm2: Area of the tissue.
        mean_hu, median_hu, sd_hu, iqr_hu: Statistics of its pixels' Hounsfield units; the standard
            deviation is that of the population, the IQR the 75th minus the 25th percentile.
        border_fraction: Share of the tissue's pixels that touch the edge of the field of view,
            in 0..1; None when the tissue has no pixel.
    """

    area_cm2: float
    mean_hu: float | None
    median_hu: float | None
    sd_hu: float | None
    iqr_hu: float | None
    border_fraction: float | None


@dataclass(frozen=True, eq=False)
class LevelResult:
    """One level of one series: where it is and what was measured there.

    Attributes:
        choice: The position of the level.
        slice_indices: Slices that were measured, in ascending order; empty unless found.
        measurements: Tissue key -> measurement, averaged over the slices; empty unless found.
        masks: Slice index -> uint8 label mask on the source pixel grid.
    """

    choice: SliceChoice
    slice_indices: tuple[int, ...] = ()
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    masks: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SeriesResult:
    """Everything that one pair of models found in one series.

    Attributes:
        tissues: Tissues that the segmentation model labels, by ascending label.
        levels: One result per level that the slice-selection model knows, in its order.
        models: Role ("segmentation", "slice_selection") -> short digest of the weights used.
    """

    tissues: tuple[Tissue, ...]
    levels: tuple[LevelResult, ...]
    models: Mapping[str, str]
