"""A series seen from the front and the side: what a ray holds, and where its rows lie."""

from __future__ import annotations

import numpy as np
import pytest

from bodycomp.imaging.projection import ROW_MM, at_heights, project, row_heights, slice_profiles
from bodycomp.imaging.window import SOFT_TISSUE


def test_a_ray_holds_the_share_of_its_pixels_that_is_bone() -> None:
    hu = np.full((8, 8), 40.0, np.float32)
    hu[2:4, 5] = 1000.0
    front, side = slice_profiles(SOFT_TISSUE(hu), SOFT_TISSUE)
    assert front.tolist() == [0, 0, 0, 0, 0, 0.25, 0, 0]
    assert side.tolist() == [0, 0, 0.125, 0.125, 0, 0, 0, 0]


def test_soft_tissue_is_no_bone_and_dense_bone_is_whole() -> None:
    for hu, share in ((-900, 0.0), (60, 0.0), (100, 0.0), (SOFT_TISSUE.high_hu, 1.0)):
        bone = slice_profiles(SOFT_TISSUE(np.full((4, 4), hu, np.float32)), SOFT_TISSUE)[0]
        np.testing.assert_allclose(bone, share, atol=1e-6)


@pytest.mark.parametrize("step_mm", [0.6, 1.5, 3.0, 4.25, 10.0])
def test_rows_lie_3_mm_apart_whatever_the_distance_of_slices(step_mm: float) -> None:
    z_mm = -400 + step_mm * np.arange(round(90 / step_mm))

    def profile(index: int) -> np.ndarray:
        return np.full((2, 2), z_mm[index], np.float32)

    rows, heights = project(profile, z_mm), row_heights(z_mm)
    assert rows.shape == (2, len(heights), 2)
    assert np.diff(heights) == pytest.approx(ROW_MM)
    np.testing.assert_allclose(rows[0, :, 0], heights, atol=0.31)  # half of the thinnest slice


def test_slices_that_lie_denser_than_rows_are_not_asked_for() -> None:
    asked = []

    def profile(index: int) -> np.ndarray:
        asked.append(index)
        return np.zeros((2, 2), np.float32)

    project(profile, 1.0 * np.arange(300))
    assert len(asked) == 100


def test_a_single_slice_is_one_row() -> None:
    assert project(lambda _: np.ones((2, 2), np.float32), np.array([7.0])).shape == (2, 1, 2)


def test_values_of_rows_are_brought_back_to_the_slices() -> None:
    z_mm = np.array([0.0, 5.0, 10.0, 15.0])
    rows_mm = row_heights(z_mm)
    values = np.stack([rows_mm - 7.0, 2 * rows_mm], axis=1)
    np.testing.assert_allclose(
        at_heights(values, rows_mm, z_mm), np.stack([z_mm - 7, 2 * z_mm], axis=1)
    )
