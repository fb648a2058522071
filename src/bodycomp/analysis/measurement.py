"""Label masks and HU -> areas, statistics of HU, volumes, and contact with the image border."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.field_of_view import border_pixels, field_of_view_radius_px
from bodycomp.anatomy import Tissue
from bodycomp.results import Measurement

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

    Masks have the shape of ``hu``, (row, column) or (slice, row, column) on the source grid, as has
    ``border``, which pixels touch the edge of the field of view; it is found from ``hu`` if None.
    """
    slices, labels = (array.reshape((-1, *array.shape[-2:])) for array in (hu, mask))
    if border is None:
        border = find_border(slices)
    selected = labels == tissue.label
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
