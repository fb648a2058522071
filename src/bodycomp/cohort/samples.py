"""From a rendered patient to the samples of both training sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import DEFAULT_LEVEL, LEVEL_NAMES
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE, SLICE_SELECTION_SIZE
from bodycomp.imaging.resize import resize_grey, resize_image, resize_labels
from bodycomp.imaging.volume import Volume
from bodycomp.imaging.window import SOFT_TISSUE

SEGMENTATION_REACH_MM: Final = 30.0
"""Masks are sampled this far above and below L3, so that a slice chosen amiss is still known."""

SAMPLE_SPACING_MM: Final = 4.0
"""Thin series are thinned out to this distance; neighbouring thin slices teach the same."""


NEAR_LEVEL_MM: Final = 70.0
"""Within this distance of L3, about two vertebrae, a training set needs every slice."""

FAR_STRIDE: Final = 3
"""Of the slices farther away every third one is kept for training: they are told apart easily."""


@dataclass(frozen=True, eq=False)
class LevelSample:
    """One slice for slice selection: 8-bit picture and its offset above each level in the scan."""

    grey: NDArray[np.uint8]
    offsets_mm: dict[str, float]


@dataclass(frozen=True, eq=False)
class MaskSample:
    """One slice for segmentation: 512 x 512 HU and labels."""

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]


def level_samples(
    volume: Volume, level_z_mm: dict[str, float], *, thin_far: bool
) -> list[LevelSample]:
    """Sample the series from feet to head; a level outside the scan has no offset.

    Args:
        volume: The rendered series.
        level_z_mm: Level -> its position.
        thin_far: Keep only a share of the slices far from L3, as suits training; locating the
            level in whole series, which validation does, wants all of them.
    """
    low, high = float(volume.slice_z_mm[0]), float(volume.slice_z_mm[-1])
    visible = {
        name: level_z_mm[name]
        for name in LEVEL_NAMES
        if name in level_z_mm and low <= level_z_mm[name] <= high
    }
    indices = _thinned(volume, low, high)
    if thin_far:
        height_mm = volume.slice_z_mm - level_z_mm[DEFAULT_LEVEL]
        indices = [
            index
            for rank, index in enumerate(indices)
            if abs(height_mm[index]) <= NEAR_LEVEL_MM or rank % FAR_STRIDE == 0
        ]
    return [
        LevelSample(
            grey=resize_grey(SOFT_TISSUE.to_grey(volume.hu[index]), SLICE_SELECTION_SIZE),
            offsets_mm={
                name: round(float(volume.slice_z_mm[index]) - z_mm, 2)
                for name, z_mm in visible.items()
            },
        )
        for index in indices
    ]


def mask_samples(
    volume: Volume, labels: NDArray[np.uint8], level_z_mm: dict[str, float]
) -> list[MaskSample]:
    """Sample the slices around L3, resized to the size of the training format."""
    centre = level_z_mm[DEFAULT_LEVEL]
    chosen = _thinned(volume, centre - SEGMENTATION_REACH_MM, centre + SEGMENTATION_REACH_MM)
    return [
        MaskSample(
            hu=np.rint(resize_image(volume.hu[index], SEGMENTATION_SIZE)).astype(np.int16),
            labels=resize_labels(labels[index], SEGMENTATION_SIZE),
        )
        for index in chosen
    ]


def _thinned(volume: Volume, low_mm: float, high_mm: float) -> list[int]:
    """Return indices between two positions, at least ``SAMPLE_SPACING_MM`` apart."""
    step = max(1, round(SAMPLE_SPACING_MM / (volume.slice_spacing_mm or SAMPLE_SPACING_MM)))
    return [
        index
        for index in range(0, len(volume), step)
        if low_mm <= volume.slice_z_mm[index] <= high_mm
    ]
