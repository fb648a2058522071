"""Intervals: moving a slice changes no area, so what changes is the network's doing."""

import numpy as np
import pytest

from bodycomp.analysis.measurement import area_spreads_cm2, with_interval
from bodycomp.anatomy import MUSCLE
from bodycomp.imaging.volume import Volume
from bodycomp.results import Measurement
from support.factories import torso_slice


def volume():
    hu, _ = torso_slice(np.random.default_rng(0), (256, 256))
    return Volume(np.stack([hu, hu]), (1.0, 1.0), np.array([0.0, 5.0]))


def by_threshold(ct, indices):
    """Muscle wherever it is dense: does not care how the slice lies."""
    return {index: (ct.hu[index] > -25).astype(np.uint8) for index in indices}


def left_half_only(ct, indices):
    """A network that depends on where things are."""
    columns = np.arange(256) < 128
    return {index: mask * columns for index, mask in by_threshold(ct, indices).items()}


def test_segmenter_that_does_not_care_has_a_narrow_interval():
    ct = volume()
    area_cm2 = np.count_nonzero(by_threshold(ct, [0])[0]) / 100
    mean, deviation = area_spreads_cm2(by_threshold, ct, (0, 1), [MUSCLE])["muscle"]
    assert mean == pytest.approx(area_cm2, rel=0.01)
    assert deviation < 0.005 * area_cm2


def test_segmenter_that_cares_has_a_wide_one():
    narrow, wide = (
        area_spreads_cm2(segment, volume(), (0,), [MUSCLE])["muscle"][1]
        for segment in (by_threshold, left_half_only)
    )
    assert wide > 5 * narrow


@pytest.mark.parametrize("mean", [0.0, 90.0, 130.0])
def test_interval_holds_the_area_and_is_never_negative(mean):
    found = with_interval(Measurement(100.0, None, None, None, None, None), (mean, 30.0))
    assert 0 <= found.area_low_cm2 <= 100 <= found.area_high_cm2
