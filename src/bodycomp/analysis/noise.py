"""How noisy a slice is where muscle and organs are."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

WINDOW_MM: Final = 6.0
SOFT_TISSUE_HU: Final = (0.0, 100.0)
BIN_HU: Final = 0.5
FEWEST_PIXELS: Final = 500


def global_noise_hu(
    hu: NDArray[np.generic], body: NDArray[np.bool_], pixel_spacing_mm: tuple[float, float]
) -> float | None:
    """Return the most frequent local standard deviation over soft tissue, in HU.

    Every square of 6 mm whose mean lies within 0..100 HU counts; squares across an edge have large
    deviations that are all different, so the most frequent value is that of even tissue. After
    Christianson et al., AJR 205:W93, 2015.

    None where there is too little soft tissue.
    """
    size = [max(3, round(WINDOW_MM / spacing)) for spacing in pixel_spacing_mm]
    values = hu.astype(np.float64)
    mean = ndimage.uniform_filter(values, size)
    variance = ndimage.uniform_filter(values**2, size) - mean**2
    # The squares of a population of n pixels, corrected for the mean taken from them.
    count = size[0] * size[1]
    deviation = np.sqrt(np.clip(variance * count / (count - 1), 0, None))
    low, high = SOFT_TISSUE_HU
    soft = deviation[body & (mean >= low) & (mean <= high)]
    if soft.size < FEWEST_PIXELS:
        return None
    top = float(np.percentile(soft, 95)) + 2 * BIN_HU
    histogram, edges = np.histogram(soft, np.arange(0.0, top + BIN_HU, BIN_HU))
    smooth = ndimage.gaussian_filter1d(histogram.astype(np.float64), 2.0)
    most = int(np.argmax(smooth))
    return float((edges[most] + edges[most + 1]) / 2)
