"""The task and the network that a training starts with: fresh, or a model that fits the options."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from bodycomp.errors import ModelError
from bodycomp.networks.card_description import ModelDescription
from bodycomp.networks.checkpoint import ModelCard, build_network
from bodycomp.training.options import RunOptions
from bodycomp.training.segmentation import SegmentationTask
from bodycomp.training.slice_selection import SliceSelectionTask
from bodycomp.training.task import Task
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions

log = logging.getLogger(__name__)

NOT_COMPARED = frozenset({"initializer", "block_activations"})
"""Config values that a loaded model may have otherwise: the first no longer matters, the second
cannot be chosen (the earlier implementation's DenseNet mixes activations)."""


def task_for(options: RunOptions) -> Task:
    """Return the task, by the kind of its options."""
    if isinstance(options, SegmentationOptions):
        return SegmentationTask(options)
    if isinstance(options, SliceSelectionOptions):
        return SliceSelectionTask(options)
    raise TypeError(f"no training takes {type(options).__name__}")


def starting_network(task: Task) -> tuple[nn.Module, ModelCard]:
    """Return the network to train and its card; the same seed gives the same fresh weights.

    Raises:
        UsageError: The options describe no network.
        ModelError: The model to start from is not of the kind that the options describe.
    """
    card, source = task.card(), task.options.load_weights
    if source is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.options.seed)
            return build_network(card), card
    model = task.load(source)
    differences = list(_differences(card, model.card))
    if differences:
        raise ModelError(
            f"the model in {source} is not of the kind to be trained: {'; '.join(differences)}",
            hint="Give the options that it was trained with, or start without --load_weights.",
        )
    log.info("starting from the weights in %s", source)
    started = replace(
        model.card,
        training={"started_from": model.digest},
        confidence=None,
        description=ModelDescription(),
    )
    return model.network.train(), started


def _differences(wanted: ModelCard, found: ModelCard) -> Iterator[str]:
    """Say in words what a model has otherwise than the options ask for."""
    tissues = [[tissue.key for tissue in card.tissues] for card in (wanted, found)]
    for what, expected, actual in (
        ("architecture", wanted.architecture, found.architecture),
        ("tissues", *tissues),
        ("levels", list(wanted.levels), list(found.levels)),
        ("threshold in mm", wanted.target_scale_mm, found.target_scale_mm),
    ):
        if expected != actual:
            yield f"{what}: expected {expected}, found {actual}"
    if wanted.architecture == found.architecture:
        for key, expected in wanted.config.items():
            if key not in NOT_COMPARED and found.config.get(key, expected) != expected:
                yield f"{key}: expected {expected}, found {found.config[key]}"
