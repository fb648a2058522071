"""Reading and writing segmentation splits, and every refusal that headers alone can tell."""

import pickle

import numpy as np
import pytest

from bodycomp.data.arrays import open_array
from bodycomp.data.layout import images_path, masks_path
from bodycomp.data.segmentation_set import open_segmentation_split
from bodycomp.data.writers import SegmentationWriter
from bodycomp.errors import ImageError, InputNotFoundError, OutputError, TrainingSetError
from support.factories import make_segmentation_set, torso_slice

SHAPE = (2, 512, 512, 1)


def write_split(folder, images, masks=None, split="train"):
    np.save(images_path(folder, split), images)
    np.save(masks_path(folder, split), np.zeros(SHAPE, np.uint8) if masks is None else masks)


def refusal(folder, split="train"):
    with pytest.raises(TrainingSetError) as caught:
        open_segmentation_split(folder, split)
    return caught.value


@pytest.mark.parametrize(
    "dtype", ["<i2", ">i2", "<i4", ">i4", "<i8", "<f2", "<f4", ">f4", "<f8", ">f8"]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_suitable_dtype_byte_order_and_memory_order_is_accepted(tmp_path, dtype, order):
    hu = np.arange(2 * 512 * 512).reshape(SHAPE) % 2048 - 1000
    write_split(tmp_path, np.asarray(hu, dtype, order=order))
    split = open_segmentation_split(tmp_path, "train")
    assert len(split) == 2
    assert split.images.dtype == np.dtype(dtype)
    assert isinstance(split.images, np.memmap)
    np.testing.assert_array_equal(split.images, hu)


@pytest.mark.parametrize(
    "dtype",
    ["u1", "u2", "u4", "i1", "?", "c8", "S4", "datetime64[s]", [("hu", "<i2")]],
    ids=str,
)
def test_dtypes_that_cannot_hold_hu_are_refused(tmp_path, dtype):
    write_split(tmp_path, np.zeros(SHAPE, dtype))
    error = refusal(tmp_path)
    assert "train_images.npy" in error.message
    assert "expected signed integers of 16 bits or more, or floating point" in error.message
    assert f"found {np.dtype(dtype)}" in error.message
    assert "int16" in error.hint


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_object_arrays_are_refused_and_never_unpickled(tmp_path):
    objects = np.empty(SHAPE, object)
    objects[0, 0, 0, 0] = Bomb()
    write_split(tmp_path, objects)
    error = refusal(tmp_path)
    assert "train_images.npy: expected numbers, found Python objects" in error.message
    assert "never loaded" in error.hint


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 512, 512), "expected a 4-D array (samples, 512, 512, 1), found 3-D"),
        ((2, 1, 512, 512, 1), "found 5-D with shape (2, 1, 512, 512, 1)"),
        ((2, 256, 256, 1), "expected images of 512 x 512 pixels, found 256 x 256"),
        ((2, 512, 500, 1), "found 512 x 500"),
        ((2, 512, 512, 3), "expected a single channel"),
        ((0, 512, 512, 1), "expected at least one sample, found none"),
    ],
)
def test_shapes_other_than_slices_of_512_are_refused(tmp_path, shape, expected):
    write_split(tmp_path, np.zeros(shape, np.int16), np.zeros(shape, np.uint8))
    error = refusal(tmp_path)
    assert "train_images.npy" in error.message
    assert expected in error.message
    assert error.hint


def test_masks_must_have_the_shape_of_their_images(tmp_path):
    write_split(tmp_path, np.zeros((3, 512, 512, 1), np.int16))
    message = refusal(tmp_path).message
    assert "train_masks.npy: expected the shape of train_images.npy" in message
    assert "(3, 512, 512, 1), found (2, 512, 512, 1)" in message


def test_masks_must_be_uint8(tmp_path):
    write_split(tmp_path, np.zeros(SHAPE, np.int16), np.zeros(SHAPE, np.float32))
    error = refusal(tmp_path)
    assert "train_masks.npy: expected uint8 labels, found float32" in error.message
    assert "uint8" in error.hint


def test_a_missing_file_is_named_with_what_is_there_instead(tmp_path):
    make_segmentation_set(tmp_path, {"train": 1})
    with pytest.raises(InputNotFoundError) as caught:
        open_segmentation_split(tmp_path, "val")
    assert "val_images.npy: expected this file" in caught.value.message
    assert "train_images.npy, train_masks.npy" in caught.value.message


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(InputNotFoundError, match="no such folder"):
        open_segmentation_split(tmp_path / "nowhere", "train")


