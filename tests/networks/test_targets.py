import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.errors import UsageError
from bodycomp.networks.targets import DEFAULT_SCALE_MM, offset_to_target, target_to_offset

scales = st.floats(0.5, 100)
offsets = st.floats(-2000, 2000)


@given(offsets, scales)
def test_target_lies_between_0_and_1_and_is_antisymmetric(offset_mm, scale_mm):
    above, below = offset_to_target([offset_mm, -offset_mm], scale_mm)
    assert 0 <= above <= 1
    assert above + below == pytest.approx(1)


@given(offsets, offsets, scales)
def test_target_never_falls_towards_the_head(first_mm, second_mm, scale_mm):
    low, high = sorted((first_mm, second_mm))
    targets = offset_to_target([low, high], scale_mm)
    assert targets[0] <= targets[1]


@given(st.floats(-12, 12), scales)
def test_offset_comes_back_within_the_margin(scaled, scale_mm):
    offset_mm = scaled * scale_mm
    back = target_to_offset(offset_to_target(offset_mm, scale_mm), scale_mm)
    assert back == pytest.approx(offset_mm, rel=1e-6, abs=1e-6 * scale_mm)


@given(st.floats(-1, 2), scales)
def test_any_score_gives_a_finite_offset(score, scale_mm):
    assert abs(target_to_offset(score, scale_mm)) <= 13.9 * scale_mm


def test_known_values():
    """At one scale above the level: 1 / (1 + 1/e)."""
    np.testing.assert_allclose(offset_to_target([0, 10], DEFAULT_SCALE_MM), [0.5, 0.7310586])
    np.testing.assert_allclose(target_to_offset([0.5, 0.9], 10), [0, 10 * np.log(9)], atol=1e-12)


def test_not_annotated_stays_not_annotated():
    assert np.isnan(offset_to_target([np.nan], 10.0)).all()
    assert np.isnan(target_to_offset([np.nan], 10.0)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_type_is_kept(dtype):
    values = np.zeros((2, 3), dtype)
    assert offset_to_target(values, 10.0).dtype == dtype
    assert target_to_offset(values, 10.0).dtype == dtype
    assert offset_to_target(values, 10.0).shape == (2, 3)


@pytest.mark.parametrize("scale_mm", [0.0, -1.0, np.nan, np.inf])
def test_scale_must_be_positive(scale_mm):
    for function in (offset_to_target, target_to_offset):
        with pytest.raises(UsageError, match="expected a positive target scale in mm"):
            function(0.5, scale_mm)
