"""Augmentation moves image and mask together, makes no labels up and is reproducible."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch.nn import functional

from bodycomp.data.augmentation import (
    NO_AUGMENTATION,
    AugmentationOptions,
    augment_batch,
    draw,
    pixel_noise,
)
from bodycomp.data.augmentation_options import STRONG_AUGMENTATION
from bodycomp.errors import ImageError, UsageError
from bodycomp.imaging.preprocessing import Preprocessing
from support.factories import torso_slice

SMALL = Preprocessing(size=(128, 128))
STILL = {
    "rotation_deg": 0,
    "shift_fraction": 0,
    "scale_fraction": 0,
    "contrast_fraction": 0,
    "brightness_fraction": 0,
    "noise_fraction": 0,
    "sharpness_fraction": 0,
}


def only(**strengths):
    return AugmentationOptions(**(STILL | strengths))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def torsos(count=4, size=(128, 128)):
    rng = np.random.default_rng(5)
    pairs = [torso_slice(rng, size) for _ in range(count)]
    images = [Preprocessing(size=size).from_hu(hu) for hu, _ in pairs]
    return torch.from_numpy(np.stack(images))[:, None], torch.from_numpy(
        np.stack([labels for _, labels in pairs])
    )


def dice(one, other):
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def test_no_augmentation_is_the_identity_bit_for_bit():
    images, masks = torsos()
    out_images, out_masks = augment_batch(images, masks, seeded(), NO_AUGMENTATION, white=1.0)
    assert torch.equal(out_images, images)
    assert torch.equal(out_masks, masks)


def test_image_and_mask_move_together():
    _, masks = torsos(8)
    body = (masks > 0).to(torch.float32)[:, None]
    options = only(rotation_deg=30, shift_fraction=0.1, scale_fraction=0.3)
    images, moved = augment_batch(body, masks, seeded(), options, white=1.0)
    for image, mask, before in zip(images[:, 0], moved, masks, strict=True):
        assert dice(image > 0.5, mask > 0) > 0.99
        assert dice(before > 0, mask > 0) < 0.97  # something happened


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    labels=st.sets(st.integers(0, 255), min_size=1, max_size=4),
    rotation=st.floats(0, 180),
    shift=st.floats(0, 1),
    scale=st.floats(0, 1),
    flip=st.booleans(),
)
def test_no_label_appears_that_was_not_there(seed, labels, rotation, shift, scale, flip):
    rng = np.random.default_rng(seed)
    masks = torch.from_numpy(rng.choice(sorted(labels), (2, 24, 32)).astype(np.uint8))
    images = torch.rand(2, 1, 24, 32)
    options = AugmentationOptions(rotation, shift, scale, flip)
    out_images, out_masks = augment_batch(images, masks, seeded(seed), options, white=1.0)
    assert set(out_masks.unique().tolist()) <= labels | {0}
    assert out_masks.dtype == torch.uint8
    assert out_masks.shape == masks.shape
    assert out_images.dtype == images.dtype
    assert out_images.shape == images.shape


def test_the_same_seed_gives_the_same_batch_and_another_one_differs():
    images, masks = torsos()
    one, same, other = (
        augment_batch(images, masks, seeded(seed), AugmentationOptions(), white=1.0)
        for seed in (7, 7, 8)
    )
    assert torch.equal(one[0], same[0])
    assert torch.equal(one[1], same[1])
    assert not torch.equal(one[1], other[1])


def test_samples_handled_together_or_one_by_one_come_out_the_same(monkeypatch):
    images, masks = torsos(5)
    monkeypatch.setattr("bodycomp.data.augmentation.CPU_STEP", 1)
    one_by_one = augment_batch(images, masks, seeded(), AugmentationOptions(), white=1.0)
    monkeypatch.setattr("bodycomp.data.augmentation.CPU_STEP", 5)
    together = augment_batch(images, masks, seeded(), AugmentationOptions(), white=1.0)
    assert torch.equal(one_by_one[0], together[0])
    assert torch.equal(one_by_one[1], together[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_the_same_draw():
    images, masks = torsos()
    expected = augment_batch(images, masks, seeded(), AugmentationOptions(), white=1.0)
    found = augment_batch(images.cuda(), masks.cuda(), seeded(), AugmentationOptions(), white=1.0)
    torch.testing.assert_close(found[0].cpu(), expected[0], atol=1e-3, rtol=0)
    assert float((found[1].cpu() != expected[1]).float().mean()) < 1e-3


def test_each_sample_has_its_own_draw():
    image, mask = (batch.expand(6, *batch.shape[1:]) for batch in torsos(1))
    images, masks = augment_batch(image, mask, seeded(), AugmentationOptions(), white=1.0)
    for first in range(6):
        for second in range(first):
            assert not torch.equal(images[first], images[second])
            assert not torch.equal(masks[first], masks[second])


def test_the_input_is_left_as_it_is():
    images, masks = torsos()
    copies = images.clone(), masks.clone()
    augment_batch(images, masks, seeded(), AugmentationOptions(), white=1.0)
    assert torch.equal(images, copies[0])
    assert torch.equal(masks, copies[1])


@pytest.mark.parametrize("white", [1.0, 255.0])
def test_values_stay_in_the_window_and_scale_with_white(white):
    images, masks = torsos()
    options = AugmentationOptions(noise_fraction=1, contrast_fraction=1, brightness_fraction=1)
    varied, _ = augment_batch(images * white, masks, seeded(), options, white=white)
    reference, _ = augment_batch(images, masks, seeded(), options, white=1.0)
    assert float(varied.min()) == 0
    assert float(varied.max()) == white
    torch.testing.assert_close(varied / white, reference, atol=1e-5, rtol=0)


def test_what_the_window_clips_stays_clipped():
    images, masks = torsos()
    options = only(noise_fraction=0.5, brightness_fraction=0.5, contrast_fraction=0.5)
    varied, _ = augment_batch(images, masks, seeded(), options, white=1.0)
    clipped = (images == 0) | (images == 1)
    assert torch.equal(varied[clipped], images[clipped])
    assert not torch.equal(varied[~clipped], images[~clipped])


def test_gray_levels_alone_leave_masks_alone():
    images, masks = torsos()
    options = only(noise_fraction=0.1, sharpness_fraction=0.5)
    varied, out_masks = augment_batch(images, masks, seeded(), options, white=1.0)
    assert torch.equal(out_masks, masks)
    assert float((varied - images).abs().mean()) < 0.1


def test_a_turn_agrees_with_an_independent_one():
    images, _ = torsos(1)
    options = only(rotation_deg=45)
    turned, _ = augment_batch(images, None, seeded(3), options, white=1.0)
    angle = math.degrees(float(draw(1, seeded(3), options).angle_rad))
    assert abs(angle) > 5
    expected = ndimage.rotate(images[0, 0].numpy(), -angle, reshape=False, order=1)
    assert float(np.abs(turned[0, 0].numpy() - expected).mean()) < 0.002


def test_a_shift_and_a_zoom_move_by_what_they_say():
    images = torch.zeros(1, 1, 96, 64)
    images[0, 0, 40:44, 30:34] = 1
    options = only(shift_fraction=0.2)
    drawn = draw(1, seeded(1), options)
    moved, _ = augment_batch(images, None, seeded(1), options, white=1.0)
    row, column = ndimage.center_of_mass(moved[0, 0].numpy())
    assert row == pytest.approx(41.5 + 96 * float(drawn.shift_rows), abs=1e-3)
    assert column == pytest.approx(31.5 + 64 * float(drawn.shift_columns), abs=1e-3)
    body = torch.from_numpy(torso_slice(np.random.default_rng(0), (128, 128))[1] > 0).float()
    options = only(scale_fraction=0.2)
    zoomed, _ = augment_batch(body[None, None], None, seeded(1), options, white=1.0)
    growth = float(zoomed.sum() / body.sum())
    assert growth == pytest.approx(float(draw(1, seeded(1), options).zoom) ** 2, rel=0.01)


def test_a_turn_keeps_angles_on_images_that_are_not_square():
    images = torch.zeros(1, 1, 64, 128)
    images[0, 0, 28:36, 60:68] = 1
    turned, _ = augment_batch(images, None, seeded(3), only(rotation_deg=90), white=1.0)
    assert float(turned.sum()) == pytest.approx(64, rel=0.02)


def test_mirroring_is_off_by_default_and_exact_when_on():
    assert not AugmentationOptions().flip_left_right
    images, masks = torsos(8)
    out_images, out_masks = augment_batch(
        images, masks, seeded(), only(flip_left_right=True), white=1.0
    )
    mirrored = [torch.equal(a, b.flip(-1)) for a, b in zip(out_masks, masks, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(out_masks, masks, strict=True)]
    assert all(a or b for a, b in zip(mirrored, kept, strict=True))
    assert any(mirrored)
    assert any(kept)
    flipped = torch.stack([i.flip(-1) if m else i for i, m in zip(images, mirrored, strict=True)])
    torch.testing.assert_close(out_images, flipped, atol=1e-4, rtol=0)


def test_what_enters_the_field_of_view_is_background():
    images = torch.ones(4, 1, 32, 32)
    masks = torch.full((4, 32, 32), 2, dtype=torch.uint8)
    options = only(shift_fraction=1.0)
    out_images, out_masks = augment_batch(images, masks, seeded(), options, white=1.0)
    assert float(out_images.min()) == 0
    assert out_masks.unique().tolist() == [0, 2]


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), None),
        (torch.zeros(2, 8, 8), None),
        (torch.zeros(2, 3, 8, 8), None),
        (torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8)),
        (torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 9, dtype=torch.uint8)),
    ],
)
def test_eight_bit_images_and_wrong_shapes_are_refused(images, masks):
    with pytest.raises(ImageError, match="expected"):
        augment_batch(images, masks, seeded(), AugmentationOptions(), white=1.0)


@pytest.mark.parametrize(
    "strength", [{"rotation_deg": -1}, {"shift_fraction": 1.5}, {"noise_fraction": math.nan}]
)
def test_strengths_that_make_no_sense_are_refused(strength):
    with pytest.raises(UsageError, match=next(iter(strength))):
        AugmentationOptions(**strength)


def test_noise_is_near_to_normal_and_each_pixels_own():
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


class TestStrongAugmentation:
    """Bent bodies, coarser pixels and blotches, for models that shall hold elsewhere."""

    def test_labels_stay_labels_and_images_in_range(self):
        images, masks = torch.rand(3, 1, 64, 64), torch.randint(0, 4, (3, 64, 64)).to(torch.uint8)
        varied, moved = augment_batch(images, masks, seeded(), STRONG_AUGMENTATION, white=1.0)
        assert set(moved.unique().tolist()) <= {0, 1, 2, 3}
        assert varied.shape == images.shape
        assert varied.min() >= 0
        assert varied.max() <= 1
        assert not torch.equal(varied, images)

    def test_image_and_mask_bend_alike(self):
        image = torch.zeros(1, 1, 128, 128)
        image[..., 40:90, 30:100] = 0.5
        mask = (image[:, 0] > 0).to(torch.uint8)
        bend = replace(NO_AUGMENTATION, bend_fraction=0.05)
        varied, moved = augment_batch(image, mask, seeded(3), bend, white=1.0)
        assert not torch.equal(moved, mask)
        inside = functional.avg_pool2d(moved[:, None].float(), 3, 1, 1)
        assert (varied[inside == 1] > 0.4).all()
        assert (varied[inside == 0] < 0.1).all()

    def test_the_same_seed_gives_the_same_whatever_the_batch_is_cut_into(self):
        images = torch.rand(6, 1, 64, 64)
        first, _ = augment_batch(images, None, seeded(), STRONG_AUGMENTATION, white=1.0)
        again, _ = augment_batch(images, None, seeded(), STRONG_AUGMENTATION, white=1.0)
        assert torch.equal(first, again)

    def test_coarser_pixels_lose_detail_alone(self):
        coarse = replace(NO_AUGMENTATION, coarse_factor=4.0)
        images = torch.rand(8, 1, 64, 64) * 0.5 + 0.25
        varied, _ = augment_batch(images, None, seeded(), coarse, white=1.0)
        means = [batch.mean(dim=(1, 2, 3)) for batch in (images, varied)]
        torch.testing.assert_close(*means, atol=0.01, rtol=0)
        assert (varied.std(dim=(1, 2, 3)) < 0.9 * images.std(dim=(1, 2, 3))).any()

    def test_without_it_random_numbers_are_those_of_before(self):
        usual = draw(4, seeded(), AugmentationOptions())
        strong = draw(4, seeded(), replace(AugmentationOptions(), bend_fraction=0.01))
        assert usual.scanner is None
        assert strong.scanner is not None
        assert torch.equal(usual.angle_rad, strong.angle_rad)
        assert torch.equal(usual.noise_seed, strong.noise_seed)
