"""Reformats: proportions and orientation."""

import numpy as np
import pytest

from bodycomp.imaging.volume import Volume
from bodycomp.report.volume_views import SlicePicture, coronal_and_sagittal


def volume_with_marker(orientation, z):
    """Return air with a bony rod on the patient's right and one in front, higher up."""
    hu = np.full((len(z), 20, 30), -1000, np.int16)
    standard = hu
    standard[0, 8:12, 2:4] = 800  # right, lowest slice
    standard[-1, 1:3, 14:16] = 800  # front, highest slice
    if orientation[0] == -1:  # stored from left to right
        hu = hu[:, :, ::-1].copy()
    return Volume(hu, (2.0, 3.0), np.asarray(z, float), orientation)


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, 1, 0)])
def test_right_is_left_and_front_is_left(orientation):
    coronal, sagittal = coronal_and_sagittal(volume_with_marker(orientation, [0, 5, 10]))

    assert np.flatnonzero(coronal.hu[0] > 0).tolist() == [2, 3]
    assert np.flatnonzero(coronal.hu[2] > 0).tolist() == [14, 15]
    assert coronal.width_mm == 90
    assert sagittal.width_mm == 40


def test_rows_cover_each_slice_in_proportion_to_its_extent():
    coronal, _ = coronal_and_sagittal(volume_with_marker((1, 0, 0, 0, 1, 0), [0, 1, 2, 12]))

    even = coronal.even_rows()

    assert coronal.z_edges_mm.tolist() == [-0.5, 0.5, 1.5, 7.0, 17.0]
    lowest, highest = ((even[:, place] > 0).mean() for place in (2, 14))
    assert lowest == pytest.approx(1 / 17.5, abs=0.06)
    assert highest == pytest.approx(10 / 17.5, abs=0.06)


def test_frame_holds_the_body_but_not_the_table():
    hu = np.full((1, 100, 100), -1000, np.int16)
    hu[0, 30:60, 20:80] = 0
    hu[0, 90:92, 5:95] = 300
    picture = SlicePicture.from_volume(Volume(hu, (2.0, 2.0), np.zeros(1)), 0)
    assert picture.frame_mm == pytest.approx((40 - 15, 160 + 15, 60 - 15, 120 + 15))
