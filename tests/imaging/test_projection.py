"""A series as radiographs of its bones, of the body and of the straightened spine."""

from __future__ import annotations

import numpy as np
import pytest

from bodycomp.imaging.projection import (
    COLUMNS,
    ROW_MM,
    SIDE,
    VIEWS,
    at_heights,
    bone_share,
    project,
    row_heights,
)
from bodycomp.imaging.window import SOFT_TISSUE

FRONT, BESIDE, SAGITTAL, CORONAL = range(len(VIEWS))


def test_soft_tissue_is_no_bone_and_dense_bone_is_whole() -> None:
    for hu, share in ((-900, 0.0), (60, 0.0), (100, 0.0), (SOFT_TISSUE.high_hu, 1.0)):
        bone = bone_share(SOFT_TISSUE(np.full((4, 4), hu, np.float32)), SOFT_TISSUE)
        assert bone.shape == (SIDE, SIDE)
        np.testing.assert_allclose(bone, share, atol=1e-6)


def test_a_ray_holds_the_share_of_its_pixels_that_is_bone() -> None:
    bones = np.zeros((SIDE, SIDE), np.float32)
    bones[32:64, 80:82] = 1.0
    views = project(lambda _: bones, ROW_MM * np.arange(3))
    assert views[FRONT, 0].tolist() == [0] * 40 + [0.25] + [0] * 23
    assert views[BESIDE, 0].tolist() == [0] * 16 + [2 / SIDE] * 16 + [0] * 32


@pytest.mark.parametrize("step_mm", [0.6, 1.5, 3.0, 4.25, 10.0])
def test_rows_lie_3_mm_apart_whatever_the_distance_of_slices(step_mm: float) -> None:
    z_mm = step_mm * np.arange(round(90 / step_mm))

    def bones(index: int) -> np.ndarray:
        return np.full((SIDE, SIDE), z_mm[index] / 100, np.float32)

    rows, heights = project(bones, z_mm), row_heights(z_mm)
    assert rows.shape == (len(VIEWS), len(heights), COLUMNS)
    assert np.diff(heights) == pytest.approx(ROW_MM)
    np.testing.assert_allclose(100 * rows[0, :, 0], heights, atol=0.31)  # half the thinnest slice


def test_slices_that_lie_denser_than_rows_are_not_asked_for() -> None:
    asked = []

    def bones(index: int) -> np.ndarray:
        asked.append(index)
        return np.zeros((SIDE, SIDE), np.float32)

    project(bones, 1.0 * np.arange(300))
    assert len(asked) == 100


def test_a_single_slice_is_one_row() -> None:
    views = project(lambda _: np.ones((SIDE, SIDE), np.float32), np.array([7.0]))
    assert views.shape == (len(VIEWS), 1, COLUMNS)


def test_a_spine_that_bends_to_the_side_and_forward_is_straight_in_its_slabs() -> None:
    rows = np.arange(90)
    middle = np.rint(64 + 14 * np.sin(rows / 20)).astype(int)
    depth = np.rint(84 - 12 * np.sin(rows / 30)).astype(int)
    is_disc = rows % 10 > 7

    def bones(row: int) -> np.ndarray:
        slice_bones = np.zeros((SIDE, SIDE), np.float32)
        slice_bones[20:40, 10:12] = slice_bones[20:40, 116:118] = 0.6  # ribs
        if not is_disc[row]:
            slice_bones[depth[row] - 8 : depth[row] + 9, middle[row] - 5 : middle[row] + 6] = 0.8
        return slice_bones

    views = project(bones, ROW_MM * rows.astype(np.float64))
    where = np.arange(COLUMNS)
    for view in (SAGITTAL, CORONAL):
        seen = views[view][~is_disc]
        center = (seen * where).sum(axis=1) / seen.sum(axis=1)
        assert np.abs(center - COLUMNS / 2).max() < 3
        assert views[view][is_disc].max() < 0.05
        assert seen.max(axis=1).min() > 0.5
    seen = views[FRONT][~is_disc]
    assert np.ptp((seen * where).sum(axis=1) / seen.sum(axis=1)) > 3


def test_values_of_rows_are_brought_back_to_the_slices() -> None:
    z_mm = np.array([0.0, 5.0, 10.0, 15.0])
    rows_mm = row_heights(z_mm)
    values = np.stack([rows_mm - 7.0, 2 * rows_mm], axis=1)
    np.testing.assert_allclose(
        at_heights(values, rows_mm, z_mm), np.stack([z_mm - 7, 2 * z_mm], axis=1)
    )
