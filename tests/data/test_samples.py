"""Which slices become samples, and how they are turned and resized."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.data.samples import (
    level_sample,
    level_slices,
    mask_sample,
    mask_slices,
    training_share,
)
from bodycomp.data.sampling_options import LevelSampling, MaskSampling
from bodycomp.errors import ImageError, UsageError
from bodycomp.imaging.preprocessing import (
    SEGMENTATION_PREPROCESSING,
    SLICE_SELECTION_PREPROCESSING,
)
from bodycomp.imaging.square_field import AIR_HU, SquareField
from bodycomp.imaging.volume import STANDARD_ORIENTATION, Volume
from support.factories import NOT_SQUARE, SIDEWAYS, cylinder

UPSIDE_DOWN = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


def stack(slices: int = 40, spacing_mm: float = 1.0, size: tuple[int, int] = (4, 4)) -> Volume:
    hu = np.zeros((slices, *size), np.int16)
    return Volume(hu, (0.8, 0.8), -100.0 + spacing_mm * np.arange(slices))


def every(volume: Volume) -> np.ndarray:
    return np.ones(len(volume), bool)


def test_candidates_alone_are_taken() -> None:
    volume = stack()
    annotated = np.isin(np.arange(40), [3, 4, 20])
    assert mask_slices(volume, annotated, {}, MaskSampling()) == [3, 4, 20]


def test_a_single_annotated_slice_survives_the_thinning() -> None:
    annotated = np.isin(np.arange(40), [7, *range(20, 31)])
    assert mask_slices(stack(), annotated, {}, MaskSampling(spacing_mm=5)) == [7, 20, 25, 30]


def test_slices_about_a_level_within_the_reach() -> None:
    volume = stack(spacing_mm=2.0)
    sampling = MaskSampling(around="L3", reach_mm=6, spacing_mm=4)
    chosen = mask_slices(volume, every(volume), {"L3": -60.0}, sampling)
    assert volume.slice_z_mm[chosen].tolist() == [-64.0, -60.0, -56.0]
    with pytest.raises(ImageError, match="expected a position of L3"):
        mask_slices(volume, every(volume), {"T5": -60.0}, sampling)


@given(st.integers(1, 60), st.integers(1, 60))
def test_at_most_so_many_slices_evenly_spread(slices: int, most: int) -> None:
    volume = stack(slices)
    chosen = mask_slices(volume, every(volume), {}, MaskSampling(max_per_scan=most))
    assert len(chosen) == min(slices, most)
    assert chosen == sorted(set(chosen))


@given(
    spacing_mm=st.floats(0.5, 5),
    stride=st.integers(1, 5),
    near_mm=st.floats(1, 50),
    levels=st.dictionaries(st.sampled_from(["L3", "T5"]), st.floats(-120, 0)),
)
def test_training_keeps_all_near_a_level_and_a_share_elsewhere(
    spacing_mm: float, stride: int, near_mm: float, levels: dict[str, float]
) -> None:
    volume = stack(60, spacing_mm)
    sampling = LevelSampling(near=("L3", "T5"), near_mm=near_mm, far_stride=stride)
    every_slice = level_slices(volume, sampling)
    kept = training_share(every_slice, volume, levels, sampling)
    assert set(every_slice[::stride]) <= set(kept) <= set(every_slice)
    for index in every_slice:
        near = any(abs(volume.slice_z_mm[index] - z) <= near_mm for z in levels.values())
        assert (index in kept) == (near or index % stride == 0)


def test_offsets_are_positive_above_the_level_and_missing_outside_the_scan() -> None:
    volume = stack(11, 10.0)
    sample = level_sample(volume, {"L3": -60.0, "T5": 300.0, "S1": -100.0}, 6)
    assert sample.offsets_mm == {"L3": 20.0, "S1": 60.0}


@pytest.mark.parametrize("size", [(512, 512), (300, 400)])
def test_samples_are_what_the_networks_see_of_the_scan(size: tuple[int, int]) -> None:
    """Also of a scan that lies upside down and is padded below air."""
    rng = np.random.default_rng(1)
    hu = rng.integers(-3000, 1500, (3, *size)).astype(np.int16)
    volume = Volume(hu, (0.8 * size[1] / size[0], 0.8), np.array([0.0, 1.0, 2.0]), UPSIDE_DOWN)
    seen = hu[1, ::-1, ::-1]
    labels = np.zeros(size, np.uint8)
    labels[:10, :20] = 3  # patient's left back corner
    sample = mask_sample(volume, labels, 1)
    np.testing.assert_allclose(
        SEGMENTATION_PREPROCESSING.from_hu(sample.hu),
        SEGMENTATION_PREPROCESSING.from_hu(seen),
        atol=0.5 / 400 + 1e-6,  # half a HU of rounding
    )
    assert sample.labels[-1, -1] == 3
    assert sample.labels[0, 0] == 0
    np.testing.assert_array_equal(
        SLICE_SELECTION_PREPROCESSING.from_gray(level_sample(volume, {}, 1).gray),
        SLICE_SELECTION_PREPROCESSING.from_hu(seen),
    )


@pytest.mark.parametrize(("size", "spacing_mm"), NOT_SQUARE)
@pytest.mark.parametrize("orientation", [STANDARD_ORIENTATION, SIDEWAYS])
def test_a_circle_is_a_circle_in_samples_of_fields_that_are_not_square(
    size: tuple[int, int], spacing_mm: tuple[float, float], orientation: tuple[float, ...]
) -> None:
    volume = cylinder(size, spacing_mm, orientation, radius_mm=120)
    labels = (volume.hu[0] > 0).astype(np.uint8)
    mask, level = mask_sample(volume, labels, 0), level_sample(volume, {}, 0)
    for disc in (mask.labels == 1, mask.hu > -500, level.gray > 127):
        row_mm, column_mm = SquareField.of_volume(volume).sample_spacing_mm(disc.shape)
        assert row_mm == pytest.approx(column_mm, rel=2e-3)
        high, wide = np.ptp(np.argwhere(disc), axis=0) + 1
        assert (high, wide) == pytest.approx((240 / row_mm, 240 / column_mm), abs=3)
        assert disc.sum() * row_mm * column_mm == pytest.approx(np.pi * 120**2, rel=0.02)
    assert mask.hu.min() == AIR_HU


@pytest.mark.parametrize(
    "make",
    [
        lambda: MaskSampling(spacing_mm=0),
        lambda: MaskSampling(reach_mm=-1),
        lambda: MaskSampling(max_per_scan=0),
        lambda: MaskSampling(around="l3"),
        lambda: LevelSampling(far_stride=0),
        lambda: LevelSampling(near=("l3",)),
    ],
)
def test_impossible_samplings_are_refused(make: object) -> None:
    with pytest.raises(UsageError):
        make()


def test_values_that_16_bits_do_not_hold_are_refused() -> None:
    volume = Volume(np.full((1, 4, 4), 40_000, np.float32), (1.0, 1.0), np.array([0.0]))
    with pytest.raises(ImageError, match="fit 16 bits"):
        mask_sample(volume, np.zeros((4, 4), np.uint8), 0)


def test_what_is_not_annotated_survives_padding_and_resizing_and_air_is_background():
    hu = np.zeros((1, 40, 30), np.int16)
    labels = np.ones((40, 30), np.uint8)
    labels[:20] = 255
    made = mask_sample(Volume(hu, (1.0, 1.0), np.zeros(1)), labels, 0).labels
    assert made.shape == (512, 512)
    assert {int(value) for value in np.unique(made)} == {0, 1, 255}
    assert not made[:, :60].any()
    assert (made[:250, 70:440] == 255).all()