@pytest.mark.parametrize("kept", ["images", "masks"])
def test_half_a_test_split_is_refused_and_none_is_fine(tmp_path, kept):
    make_segmentation_set(tmp_path, {"train": 1})
    assert open_segmentation_split(tmp_path, "test") is None
    np.save(tmp_path / f"test_{kept}.npy", np.zeros(SHAPE, np.int16 if kept == "images" else "u1"))
    other = {"images": "masks", "masks": "images"}[kept]
    with pytest.raises(InputNotFoundError) as caught:
        open_segmentation_split(tmp_path, "test")
    assert f"test_{other}.npy" in caught.value.message
    assert "needs images and masks" in caught.value.hint


@pytest.mark.parametrize("kept_bytes", [0, 3, 60, 128, 5000])
def test_a_truncated_file_is_refused_by_name(tmp_path, kept_bytes):
    write_split(tmp_path, np.zeros(SHAPE, np.int16))
    path = images_path(tmp_path, "train")
    path.write_bytes(path.read_bytes()[:kept_bytes])
    error = refusal(tmp_path)
    assert "train_images.npy" in error.message
    assert "truncated" in error.message or "cannot be read" in error.message
    assert "numpy.save" in error.hint


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 a zip archive",
        pickle.dumps([1, 2]),
        b"\x93NUMPY\x01\x00\x10\x00{'descr': broken\n",
        b"\x93NUMPY\x01\x00\x38\x00{'descr': '<i2', 'fortran_order': False, 'shape': (-1,)}",
        b"\x93NUMPY\x09\x00\x10\x00{'descr': '<i2'}",
        b"\x93NUMPY\x01\x00\x08\x00\xff\xfe\x00\x01\x02\x03\x04\n",
    ],
)
def test_what_is_no_npy_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "train_images.npy"
    path.write_bytes(content)
    with pytest.raises(TrainingSetError) as caught:
        open_array(path)
    assert str(path) in caught.value.message
    assert "expected a NumPy array file" in caught.value.message


def test_a_split_is_pickled_as_file_names(tmp_path):
    make_segmentation_set(tmp_path, {"train": 2})
    split = open_segmentation_split(tmp_path, "train")
    sent = pickle.dumps(split)
    assert len(sent) < 2000
    arrived = pickle.loads(sent)
    assert isinstance(arrived.images, np.memmap)
    np.testing.assert_array_equal(arrived.masks, split.masks)


def test_what_the_writer_appends_is_read_back(tmp_path):
    rng = np.random.default_rng(1)
    samples = [torso_slice(rng) for _ in range(3)]
    with SegmentationWriter(tmp_path / "set", "val") as writer:
        for hu, labels in samples:
            writer.append(hu.astype(np.float64) + 0.25, labels.astype(np.int64))
    split = open_segmentation_split(tmp_path / "set", "val")
    assert split.images.dtype == np.int16
    for index, (hu, labels) in enumerate(samples):
        np.testing.assert_array_equal(split.images[index, ..., 0], hu)
        np.testing.assert_array_equal(split.masks[index, ..., 0], labels)
    np.testing.assert_array_equal(np.load(images_path(tmp_path / "set", "val")), split.images)


def test_the_writer_leaves_nothing_on_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), SegmentationWriter(tmp_path / "a", "train") as writer:
        writer.append(np.zeros((512, 512), np.int16), np.zeros((512, 512), np.uint8))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_the_writer_never_overwrites_a_split(tmp_path):
    make_segmentation_set(tmp_path, {"train": 1})
    with pytest.raises(OutputError, match=r"train_images\.npy"):
        SegmentationWriter(tmp_path, "train").__enter__()


@pytest.mark.parametrize(
    ("hu", "labels", "expected"),
    [
        (np.zeros((512, 500)), np.zeros((512, 512), np.uint8), "512 x 512"),
        (np.full((512, 512), 40_000), np.zeros((512, 512), np.uint8), "fit int16"),
        (np.full((512, 512), np.nan), np.zeros((512, 512), np.uint8), "fit int16"),
        (np.zeros((512, 512)), np.full((512, 512), 256), "labels 0..255"),
        (np.zeros((512, 512)), np.zeros((512, 512)), "integer labels"),
    ],
)
def test_the_writer_refuses_what_it_would_have_to_wrap(tmp_path, hu, labels, expected):
    with pytest.raises(ImageError, match=expected), SegmentationWriter(tmp_path, "train") as writer:
        writer.append(hu, labels)
    assert list(tmp_path.iterdir()) == []
