from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from bodycomp.errors import ImageError
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.volume import obliquity_degrees, slice_normal

AXES = [np.array(axis) * sign for axis in ((1, 0, 0), (0, 1, 0)) for sign in (1, -1)]
AXIAL = [(*a, *b) for a, b in itertools.product(AXES, AXES) if a @ b == 0]


def picture(orientation: Sequence[float], shape: tuple[int, int]) -> np.ndarray:
    """Each pixel holds 100 x its L coordinate + its P coordinate, in pixels, from the corner."""
    rows, columns = np.indices(shape)
    along_row, along_column = np.array(orientation[:3]), np.array(orientation[3:])
    place = columns[..., None] * along_row + rows[..., None] * along_column
    place -= place.min(axis=(0, 1))
    return 100 * place[..., 0] + place[..., 1]


@pytest.mark.parametrize("orientation", AXIAL)
def test_all_eight_axial_orientations_reach_the_standard_view(
    orientation: tuple[int, ...],
) -> None:
    source = picture(orientation, (4, 7))
    turn = OrientationTransform.from_orientation(orientation)
    turned = turn.apply(source)
    # The patient's left is on the right of the picture and the back below.
    np.testing.assert_array_equal(turned, picture((1, 0, 0, 0, 1, 0), turned.shape))
    np.testing.assert_array_equal(turn.undo(turned), source)


def test_leading_axes_are_left_alone() -> None:
    stack = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    turn = OrientationTransform(transpose=True, flip_rows=True)
    np.testing.assert_array_equal(turn.apply(stack)[1], turn.apply(stack[1]))


def test_coronal_slices_have_no_turn() -> None:
    with pytest.raises(ImageError, match="expected an axial slice"):
        OrientationTransform.from_orientation((1, 0, 0, 0, 0, -1))


@pytest.mark.parametrize("degrees", [0, 10, 25, 60])
def test_obliquity_is_the_angle_of_the_tilt(degrees: float) -> None:
    angle = np.radians(degrees)
    orientation = (1, 0, 0, 0, np.cos(angle), np.sin(angle))
    assert obliquity_degrees(orientation) == pytest.approx(degrees, abs=1e-5)
    assert slice_normal(orientation)[2] == pytest.approx(np.cos(angle))
