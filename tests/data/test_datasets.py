"""Training hands the network the same array as the analysis of a scan, bit for bit."""

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from bodycomp.data.datasets import SegmentationDataset, SliceDataset
from bodycomp.data.layout import images_path, masks_path
from bodycomp.data.segmentation_set import open_segmentation_split
from bodycomp.data.slice_set import open_slice_split
from bodycomp.data.writers import SliceWriter
from bodycomp.imaging.preprocessing import (
    SEGMENTATION_PREPROCESSING,
    SLICE_SELECTION_PREPROCESSING,
    Preprocessing,
)
from bodycomp.imaging.window import SOFT_TISSUE
from support.factories import level_slice, make_segmentation_set, make_slice_set

KERAS = Preprocessing(size=(256, 256), quantised=True, input_max=255.0)


@pytest.fixture
def slices(tmp_path):
    make_slice_set(tmp_path, {"train": 6}, levels=["L3", "T12"], sizes=[(256, 256), (300, 280)])
    return open_slice_split(tmp_path, "train", ["L3", "T12"])


@pytest.mark.parametrize("dtype", ["<i2", "<f4", ">f8"])
@pytest.mark.parametrize(
    "preprocessing",
    [
        SEGMENTATION_PREPROCESSING,
        Preprocessing(size=(512, 512), input_max=255.0),
        Preprocessing(size=(256, 256)),
        KERAS,
    ],
    ids=["default", "keras", "smaller", "quantised"],
)
def test_segmentation_training_and_analysis_see_the_same_array(tmp_path, preprocessing, dtype):
    rng = np.random.default_rng(3)
    hu = rng.integers(-1024, 1500, (512, 512)).astype(np.int16)
    labels = rng.integers(0, 4, (512, 512)).astype(np.uint8)
    np.save(images_path(tmp_path, "train"), hu[None, :, :, None].astype(dtype))
    np.save(masks_path(tmp_path, "train"), labels[None, :, :, None])
    dataset = SegmentationDataset(open_segmentation_split(tmp_path, "train"), preprocessing)
    image, mask = dataset[0]
    assert image.dtype == torch.float32
    assert mask.dtype == torch.uint8
    assert mask.shape == preprocessing.size
    np.testing.assert_array_equal(image[0].numpy(), preprocessing.from_hu(hu))
    if preprocessing.size == (512, 512):
        np.testing.assert_array_equal(mask.numpy(), labels)


@pytest.mark.parametrize("size", [(256, 256), (512, 512), (400, 360)])
@pytest.mark.parametrize("preprocessing", [SLICE_SELECTION_PREPROCESSING, KERAS])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_slice_training_and_analysis_see_the_same_array(tmp_path, size, preprocessing, dtype):
    hu = level_slice(np.random.default_rng(4), 30.0, size).astype(dtype)
    if dtype == np.float32:
        hu += np.float32(0.37)
    with SliceWriter(tmp_path, "train", ["L3"]) as writer:
        writer.append(SOFT_TISSUE.to_gray(hu), {"L3": 30.0})
    dataset = SliceDataset(open_slice_split(tmp_path, "train", ["L3"]), preprocessing)
    for _ in ("decoded", "from memory"):
        image, offsets_mm = dataset[0]
        assert image.dtype == torch.float32
        assert image.shape == (1, 256, 256)
        np.testing.assert_array_equal(image[0].numpy(), preprocessing.from_hu(hu))
        assert offsets_mm.tolist() == [30.0]


def test_fortran_order_gives_the_same_samples(tmp_path):
    make_segmentation_set(tmp_path, {"train": 2})
    before = SegmentationDataset(open_segmentation_split(tmp_path, "train"), KERAS)[1]
    for path in tmp_path.glob("*.npy"):
        np.save(path, np.asfortranarray(np.load(path)))
    after = SegmentationDataset(open_segmentation_split(tmp_path, "train"), KERAS)[1]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"num_workers": 2, "multiprocessing_context": "fork"},
        pytest.param(
            {"num_workers": 1, "multiprocessing_context": "spawn", "persistent_workers": True},
            marks=pytest.mark.slow,  # each spawned process imports torch again
        ),
    ],
    ids=["one process", "fork", "spawn"],
)
def test_workers_load_the_same_samples_in_every_epoch(slices, how):
    expected = SliceDataset(slices, SLICE_SELECTION_PREPROCESSING, cache_bytes=0)
    loader = DataLoader(SliceDataset(slices, SLICE_SELECTION_PREPROCESSING), 2, **how)
    for _ in range(2):
        images = torch.cat([batch[0] for batch in loader])
        assert torch.equal(images, torch.stack([expected[i][0] for i in range(6)]))


def test_slice_samples_survive_pickling_without_their_memory(slices):
    dataset = SliceDataset(slices, SLICE_SELECTION_PREPROCESSING)
    image = dataset[2][0]
    sent = pickle.dumps(dataset)
    assert len(sent) < 10_000
    assert torch.equal(pickle.loads(sent)[2][0], image)


def test_segmentation_samples_survive_workers(tmp_path):
    make_segmentation_set(tmp_path, {"train": 2})
    dataset = SegmentationDataset(
        open_segmentation_split(tmp_path, "train"), SEGMENTATION_PREPROCESSING
    )
    sent = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(sent[1][0], dataset[1][0])
    assert torch.equal(sent[1][1], dataset[1][1])


def test_decoded_slices_stay_in_memory_as_far_as_it_reaches(slices):
    images = 2 * (256 * 256 + 1)
    dataset = SliceDataset(slices, SLICE_SELECTION_PREPROCESSING, cache_bytes=images)
    before = [dataset[i][0] for i in range(3)]
    for path in map(slices.png_path, range(len(slices))):
        path.unlink()
    assert torch.equal(dataset[0][0], before[0])
    assert torch.equal(dataset[1][0], before[1])
    with pytest.raises(Exception, match=r"000002\.png"):
        dataset[2]


def test_forked_workers_fill_one_memory(slices):
    dataset = SliceDataset(slices, SLICE_SELECTION_PREPROCESSING)
    list(DataLoader(dataset, num_workers=2, multiprocessing_context="fork"))
    for path in map(slices.png_path, range(len(slices))):
        path.unlink()
    assert len([dataset[i] for i in range(6)]) == 6


def test_a_sample_may_be_changed_without_changing_the_next(slices):
    dataset = SliceDataset(slices, SLICE_SELECTION_PREPROCESSING)
    image, offsets_mm = dataset[0]
    before = image.clone(), offsets_mm.clone()
    image.zero_()
    offsets_mm.zero_()
    assert torch.equal(dataset[0][0], before[0])
    assert torch.equal(dataset[0][1], before[1])


def test_levels_keep_the_order_asked_for(slices):
    assert SliceDataset(slices, KERAS)[0][1].tolist() == [-100.0, -133.0]


@pytest.mark.parametrize("index", [6, -7])
def test_an_index_outside_the_split_ends_iteration(slices, index):
    with pytest.raises(IndexError):
        SliceDataset(slices, KERAS)[index]
