"""The square field that networks see of any matrix and any pixel."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.errors import ImageError
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.square_field import AIR_HU, SquareField
from bodycomp.imaging.volume import Volume

TURNS = [OrientationTransform(*each) for each in itertools.product([False, True], repeat=3)]
SIDES = st.integers(20, 60)
SPACINGS_MM = st.floats(0.5, 1.5)


@given(SIDES, SIDES, SPACINGS_MM, SPACINGS_MM, st.sampled_from(TURNS), st.sampled_from([0, AIR_HU]))
def test_fields_are_square_and_images_come_back_exactly(
    rows: int,
    columns: int,
    row_mm: float,
    column_mm: float,
    turn: OrientationTransform,
    fill: float,
) -> None:
    field = SquareField.of_grid((rows, columns), (row_mm, column_mm), turn)
    image = np.random.default_rng(rows).integers(1, 100, (rows, columns)).astype(np.int16)
    square = field.apply(image, fill)
    high_mm, wide_mm = np.multiply(square.shape, field.spacing_mm)
    half_pixel_mm = max(row_mm, column_mm) / 2
    assert abs(high_mm - wide_mm) <= half_pixel_mm + 1e-9
    assert square.dtype == np.int16
    np.testing.assert_array_equal(field.undo(square), image)
    assert np.count_nonzero(square != fill) == image.size  # all else is air


@given(SIDES, SIDES, st.sampled_from(TURNS))
def test_air_is_the_same_on_both_sides(rows: int, columns: int, turn: OrientationTransform) -> None:
    field = SquareField.of_grid((rows, columns), (1.0, 1.0), turn)
    there = np.argwhere(field.apply(np.ones((rows, columns), np.uint8), 0))
    before, after = there.min(axis=0), np.array(field.shape) - 1 - there.max(axis=0)
    assert np.all((after - before >= 0) & (after - before <= 1))


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize(
    ("shape", "spacing_mm"),
    [((512, 512), (0.7, 0.7)), ((400, 512), (1.28, 1.0)), ((512, 512), (0.7, 0.7006))],
)
def test_square_fields_pass_without_a_copy(
    turn: OrientationTransform, shape: tuple[int, int], spacing_mm: tuple[float, float]
) -> None:
    """To half a pixel: headers round spacings."""
    field = SquareField.of_grid(shape, spacing_mm, turn)
    image = np.zeros(shape, np.int16)
    turned = field.apply(image)
    assert np.shares_memory(turned, image)
    assert turned.shape == turn.apply(image).shape
    assert turned.strides == turn.apply(image).strides
    assert np.shares_memory(field.undo(turned), image)


def test_a_sample_has_the_spacing_of_the_square() -> None:
    quarter_turn = (0.0, 1.0, 0.0, 1.0, 0.0, 0.0)
    volume = Volume(np.zeros((1, 256, 400), np.int16), (1.0, 0.5), np.zeros(1), quarter_turn)
    field = SquareField.of_volume(volume)
    assert (field.inner_shape, field.shape) == ((400, 256), (512, 256))
    assert field.sample_spacing_mm((512, 512)) == (0.5, 0.5)


def test_fields_that_no_scanner_has_are_refused_rather_than_filled_up() -> None:
    with pytest.raises(ImageError, match=r"at most 1 to 10, found 5120 x 0\.512 mm"):
        SquareField.of_grid((512, 512), (0.001, 10.0))
