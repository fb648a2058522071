"""Copies of an image are told from images that merely look alike."""

import numpy as np
import pytest
from scipy import ndimage

from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.validation.check_duplicates import near_duplicates, similar_pairs
from bodycomp.validation.details import DetailStore, part_means, perceptual_hash
from bodycomp.validation.slice_pass import describe_slice
from support.factories import level_slice


def noise(sigma, shape):
    return np.random.default_rng(5).normal(0, sigma, shape)


def textured(seed):
    """A torso with the fine texture that scans have."""
    rng = np.random.default_rng(seed)
    hu = level_slice(np.random.default_rng(0), 20.0, (256, 256)).astype(float)
    return SOFT_TISSUE.to_gray(hu + 40 * ndimage.gaussian_filter(rng.normal(0, 4, hu.shape), 1))


def confirmed(*images, series=None):
    store = DetailStore(len(images))
    hashes = np.zeros(len(images), np.uint64)
    with store:
        for index, image in enumerate(images):
            facts, detail = describe_slice(image)
            hashes[index] = facts["perceptual_hash"]
            store.write(index, detail)
        pairs = similar_pairs(hashes, None if series is None else np.array(series))
        return [(one, other) for one, other, _ in near_duplicates(store, pairs)]


@pytest.mark.parametrize(
    "copied",
    [
        lambda gray: gray,
        lambda gray: np.clip(gray + noise(6, gray.shape), 0, 255).astype(np.uint8),
        lambda gray: np.roll(gray, (1, -1), (0, 1)),
        lambda gray: np.clip((gray - 20.0) * 1.1, 0, 255).astype(np.uint8),
    ],
    ids=["same", "noise", "moved", "windowed"],
)
def test_copies_are_confirmed(copied):
    assert confirmed(textured(1), copied(textured(1))) == [(0, 1)]


def test_another_texture_on_the_same_shape_is_no_copy():
    assert confirmed(textured(1), textured(2)) == []


def test_slices_of_one_series_are_not_compared():
    images = textured(1), textured(1)
    assert confirmed(*images, series=[4, 4]) == []
    assert confirmed(*images, series=[4, 5]) == [(0, 1)]
    assert confirmed(*images, series=[-1, -1]) == [(0, 1)]


def test_blank_and_tiny_images_take_no_part():
    blank, tiny = np.full((64, 64), 7, np.uint8), np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert confirmed(blank, blank, tiny, tiny) == []


@pytest.mark.parametrize("shape", [(64, 64), (512, 512), (33, 100), (257, 255)])
def test_part_means_average_to_the_mean_of_their_parts(shape):
    image = np.random.default_rng(6).integers(0, 255, shape).astype(np.uint8)
    means = part_means(image, 32)
    assert means.shape == (32, 32)
    last_row, last_column = 31 * shape[0] // 32, 31 * shape[1] // 32
    np.testing.assert_allclose(means[-1, -1], image[last_row:, last_column:].mean(), rtol=1e-5)


def test_hashes_of_other_images_differ_in_many_bits():
    images = noise(50, (20, 32, 32)).astype(np.float32)
    hashes = [perceptual_hash(image) for image in images]
    differ = [int(np.bitwise_count(a ^ b)) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(differ) > 8
