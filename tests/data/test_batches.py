"""Compact batches become the network input that ``Preprocessing`` makes, bit for bit."""

import os
import pickle

import numpy as np
import pytest
import torch

from bodycomp.data.augmentation import NO_AUGMENTATION, AugmentationOptions
from bodycomp.data.datasets import SegmentationDataset, SliceDataset, network_input, varied_input
from bodycomp.data.layout import images_path, masks_path
from bodycomp.data.segmentation_set import open_segmentation_split
from bodycomp.data.slice_set import open_slice_split
from bodycomp.errors import TrainingSetError
from bodycomp.imaging.preprocessing import (
    SEGMENTATION_PREPROCESSING,
    SLICE_SELECTION_PREPROCESSING,
    Preprocessing,
)
from support.factories import make_slice_set

KERAS = Preprocessing(size=(512, 512), input_max=255.0)
GENTLE = AugmentationOptions()


@pytest.fixture
def masks_set(tmp_path):
    def make(dtype="<i2", count=3):
        rng = np.random.default_rng(0)
        hu = rng.integers(-1024, 3000, (count, 512, 512, 1))
        np.save(images_path(tmp_path, "train"), hu.astype(dtype))
        np.save(masks_path(tmp_path, "train"), rng.integers(0, 4, hu.shape).astype(np.uint8))
        return tmp_path

    return make


def opened(folder, preprocessing=SEGMENTATION_PREPROCESSING):
    return SegmentationDataset(open_segmentation_split(folder, "train"), preprocessing)


@pytest.mark.parametrize(
    ("dtype", "preprocessing", "compact"),
    [
        ("<i2", SEGMENTATION_PREPROCESSING, True),
        ("<i2", KERAS, True),
        (">i2", KERAS, False),
        ("<i4", SEGMENTATION_PREPROCESSING, False),
        ("<f4", KERAS, False),
        (">f8", SEGMENTATION_PREPROCESSING, False),
        ("<i2", Preprocessing(size=(256, 256)), False),
        ("<i2", Preprocessing(size=(512, 512), quantised=True), False),
    ],
)
def test_batches_hold_what_single_samples_hold(masks_set, dtype, preprocessing, compact):
    dataset = opened(masks_set(dtype), preprocessing)
    raw, masks = dataset.read([2, 0])
    assert raw.dtype == (torch.int16 if compact else torch.float32)
    images = network_input(raw, preprocessing)
    for row, index in enumerate((2, 0)):
        assert torch.equal(images[row], dataset[index][0])
        assert torch.equal(masks[row], dataset[index][1])


def test_fortran_order_gives_the_same_batches(masks_set):
    folder = masks_set()
    before = opened(folder).read([1, 2])
    for path in (images_path(folder, "train"), masks_path(folder, "train")):
        np.save(path, np.asfortranarray(np.load(path)))
    after = opened(folder).read([1, 2])
    assert torch.equal(after[0], before[0])
    assert torch.equal(after[1], before[1])


def test_data_sets_that_have_read_batches_can_be_sent_to_workers(masks_set):
    dataset = opened(masks_set())
    expected = dataset.read([0])
    sent = pickle.dumps(dataset)
    assert len(sent) < 2000
    assert torch.equal(pickle.loads(sent).read([0])[0], expected[0])


@pytest.mark.parametrize("preprocessing", [SLICE_SELECTION_PREPROCESSING, KERAS])
def test_slices_come_as_gray_levels(tmp_path, preprocessing):
    make_slice_set(tmp_path, {"train": 3}, sizes=[(256, 256), (300, 280)])
    dataset = SliceDataset(open_slice_split(tmp_path, "train", ["L3"]), preprocessing)
    raw, offsets_mm = dataset.read([2, 1])
    assert raw.dtype == torch.uint8
    assert torch.equal(network_input(raw, preprocessing)[1], dataset[1][0])
    assert torch.equal(offsets_mm[1], dataset[1][1])


def test_every_hu_that_16_bits_hold_is_windowed_bit_for_bit():
    hu = np.arange(-(2**15), 2**15, dtype=np.int16).reshape(1, 1, 256, 256)
    for white in (1.0, 255.0):
        preprocessing = Preprocessing(size=(256, 256), input_max=white)
        found = network_input(torch.from_numpy(hu), preprocessing)[0, 0].numpy()
        np.testing.assert_array_equal(found, preprocessing.from_hu(hu[0, 0]))


def test_no_augmentation_is_preprocessing_bit_for_bit(masks_set):
    dataset = opened(masks_set())
    batch = dataset.read([0, 1])
    images, masks = varied_input(
        batch,
        torch.Generator(),
        NO_AUGMENTATION,
        dataset.preprocessing,
        has_masks=True,
    )
    assert torch.equal(images[1], dataset[1][0])
    assert torch.equal(masks, batch[1])


def test_offsets_stay_with_their_slices(tmp_path):
    make_slice_set(tmp_path, {"train": 3})
    preprocessing = SLICE_SELECTION_PREPROCESSING
    dataset = SliceDataset(open_slice_split(tmp_path, "train", ["L3"]), preprocessing)
    batch = dataset.read([2, 0])
    generator = torch.Generator().manual_seed(0)
    images, offsets_mm = varied_input(batch, generator, GENTLE, preprocessing, has_masks=False)
    assert offsets_mm is batch[1]
    assert images.shape == (2, 1, 256, 256)
    assert 0 <= float(images.min()) <= float(images.max()) <= 1


def test_a_file_cut_short_during_a_training_is_an_error_that_names_it(masks_set):
    folder = masks_set()
    dataset = opened(folder)
    dataset.read([2])
    os.truncate(images_path(folder, "train"), 2**20)
    with pytest.raises(
        TrainingSetError, match=r"train_images\.npy: sample 2 could be read"
    ) as told:
        dataset.read([2])
    assert "--resume" in told.value.hint


def test_a_removed_file_stays_readable(masks_set):
    folder = masks_set()
    dataset = opened(folder)
    expected = dataset.read([1])
    images_path(folder, "train").unlink()
    assert torch.equal(dataset.read([1])[0], expected[0])
