from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.imaging.resize import resize_gray, resize_image, resize_labels

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(SIZES, SIZES, st.floats(-1000, 1000, width=32))
def test_a_flat_image_stays_flat(
    source: tuple[int, int], target: tuple[int, int], hu: float
) -> None:
    resized = resize_image(np.full(source, hu, np.float32), target)
    assert resized.shape == target
    np.testing.assert_allclose(resized, hu, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("target", [16, 32, 128, 96])
def test_a_ramp_keeps_its_place(target: int) -> None:
    """Both grids cover the same area: the value at a place in mm does not move."""
    source = 64
    ramp = np.tile(np.arange(source) + 0.5, (source, 1)) / source
    resized = resize_image(ramp, (target, target))
    inner = slice(target // 8, -target // 8)  # the filter leans inwards at the edge
    expected = (np.arange(target) + 0.5) / target
    np.testing.assert_allclose(resized[0, inner], expected[inner], atol=1e-5)


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.tile(np.array([0.0, 100.0]), (64, 32))
    np.testing.assert_allclose(resize_image(stripes, (16, 16)), 50, atol=4)


@given(SIZES, SIZES, st.integers(0, 99))
def test_labels_are_never_interpolated(
    source: tuple[int, int], target: tuple[int, int], seed: int
) -> None:
    labels = np.random.default_rng(seed).choice(np.array([0, 1, 3], np.uint8), source)
    resized = resize_labels(labels, target)
    assert resized.shape == target
    assert set(np.unique(resized)) <= set(np.unique(labels))


@given(SIZES, st.integers(1, 4), st.integers(0, 99))
def test_labels_come_back_from_a_finer_grid(size: tuple[int, int], factor: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 4, size, dtype=np.uint8)
    finer = resize_labels(labels, (size[0] * factor, size[1] * factor))
    np.testing.assert_array_equal(resize_labels(finer, size), labels)


def test_gray_levels_stay_bytes() -> None:
    gray = np.random.default_rng(0).integers(0, 256, (50, 70), dtype=np.uint8)
    resized = resize_gray(gray, (256, 256))
    assert resized.dtype == np.uint8
    assert resize_gray(gray, gray.shape) is gray
    np.testing.assert_array_equal(resize_gray(np.full((9, 9), 255, np.uint8), (5, 5)), 255)
