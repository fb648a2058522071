"""The compiled kernel varies images as PyTorch's operators do, whatever the threads."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycomp.data.augmentation import AugmentationOptions, augment_batch, draw, pixel_noise
from bodycomp.data.batches import network_input
from bodycomp.data.compiled_augmentation import augment_compact, can_augment
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.imaging.window import Window
from bodycomp.native import library
from support.factories import torso_slice

pytestmark = pytest.mark.skipif(library() is None, reason="no compiler for the kernels")

PLAIN = Preprocessing(size=(128, 96))
STILL = AugmentationOptions(0, 0, 0, contrast_fraction=0.3, noise_fraction=0.2)


def torsos(count=3, size=(128, 96)):
    rng = np.random.default_rng(2)
    pairs = [torso_slice(rng, size) for _ in range(count)]
    hu, masks = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*pairs, strict=True))
    hu[:, 10:20, 10:20] = 3000  # metal: more than 8 bits hold
    return hu[:, None], masks


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def both(images, masks, options, preprocessing=PLAIN, seed=1):
    drawn = draw(len(images), seeded(seed), options)
    compiled = augment_compact(images, masks, drawn, preprocessing, moves=options.moves)
    plain = network_input(images, preprocessing)
    white = preprocessing.input_max
    return compiled, augment_batch(plain, masks, seeded(seed), options, white=white)


@pytest.mark.parametrize("white", [1.0, 255.0])
@pytest.mark.parametrize(
    "options",
    [AugmentationOptions(), AugmentationOptions(180, 0.5, 0.5, flip_left_right=True), STILL],
    ids=["default", "far", "grey alone"],
)
def test_images_are_equal_up_to_rounding_and_masks_exactly(options, white):
    images, masks = torsos()
    preprocessing = Preprocessing(size=(128, 96), input_max=white)
    (varied, moved), (expected, expected_moved) = both(images, masks, options, preprocessing)
    torch.testing.assert_close(varied, expected, atol=2e-5 * white, rtol=0)
    assert torch.equal(moved, expected_moved)
    assert moved.dtype == torch.uint8


def test_grey_levels_are_varied_like_hu():
    images, _ = torsos()
    grey = torch.from_numpy(PLAIN.window.to_grey(images.numpy()))
    (varied, moved), (expected, _) = both(grey, None, AugmentationOptions())
    torch.testing.assert_close(varied, expected, atol=2e-5, rtol=0)
    assert moved is None


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    rotation=st.floats(0, 180),
    shift=st.floats(0, 1),
)
def test_any_size_and_any_draw_agree(seed, rows, columns, rotation, shift):
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.integers(-2000, 4000, (2, 1, rows, columns)).astype(np.int16))
    masks = torch.from_numpy(rng.integers(0, 4, (2, rows, columns)).astype(np.uint8))
    options = AugmentationOptions(rotation, shift, 0.4)
    (varied, moved), (expected, expected_moved) = both(images, masks, options, seed=seed)
    # Between neighbours of random HU a position's rounding shows as much as it can.
    torch.testing.assert_close(varied, expected, atol=1e-3, rtol=0)
    assert torch.equal(moved, expected_moved)


def test_the_number_of_threads_changes_nothing():
    images, masks = torsos(5)
    drawn = draw(5, seeded(), AugmentationOptions())
    threads, results = torch.get_num_threads(), []
    for count in (1, 3):
        torch.set_num_threads(count)
        results.append(augment_compact(images, masks, drawn, PLAIN, moves=True))
    torch.set_num_threads(threads)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_a_sample_alone_comes_out_as_in_its_batch():
    images, masks = torsos(4)
    drawn = draw(4, seeded(), AugmentationOptions())
    together = augment_compact(images, masks, drawn, PLAIN, moves=True)
    part = slice(2, 3)
    alone = augment_compact(images[part], masks[part], drawn.part(part), PLAIN, moves=True)
    assert torch.equal(alone[0], together[0][part])
    assert torch.equal(alone[1], together[1][part])


def test_what_the_window_clips_stays_clipped():
    images, _ = torsos()
    options = AugmentationOptions(0, 0, 0, noise_fraction=0.5, brightness_fraction=0.5)
    (varied, _), _ = both(images, None, options)
    plain = network_input(images, PLAIN)
    clipped = (plain == 0) | (plain == 1)
    assert torch.equal(varied[clipped], plain[clipped])
    assert not torch.equal(varied[~clipped], plain[~clipped])


@pytest.mark.parametrize(
    ("images", "preprocessing"),
    [
        (torch.zeros(1, 1, 8, 8, dtype=torch.float32), PLAIN),
        (torch.zeros(1, 1, 8, 8, dtype=torch.int32), PLAIN),
        (torch.zeros(1, 1, 8, 8, dtype=torch.int16).mT[..., :4], PLAIN),
        (torch.zeros(1, 1, 8, 8, dtype=torch.int16), Preprocessing((8, 8), Window(40.25, 400))),
        (torch.zeros(1, 1, 8, 8, dtype=torch.int16), Preprocessing((8, 8), Window(0, 70000))),
    ],
    ids=["float", "int32", "strided", "fractional window", "wide window"],
)
def test_what_the_kernel_does_not_take_goes_the_other_way(images, preprocessing):
    assert not can_augment(images, preprocessing)
    assert can_augment(torch.zeros(1, 1, 8, 8, dtype=torch.int16), PLAIN)


def test_noise_is_near_to_normal_and_its_own_in_every_pixel_and_sample():
    noise = pixel_noise(torch.tensor([1, 2, -(2**31)], dtype=torch.int32), 200, 200)[:, 0].double()
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.std().item() == pytest.approx(1, abs=0.01)
    assert (noise**4).mean().item() == pytest.approx(2.7, abs=0.05)  # 3 for a normal distribution
    pairs = [
        (noise[0], noise[1]),
        (noise[0], noise[2]),
        (noise[0, 1:], noise[0, :-1]),
        (noise[0, :, 1:], noise[0, :, :-1]),
    ]
    for one, other in pairs:
        correlation = torch.corrcoef(torch.stack((one.flatten(), other.flatten())))[0, 1]
        assert abs(correlation.item()) < 0.02
