"""Label masks and HU -> areas, statistics of HU, volumes, contact with the border, intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bodycomp.analysis.field_of_view import border_pixels, field_of_view_radius_px
from bodycomp.analysis.quality_flags import touches_area
from bodycomp.anatomy import Tissue
from bodycomp.imaging.square_field import AIR_HU
from bodycomp.imaging.volume import Volume
from bodycomp.networks.area_intervals import AreaIntervals
from bodycomp.results import LevelResult, Measurement

MM2_PER_CM2 = 100.0


def measure(
    hu: NDArray[np.generic],
    mask: NDArray[np.uint8],
    tissue: Tissue,
    pixel_area_mm2: float,
    *,
    border: NDArray[np.bool_] | None = None,
) -> Measurement:
    """Measure one tissue on one slice, or averaged over several.

    Over several slices the area is the mean of the slices' areas, and the HU statistics and the
    border fraction are those of all their pixels pooled: a slice counts with the tissue it has.
    Masks have the shape of ``hu``, (row, column) or (slice, row, column), as has ``border``, which
    pixels touch the edge of the field of view; it is found from ``hu`` if None.
    """
    slices, labels = (array.reshape((-1, *array.shape[-2:])) for array in (hu, mask))
    if border is None:
        border = find_border(slices)
    selected = tissue.of(labels)
    count = int(np.count_nonzero(selected))
    if count == 0:
        return Measurement(0.0, None, None, None, None, None, hu_range_area_cm2=0.0)
    values = slices[selected].astype(np.float64)
    lower, median, upper = np.percentile(values, (25, 50, 75))
    typical = values[within_hu(values, tissue.hu_range)]
    cm2_per_pixel = pixel_area_mm2 / MM2_PER_CM2 / len(slices)
    return Measurement(
        area_cm2=count * cm2_per_pixel,
        mean_hu=float(values.mean()),
        median_hu=float(median),
        sd_hu=float(values.std()),
        iqr_hu=float(upper - lower),
        border_fraction=float(np.count_nonzero(selected & border.reshape(slices.shape)) / count),
        hu_range_area_cm2=typical.size * cm2_per_pixel,
        hu_range_mean_hu=float(typical.mean()) if typical.size else None,
    )


def within_hu(hu: NDArray[Any], hu_range: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels lie in a range of HU, both ends included.

    >>> within_hu(np.array([-191, -190, -30, -29]), (-190, -30)).tolist()
    [False, True, True, False]
    """
    low, high = hu_range
    # Whole HU on both sides of a range leave no gap when pixels are not whole: 29.6 is 30.
    whole = np.rint(hu)
    inside: NDArray[np.bool_] = (whole >= low) & (whole <= high)
    return inside


def measure_tissues(
    hu: NDArray[np.generic],
    masks: NDArray[np.uint8],
    tissues: Sequence[Tissue],
    pixel_area_mm2: float,
) -> dict[str, Measurement]:
    """Return tissue key -> ``measure`` of it, finding the field of view only once."""
    border = find_border(hu)
    return {
        tissue.key: measure(hu, masks, tissue, pixel_area_mm2, border=border) for tissue in tissues
    }


def find_border(hu: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return which pixels touch the edge of the field of view, same shape as ``hu``."""
    shape = (hu.shape[-2], hu.shape[-1])
    slices = hu.reshape((-1, *shape))
    border = [border_pixels(shape, field_of_view_radius_px(image)) for image in slices]
    return np.stack(border).reshape(hu.shape)


ML_PER_CM2_MM = 0.1


def slice_heights_mm(
    z_mm: NDArray[np.float64], indices: Sequence[int], low_mm: float, high_mm: float
) -> NDArray[np.float64] | None:
    """Return for how much of a range each slice stands: (index,), mm, adding up to the range.

    Between two slices the border is half-way; the first and the last slice reach to the ends of
    the range.

    ``z_mm`` are those of all slices, ``indices`` those in the range, without gaps. None where the
    scan does not cover it: an end lies farther from the nearest slice than half the distance to the
    next.

    >>> slice_heights_mm(np.arange(5) * 4.0, [1, 2, 3], 3.0, 13.0)
    array([3., 4., 3.])
    """
    if len(z_mm) < 2 or not indices:
        return None
    gaps = np.diff(z_mm)
    if low_mm < z_mm[0] - gaps[0] / 2 - 1e-6 or high_mm > z_mm[-1] + gaps[-1] / 2 + 1e-6:
        return None
    inside = z_mm[list(indices)]
    edges = np.concatenate([[low_mm], (inside[:-1] + inside[1:]) / 2, [high_mm]])
    heights: NDArray[np.float64] = np.diff(edges)
    return heights


def volume_ml(areas_cm2: NDArray[np.float64], heights_mm: NDArray[np.float64]) -> float:
    """Return the volume of slices of these areas and heights.

    >>> volume_ml(np.array([100.0, 200.0]), np.array([5.0, 5.0]))
    150.0
    """
    return float(areas_cm2 @ heights_mm) * ML_PER_CM2_MM


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
            pixels = sum(np.count_nonzero(tissue.of(mask)) for mask in masks.values())
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


def with_prediction_intervals(
    level: LevelResult, intervals: AreaIntervals | None, slice_selection: str
) -> LevelResult:
    """Return a level with the intervals of its areas that the segmentation model's card gives.

    They are of areas on one slice, at levels that the model of this digest finds, or people; else a
    level stays as it is.
    """
    if intervals is None or not intervals.is_for(slice_selection) or len(level.slice_indices) != 1:
        return level
    measured = dict(level.measurements)
    for tissue, found in level.measurements.items():
        bounds = intervals.bounds(tissue, is_flagged=touches_area(level.flags, tissue))
        if bounds is not None:
            low_cm2, high_cm2 = bounds.around(found.area_cm2)
            measured[tissue] = replace(
                found, area_pi90_low_cm2=low_cm2, area_pi90_high_cm2=high_cm2
            )
    return replace(level, measurements=measured)


def _moved(
    hu: NDArray[np.int16] | NDArray[np.float32], degrees: float, shift: tuple[int, int]
) -> NDArray[np.int16] | NDArray[np.float32]:
    turned = hu
    if degrees:
        turned = ndimage.rotate(hu, degrees, reshape=False, order=1, cval=AIR_HU)
    if any(shift):
        turned = ndimage.shift(turned, shift, order=0, cval=AIR_HU)
    return turned
