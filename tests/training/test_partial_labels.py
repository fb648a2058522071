"""Training on samples that were labeled for some tissues only."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from bodycomp.analysis.inference import NetworkSegmenter
from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    MUSCLE,
    SUBCUTANEOUS_FAT,
    VISCERAL_FAT,
    background_or,
)
from bodycomp.data.label_declaration import declare_labels
from bodycomp.data.layout import masks_path
from bodycomp.errors import TrainingSetError
from bodycomp.imaging.volume import Volume
from bodycomp.networks.checkpoint import load_model
from bodycomp.training.fit import train_segmentation
from bodycomp.training.segmentation import count_pixels, dice
from bodycomp.training.starting_point import task_for

FATS = ("subcutaneous_fat", "visceral_fat")
ALL = ("muscle", *FATS)
SPLITS = ("train", "val", "test")
HU = np.zeros((2, 64, 64), np.int16)


@pytest.fixture
def fats_without_muscle(small_segmentation_set, tmp_path):
    """A set whose first samples of each split hold fats, and were not labeled for muscle."""
    folder, labeled = shutil.copytree(small_segmentation_set, tmp_path / "set"), {}
    for split in ("train", "val", "test"):
        masks = np.load(masks_path(folder, split), mmap_mode="r+")
        masks[0][masks[0] == MUSCLE.label] = 0
        masks.flush()
        labeled[split] = [FATS] + [ALL] * (len(masks) - 1)
    declare_labels(folder, labeled=labeled)
    return folder


@pytest.mark.usefixtures("pictures")
def test_a_run_trains_and_is_evaluated_on_what_was_labeled(tiny_unet, fats_without_muscle):
    run = train_segmentation(tiny_unet(data_dir=fats_without_muscle, loss="dice_cross_entropy"))
    scores = json.loads((run / "test_metrics.json").read_text())
    assert np.isfinite(scores["loss"])
    assert 0 <= scores["dice_mean"] <= 1
    assert (run / "examples.png").is_file()


def test_a_set_without_a_tissue_anywhere_is_refused(tiny_unet, fats_without_muscle):
    declare_labels(fats_without_muscle, labeled=dict.fromkeys(("train", "val", "test"), FATS))
    with pytest.raises(TrainingSetError, match="samples labeled for muscle, found none"):
        train_segmentation(tiny_unet(data_dir=fats_without_muscle))


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("has_muscle", [False, True])
def test_a_model_of_fats_alone_never_finds_muscle(tiny_unet, fats_without_muscle, has_muscle):
    """Whether the set has no labels of muscle, or has them and nobody asks for them."""
    if not has_muscle:
        for split in SPLITS:
            masks = np.load(masks_path(fats_without_muscle, split), mmap_mode="r+")
            masks[masks == MUSCLE.label] = 0
            masks.flush()
        declare_labels(fats_without_muscle, labeled=dict.fromkeys(SPLITS, FATS))
    options = tiny_unet(data_dir=fats_without_muscle, tissues=FATS)
    size = task_for(options).card().preprocessing
    labels = {*np.unique(task_for(options).whole_splits(size).train[1][1])}
    assert labels == {0, 2, 3}
    run = train_segmentation(options)
    scores = json.loads((run / "test_metrics.json").read_text())
    assert {f"dice_{key}" for key in FATS} == {k for k in scores if k.startswith("dice_")} - {
        "dice_mean"
    }
    model = load_model(run)
    assert model.card.tissues == (SUBCUTANEOUS_FAT, VISCERAL_FAT)
    with torch.no_grad():  # as if muscle were the most probable everywhere
        model.network.head.bias[MUSCLE.label] += 100
    found = NetworkSegmenter(model, device="cpu")(Volume(HU, (1.0, 1.0), np.arange(2.0)), range(2))
    assert MUSCLE.label not in np.concatenate([found[0], found[1]])


def test_labels_of_muscle_that_the_set_denies_are_refused(tiny_unet, fats_without_muscle):
    declare_labels(fats_without_muscle, labeled=dict.fromkeys(SPLITS, FATS))
    with pytest.raises(TrainingSetError, match="expected labels 0, 2, 3, found 1"):
        train_segmentation(tiny_unet(data_dir=fats_without_muscle, tissues=FATS))


def test_a_fold_that_would_learn_nothing_of_a_tissue_is_refused(tiny_unet, fats_without_muscle):
    task = task_for(tiny_unet(data_dir=fats_without_muscle))
    sets = {"train": task.whole_splits(task.card().preprocessing).train}
    assert len(task.chosen("train", sets, [("train", 0), ("train", 1)])) == 2
    with pytest.raises(TrainingSetError, match="samples labeled for muscle outside each fold"):
        task.chosen("train", sets, [("train", 0)])


def test_what_was_not_labeled_counts_neither_as_found_nor_as_true():
    generator = torch.Generator().manual_seed(1)
    truth, found = torch.randint(0, 4, (2, 2, 16, 16), generator=generator).to(torch.uint8)
    complete = dice(count_pixels(found, truth, ABDOMINAL_TISSUES))
    truth[1] = torch.where(truth[1] > 1, truth[1], background_or([MUSCLE]))
    partial = dice(count_pixels(found, truth, ABDOMINAL_TISSUES))
    assert partial[1, 0].isnan()
    torch.testing.assert_close(partial[0], complete[0])
    torch.testing.assert_close(partial[1, 1:], complete[1, 1:])
