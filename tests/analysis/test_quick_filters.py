"""Filters that are quicker than SciPy's give what SciPy gives, pixel by pixel."""

import numpy as np
import pytest
from scipy import ndimage

from bodycomp.analysis.labels_at_size import median_of_nine
from bodycomp.analysis.skin_line import grown, opened


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_median_of_nine(kind):
    image = (300 * np.random.default_rng(1).normal(size=(40, 67))).astype(kind)
    assert np.array_equal(median_of_nine(image), ndimage.median_filter(image, 3))


@pytest.mark.parametrize("radius_mm", [0.5, 3.0, 5.0, 70.0])
@pytest.mark.parametrize("spacing_mm", [(0.75, 0.75), (0.7, 1.3), (0.9765625, 0.9765625)])
@pytest.mark.parametrize("share", [0.002, 0.5, 0.995])
def test_grown_and_opened_follow_distances(radius_mm, spacing_mm, share):
    mask = np.random.default_rng(2).random((50, 64)) < share

    def within(mask):
        distance = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
        return distance <= radius_mm if mask.any() else mask

    assert np.array_equal(grown(mask, radius_mm, spacing_mm), within(mask))
    solid = ~within(~mask)
    assert np.array_equal(opened(mask, radius_mm, spacing_mm), within(solid) & mask)


def test_nothing_grows_from_nothing():
    assert not grown(np.zeros((5, 5), bool), 3.0, (1.0, 1.0)).any()
