"""HU that cannot be HU are refused in words, whatever padding, bone or size they come with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bodycomp.imaging.hu_range import hu_sample, implausible_hu, why_not_hu
from bodycomp.reading.read_scan import read_scan

REAL = Path(__file__).parents[2] / "../shared/real"


def torso(seed: int = 0, *, body: float = 0.6, bone: float = 0.1) -> NDArray[np.float64]:
    """Three slices: an ellipse of fat and muscle around bone, with gas, skin and 12 HU of noise.

    Args:
        body: Half axis of the body as a share of half the image's side.
        bone: Share of the body that is bone.
    """
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.linspace(-1, 1, 128), np.linspace(-1, 1, 128), indexing="ij")
    radius = np.hypot(y / 0.75, x) / body
    hu = np.interp(radius, (0.97, 1.0), (-100.0, -1000.0))
    hu[radius < 0.8] = 50
    hu[radius < np.sqrt(bone)] = rng.normal(700, 300, (radius < np.sqrt(bone)).sum())
    hu[np.hypot(y - 0.2, x) < 0.06] = -950
    return np.stack([hu] * 3) + rng.normal(0, 12, (3, 128, 128))


def padded(hu: NDArray[np.float64], value: float) -> NDArray[np.float64]:
    """The same with one value outside the circle of the field of view."""
    y, x = np.meshgrid(np.linspace(-1, 1, 128), np.linspace(-1, 1, 128), indexing="ij")
    return np.where(y**2 + x**2 > 1, value, hu)


paddings = st.sampled_from([None, -1024, -2000, -2048, -3024, -32768])
bodies = st.floats(0.35, 1.2)


@given(paddings, bodies, st.floats(0.01, 0.2), st.integers(0, 3))
def test_scans_of_any_padding_body_and_bone_pass(padding, body, bone, seed):
    hu = torso(seed, body=body, bone=bone)
    assert implausible_hu(hu if padding is None else padded(hu, padding)) is None


@given(paddings, st.floats(0.12, 0.35), st.floats(0.01, 0.2), st.sampled_from([-1024, -1000]))
def test_small_bodies_in_a_large_field_of_view_pass_and_do_not_when_they_are_too_low(
    padding, body, bone, shift
):
    """A newborn is 10 cm wide; fields of view reach 50 cm, at times 70."""
    hu = torso(body=body, bone=bone)
    low = hu + shift
    if padding is not None:
        hu, low = padded(hu, padding), padded(low, padding)
    assert implausible_hu(hu) is None
    assert implausible_hu(low) is not None


@given(paddings, bodies, st.floats(0.01, 0.08), st.sampled_from([-1024, -1000, 1024, 1000, 2048]))
def test_scans_with_the_offset_missing_or_twice_do_not(padding, body, bone, shift):
    """Dense bone and padding that kept its value do not hide it."""
    hu = torso(body=body, bone=bone) + shift
    assert implausible_hu(hu if padding is None else padded(hu, padding)) is not None


@given(paddings, st.sampled_from([(-160, 240), (-150, 250), (-200, 300), (-400, 600)]), bodies)
def test_windowed_and_gray_images_do_not(padding, window, body):
    low, high = window
    clipped = np.clip(torso(body=body), low, high)
    for image in (clipped, np.rint((clipped - low) / (high - low) * 255)):
        assert implausible_hu(image if padding is None else padded(image, padding)) is not None


@given(
    paddings,
    st.floats(0.35, 0.9),
    st.sampled_from([-1024, 1024]),
    st.sets(st.integers(0, 11), min_size=1),
)
def test_single_slices_with_the_offset_missing_or_twice_are_found(padding, body, shift, wrong):
    """The rescale of a part of the files may be wrong; slices of air are not."""
    hu = torso(body=body)[0] if padding is None else padded(torso(body=body)[0], padding)
    stack = np.stack([hu] * 12 + [np.random.default_rng(0).normal(-1000, 12, hu.shape)] * 3)
    assert why_not_hu(stack) is None
    stack[sorted(wrong)] += shift
    found = why_not_hu(stack)
    assert found is not None
    if len(wrong) < 6:
        where = f"{len(wrong)} of 15 slices, the first at slice {min(wrong)} from the feet"
        assert where in found


def test_it_is_said_what_was_expected_and_found():
    low = implausible_hu(torso() - 1024)
    assert low is not None
    assert low.startswith("expected soft tissue and fat within -200 to 200 HU in at least 3%")
    assert "1024 HU lower" in low
    assert "1024 HU above soft tissue" in str(implausible_hu(padded(torso() + 1024, -1000)))
    assert implausible_hu(np.zeros(9)) == (
        "expected HU with air far below -200, found values from 0 to 0"
    )


def test_images_computed_from_materials_are_scans():
    assert implausible_hu(np.array([-1000, -1000, 40])) is None
    noise = np.random.default_rng(1).normal(40, 12, 5000)
    assert implausible_hu(np.concatenate([np.full(5000, -1000), noise])) is None


def test_a_sample_is_as_large_as_needed():
    assert hu_sample(np.zeros((2, 3, 4))).shape == (2, 3, 4)
    assert hu_sample(np.zeros((1200, 64, 64), np.int16)).size <= 1 << 20


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real scans in ../shared/real")
@pytest.mark.parametrize(
    "name", ["torso_ct", "head_chest", "jpeg2000", "thorax_upper_abdomen", "chest_noncontrast"]
)
def test_real_scans_pass_and_do_not_when_they_are_shifted(name):
    volume = read_scan(REAL / name).volume
    assert why_not_hu(volume.hu) is None
    hu = hu_sample(volume.hu).astype(np.float64)
    for shift in (-1024, 1024):
        assert implausible_hu(hu + shift) is not None
        assert implausible_hu(np.where(hu < -1100, hu, hu + shift)) is not None
