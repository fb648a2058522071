"""Mapped files are looked at before each batch."""

from __future__ import annotations

import shutil

import pytest

from bodycomp.errors import TrainingSetError
from bodycomp.training.segmentation import SegmentationTask
from bodycomp.training.slice_selection import SliceSelectionTask
from bodycomp.training.steps.batch_loader import make_loader, mapped_files


def test_a_file_that_is_cut_or_removed_is_noticed_before_it_is_read(
    tiny_unet, small_segmentation_set, tmp_path
):
    data = shutil.copytree(small_segmentation_set, tmp_path / "data")
    task = SegmentationTask(tiny_unet(data_dir=data))
    train = task.splits(task.card().preprocessing).train
    path = data / "train_images.npy"
    assert mapped_files(train) == {
        path: path.stat().st_size,
        data / "train_masks.npy": (data / "train_masks.npy").stat().st_size,
    }
    batches = iter(make_loader(train, [[0], [1], [2]], num_workers=0))
    next(batches)
    with path.open("r+b") as stream:
        stream.truncate(1000)
    with pytest.raises(TrainingSetError, match=r"train_images\.npy to keep its .* found 1000"):
        next(batches)
    path.unlink()
    with pytest.raises(TrainingSetError, match="found it gone"):
        next(iter(make_loader(train, [[0]], num_workers=0)))


def test_slices_that_are_read_one_by_one_need_no_watch(tiny_densenet):
    task = SliceSelectionTask(tiny_densenet())
    assert mapped_files(task.splits(task.card().preprocessing).train) == {}
