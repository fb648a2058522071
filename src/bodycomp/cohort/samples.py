"""What the training sets take of a rendered patient."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import DEFAULT_LEVEL
from bodycomp.data.samples import (
    LevelSample,
    LevelSampling,
    MaskSample,
    MaskSampling,
    level_sample,
    level_slices,
    mask_sample,
    mask_slices,
    training_share,
)
from bodycomp.imaging.volume import Volume

MASK_SAMPLING: Final = MaskSampling(spacing_mm=4.0, around=DEFAULT_LEVEL, reach_mm=30.0)
"""Masks are sampled about L3 alone, but widely, so that a slice chosen amiss is still known."""

LEVEL_SAMPLING: Final = LevelSampling(spacing_mm=4.0, near_mm=70.0, far_stride=3)
"""Every slice within about two vertebrae of L3, a third of the others."""


def level_samples(
    volume: Volume, level_z_mm: dict[str, float], *, thin_far: bool
) -> list[LevelSample]:
    """Sample the series from feet to head; a level outside the scan has no offset.

    Args:
        volume: The rendered series.
        level_z_mm: Level -> its position.
        thin_far: Keep only a share of the slices far from L3, as suits training.
    """
    indices = level_slices(volume, LEVEL_SAMPLING)
    if thin_far:
        indices = training_share(indices, volume, level_z_mm, LEVEL_SAMPLING)
    return [level_sample(volume, level_z_mm, index) for index in indices]


def mask_samples(
    volume: Volume, labels: NDArray[np.uint8], level_z_mm: dict[str, float]
) -> list[MaskSample]:
    """Sample the slices around L3, resized to the size of the training format."""
    annotated = np.ones(len(volume), bool)
    chosen = mask_slices(volume, annotated, level_z_mm, MASK_SAMPLING)
    return [mask_sample(volume, labels[index], index) for index in chosen]
