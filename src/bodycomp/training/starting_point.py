"""The task and the network that a training starts with: fresh, or a model that fits the options."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, cast

import torch
from torch import nn

from bodycomp.errors import ModelError, UsageError
from bodycomp.networks.card_description import ModelDescription
from bodycomp.networks.card_description import Task as CardTask
from bodycomp.networks.checkpoint import Model, ModelCard, build_network, load_model
from bodycomp.networks.chosen_levels import choose_levels
from bodycomp.networks.frozen_norm import freeze_norms
from bodycomp.networks.model_folder import read_card
from bodycomp.networks.shipped import shipped_model
from bodycomp.options import declared, default_of
from bodycomp.training.options import RunOptions
from bodycomp.training.projection_task import slice_selection_task
from bodycomp.training.segmentation import SegmentationTask
from bodycomp.training.task import Task
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions

log = logging.getLogger(__name__)

NOT_COMPARED = frozenset({"initializer", "block_activations", "parts", "borders"})
"""Config values that a loaded model may have otherwise: the first no longer matters, the others
cannot be chosen (the earlier implementation's DenseNet mixes activations, and a network may have
learned more levels than it finds)."""


def task_for(options: RunOptions) -> Task:
    """Return the task, by the kind of its options; started from a shipped model it has its network.

    Raises:
        UsageError: Another network was asked for.
    """
    options = _with_shipped_network(options)
    if isinstance(options, SegmentationOptions):
        return SegmentationTask(options)
    if isinstance(options, SliceSelectionOptions):
        return slice_selection_task(options)
    raise TypeError(f"no training takes {type(options).__name__}")


def _with_shipped_network(options: RunOptions) -> RunOptions:
    """Return options with the network of the shipped model that they start from, if they do."""
    folder = shipped_model(options.load_weights, cast("CardTask", options.task))
    if folder is None:
        return options
    card = read_card(folder)
    plain = options.networks[options.arch]
    asked = {"arch": options.arch} if options.arch != next(iter(options.networks)) else {}
    asked |= {k: v for k, v in options.network_values().items() if v != plain[k]}
    config = _config_of_options(card)
    theirs = {"arch": card.architecture} | config
    for name, value in asked.items():
        if theirs.get(name) != value:
            raise UsageError(
                f"expected the network of the {options.load_weights} model, {name} "
                f"{theirs.get(name)}, found {value}",
                hint=f"Leave --{name} out: with --load_weights {options.load_weights} the network "
                "is that of the model.",
            )
    others = {name: None for values in options.networks.values() for name in values}
    own = {name: config[name] for name in options.networks[card.architecture]}
    values = others | own | {"arch": card.architecture, "activation": config["activation"]}
    if isinstance(options, SegmentationOptions):
        values |= {"hu_ranges": card.hu_ranges, "copies": card.copies}
    if isinstance(options, SliceSelectionOptions):
        values["threshold"] = card.target_scale_mm
    return replace(options, **values, **_fine_tuning(options))


def _config_of_options(card: ModelCard) -> dict[str, Any]:
    """Return a network's config under the names that the options of a training have."""
    config = dict(card.config)
    if "batch_norm" in config:
        config["omit_batch_norm"] = not config.pop("batch_norm")
    return config


FINE_TUNING: Final[Mapping[str, Mapping[str, Any]]] = {
    "segmentation": {"learning_rate": 1e-4, "norms": "frozen"},
    "slice_selection": {"learning_rate": 2e-4},
}
"""How a training goes on from a model that ships, unless the user says otherwise: at the rate for
fresh weights it forgets more than a few patients teach it (docs/default-models.md)."""


def _fine_tuning(options: RunOptions) -> dict[str, Any]:
    """Return those of the recipe's values that the user left open."""
    usual = {field.name: default_of(field) for field, _ in declared(type(options))}
    recipe = FINE_TUNING[options.task]
    left_open = {k: v for k, v in recipe.items() if getattr(options, k) == usual[k]}
    said = ", ".join(f"{name} {value}" for name, value in left_open.items())
    log.info("going on from the %s model: %s", options.load_weights, said or "as you say")
    return left_open


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
    path = shipped_model(source, card.task) or source
    left_open: dict[str, Any] = {  # by a Keras file; what a folder's card says is compared
        "activation": card.config["activation"],
        "levels": card.levels or None,
        "target_scale_mm": card.target_scale_mm,
    }
    model = load_model(path, task=card.task, **({} if path.is_dir() else left_open))
    model = _with_levels(model, card.levels)
    differences = list(_differences(card, model.card))
    if differences:
        raise ModelError(
            f"the model in {source} is not of the kind to be trained: {'; '.join(differences)}",
            hint="Give the options that it was trained with, or start without --load_weights.",
        )
    log.info("starting from the weights in %s", source)
    started = replace(
        model.card,
        preprocessing=replace(model.card.preprocessing, quantised=card.preprocessing.quantised),
        training={"started_from": model.digest},
        confidence=None,  # what it was calibrated on, and asked for, was another network
        least_confidence=0.0,
        area_intervals=None,
        description=ModelDescription(),
    )
    if task.options.norms == "frozen":
        freeze_norms(model.network)
    return model.network.train(), started


def _with_levels(model: Model, levels: tuple[str, ...]) -> Model:
    """Return a model that finds some of its levels alone; as it is if it does not find them all."""
    known = model.card.levels
    if levels == known or not set(levels) <= set(known):
        return model
    card, weights = choose_levels(model.card, model.network.state_dict(), levels)
    network = build_network(card)
    network.load_state_dict(weights)
    return Model(network, card, model.digest)


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
