"""Training on masks that are annotated in part: what nobody annotated teaches nothing."""

from __future__ import annotations

import copy
import json
import shutil

import numpy as np
import pytest
import torch

from bodycomp.anatomy import NOT_ANNOTATED_LABEL
from bodycomp.data.label_declaration import declare_labels
from bodycomp.data.layout import masks_path
from bodycomp.errors import TrainingSetError
from bodycomp.networks.losses import ClassOverlap, soft_dice
from bodycomp.training.fit import train_segmentation
from bodycomp.training.machine.devices import choose_devices
from bodycomp.training.machine.ranks import Ranks
from bodycomp.training.starting_point import starting_network, task_for
from bodycomp.training.steps.training import Training


@pytest.fixture
def partial_set(small_segmentation_set, tmp_path):
    """Half of every mask, and all of sample 1 of each split, is not annotated."""
    folder = shutil.copytree(small_segmentation_set, tmp_path / "set")
    for split in ("train", "val", "test"):
        masks = np.load(masks_path(folder, split), mmap_mode="r+")
        masks[:, masks.shape[1] // 2 :], masks[1] = NOT_ANNOTATED_LABEL, NOT_ANNOTATED_LABEL
        masks.flush()
    declare_labels(folder, not_annotated=True)
    return folder


def loss_by_hand(logits, masks):
    """Cross-entropy and Dice of the annotated pixels, picked out one by one."""
    known = masks != NOT_ANNOTATED_LABEL
    scores, labels = logits.movedim(1, -1)[known], masks[known].long()
    entropy = torch.nn.functional.cross_entropy(scores, labels)
    probabilities = scores.softmax(dim=1).T[None, :, None]
    return entropy + 1 - soft_dice(ClassOverlap.of(probabilities, labels[None, None]))[1:].mean()


def test_steps_are_those_of_a_loss_that_picks_the_annotated_pixels(tiny_unet, partial_set):
    """Three steps on varied images, so that what is not annotated moves with them."""
    task = task_for(tiny_unet(data_dir=partial_set, loss="dice_cross_entropy", gpus=0))
    network, card = starting_network(task)
    splits = task.splits(card.preprocessing)
    training = Training(task, (network, card), splits, choose_devices(task.options), Ranks())
    by_hand = copy.deepcopy(network)
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in (network, by_hand)]
    for step in range(3):
        training.state.step = step
        batch = training.splits.train.read([step, step + 1])
        images, masks = training.varied(batch)
        assert (masks == NOT_ANNOTATED_LABEL).any()
        losses = [task.loss(network(images), masks), loss_by_hand(by_hand(images), masks)]
        for loss, optimizer in zip(losses, optimizers, strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-5)
        for one, other in zip(network.parameters(), by_hand.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-3)


@pytest.mark.usefixtures("pictures")
def test_a_run_trains_and_is_judged_on_what_is_annotated(tiny_unet, partial_set):
    run = train_segmentation(tiny_unet(data_dir=partial_set))
    scores = json.loads((run / "test_metrics.json").read_text())
    assert 0 <= scores["dice_mean"] <= 1
    assert np.isfinite(scores["loss"])
    assert (run / "examples.png").is_file()


def test_a_set_that_does_not_declare_the_label_is_refused(tiny_unet, partial_set):
    (partial_set / "labels.json").unlink()
    with pytest.raises(TrainingSetError, match="found 255"):
        train_segmentation(tiny_unet(data_dir=partial_set))
