"""Smoothing in millimetres."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from bodycomp.analysis.level_verdict import smooth_along_z


def test_straight_line_comes_back_unchanged_on_uneven_slices_and_at_both_ends():
    z = np.array([0.0, 1, 2, 6, 7, 12, 13, 20, 60])
    assert smooth_along_z(3 * z - 5, z, 4.0) == pytest.approx(3 * z - 5)


def test_inside_an_even_series_it_is_the_gaussian_filter():
    values = np.random.default_rng(0).normal(size=200)
    z = np.arange(200) * 1.25

    ours = smooth_along_z(values, z, 5.0)

    assert ours[30:-30] == pytest.approx(gaussian_filter1d(values, 4.0)[30:-30], abs=1e-3)


def test_slice_without_neighbors_in_reach_keeps_its_value():
    values = np.array([1.0, 5.0, 2.0])
    assert smooth_along_z(values, np.array([0.0, 500.0, 1000.0]), 4.0) == pytest.approx(values)


def test_zero_width_and_single_slice_change_nothing():
    assert smooth_along_z(np.array([1.0, 2.0]), np.array([0.0, 1.0]), 0.0).tolist() == [1.0, 2.0]
    assert smooth_along_z(np.array([7.0]), np.array([0.0]), 4.0).tolist() == [7.0]
