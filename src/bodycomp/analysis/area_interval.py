"""How much an area depends on how the slice lies before the network: an interval around it.

The slices are moved and turned a little, which changes no area, and segmented again. The spread
of the areas makes the interval: how well the network repeats itself, not how right it is. An error
that it makes wherever the slice lies does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bodycomp.anatomy import Tissue
from bodycomp.imaging.square_field import AIR_HU
from bodycomp.imaging.volume import Volume
from bodycomp.results import LevelResult, Measurement

MOVES: Final = ((7.0, 0, 0), (-7.0, 0, 0), (4.0, 9, 5), (-4.0, -6, 8), (0.0, -9, -7), (0.0, 6, -10))
"""Turns in degrees, and shifts in pixels down and across; six variants beside the slice itself."""

SPREAD_FACTOR: Final = 2.0
"""How many standard deviations of the variants' areas the interval reaches on either side."""

SegmentSlices = Callable[[Volume, Sequence[int]], Mapping[int, NDArray[np.uint8]]]
"""A volume and slice indices -> labels of each."""


def area_spreads_cm2(
    segment: SegmentSlices, volume: Volume, indices: Sequence[int], tissues: Sequence[Tissue]
) -> dict[str, tuple[float, float]]:
    """Return tissue key -> mean and standard deviation of its area over the variants, in cm2.

    Areas are averaged over the slices of a level.
    """
    areas: dict[str, list[float]] = {tissue.key: [] for tissue in tissues}
    cm2 = volume.pixel_area_mm2 / 100 / len(indices)
    for degrees, down, across in MOVES:
        moved = volume.hu[list(indices)]  # a copy
        for place, image in enumerate(moved):
            moved[place] = _moved(image, degrees, (down, across))
        variant = replace(volume, hu=moved, slice_z_mm=volume.slice_z_mm[list(indices)])
        masks = segment(variant, range(len(indices)))
        for tissue in tissues:
            pixels = sum(np.count_nonzero(mask == tissue.label) for mask in masks.values())
            areas[tissue.key].append(pixels * cm2)
    return {key: (float(np.mean(each)), float(np.std(each, ddof=1))) for key, each in areas.items()}


def with_intervals(
    level: LevelResult, segment: SegmentSlices, volume: Volume, tissues: Sequence[Tissue]
) -> LevelResult:
    """Return a level with an interval for each of its areas; as it is if it was not measured."""
    if not level.slice_indices:
        return level
    spreads = area_spreads_cm2(segment, volume, level.slice_indices, tissues)
    measured = {
        key: with_interval(found, spreads[key]) for key, found in level.measurements.items()
    }
    return replace(level, measurements=measured)


def with_interval(measured: Measurement, spread: tuple[float, float]) -> Measurement:
    """Return a measurement with the interval that holds it and the variants' mean.

    >>> found = with_interval(Measurement(100.0, *[None] * 5), (102.0, 1.0))
    >>> found.area_low_cm2, found.area_high_cm2
    (98.0, 104.0)
    """
    mean, deviation = spread
    reach = SPREAD_FACTOR * deviation
    low_cm2 = max(min(measured.area_cm2, mean) - reach, 0.0)
    return replace(
        measured, area_low_cm2=low_cm2, area_high_cm2=max(measured.area_cm2, mean) + reach
    )


def _moved(
    hu: NDArray[np.int16] | NDArray[np.float32], degrees: float, shift: tuple[int, int]
) -> NDArray[np.int16] | NDArray[np.float32]:
    turned = hu
    if degrees:
        turned = ndimage.rotate(hu, degrees, reshape=False, order=1, cval=AIR_HU)
    if any(shift):
        turned = ndimage.shift(turned, shift, order=0, cval=AIR_HU)
    return turned
