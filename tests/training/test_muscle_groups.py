"""Tissue lists beyond three: trained where a set declares them, refused where it does not."""

import json
import shutil

import numpy as np
import pytest

from bodycomp.anatomy import ALL_TISSUES, MUSCLE
from bodycomp.data.label_declaration import declare_labels
from bodycomp.data.layout import masks_path
from bodycomp.errors import TrainingSetError, UsageError
from bodycomp.networks.checkpoint import load_model
from bodycomp.training.fit import train_segmentation
from bodycomp.training.starting_point import task_for

KEYS = tuple(tissue.key for tissue in ALL_TISSUES)
SPLITS = ("train", "val", "test")


@pytest.fixture
def grouped(small_segmentation_set, tmp_path):
    """A set whose muscle is divided into groups by columns, with some fat and bone beside it."""
    folder = shutil.copytree(small_segmentation_set, tmp_path / "set")
    for split in SPLITS:
        masks = np.load(masks_path(folder, split), mmap_mode="r+")
        side = masks.shape[2]
        columns = np.broadcast_to(4 * np.arange(side)[None, None, :, None] // side, masks.shape)
        is_muscle = masks == MUSCLE.label
        masks[is_muscle] = (4 + columns)[is_muscle]
        middle = slice(side // 2, side // 2 + 4)
        masks[:, middle, middle] = 8
        masks[:, side // 2 + 4 : side // 2 + 8, middle] = 9
        masks.flush()
    declare_labels(folder, labeled=dict.fromkeys(SPLITS, KEYS))
    return folder


@pytest.mark.usefixtures("pictures")
def test_a_model_learns_what_the_set_declares(tiny_unet, grouped):
    run = train_segmentation(tiny_unet(data_dir=grouped, tissues=KEYS))
    scores = json.loads((run / "test_metrics.json").read_text())
    assert {f"dice_{key}" for key in KEYS} <= set(scores)
    assert load_model(run / "model").card.tissues == ALL_TISSUES


def test_three_tissues_are_trained_on_the_same_set(tiny_unet, grouped, small_segmentation_set):
    task, plain = (task_for(tiny_unet(data_dir=data)) for data in (grouped, small_segmentation_set))
    size = task.card().preprocessing
    masks, before = (one.whole_splits(size).train[0][1].numpy() for one in (task, plain))
    assert set(np.unique(masks)) == {0, 1, 2, 3}
    assert (masks != before).sum() <= 32  # where fat and bone were put over other tissues
    first = task_for(tiny_unet(data_dir=grouped, tissues=KEYS[:4]))
    assert set(np.unique(first.whole_splits(size).train[0][1])) == {0, 1, 2, 3, 4}


def test_a_set_without_groups_is_refused(tiny_unet, small_segmentation_set, grouped):
    with pytest.raises(TrainingSetError, match="muscle of train, sample 0, to be labeled by group"):
        train_segmentation(tiny_unet(data_dir=small_segmentation_set, tissues=KEYS))
    declare_labels(grouped, labeled=dict.fromkeys(SPLITS, (*KEYS[:3], "psoas")))
    with pytest.raises(TrainingSetError, match="no erector_spinae among the labeled tissues"):
        train_segmentation(tiny_unet(data_dir=grouped, tissues=KEYS[:5]))


@pytest.mark.parametrize(
    "tissues", [KEYS[2:0:-1], KEYS[1:2], ("muscle", "psoas"), ("muscle", "bone")]
)
def test_other_lists_are_refused(tiny_unet, tissues):
    with pytest.raises(UsageError, match="expected the first few of muscle subcutaneous_fat"):
        tiny_unet(tissues=tissues)
