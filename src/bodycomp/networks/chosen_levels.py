"""A slice-selection model that finds some of its levels alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from bodycomp.networks.card import ModelCard
from bodycomp.networks.names import PROJECTION


def choose_levels(
    card: ModelCard, weights: Mapping[str, Tensor], levels: Sequence[str]
) -> tuple[ModelCard, dict[str, Tensor]]:
    """Return the card and the weights of a model for some of its levels; scores stay the same.

    Args:
        card: Of one network, no ensemble.
        weights: Of its network.
        levels: Some of the card's, in its order if it sees whole series.
    """
    outputs, config = [card.levels.index(level) for level in levels], dict(card.config)
    chosen = dict(weights)
    if card.architecture == PROJECTION:  # levels share the body: each depends on all parts
        borders = config["borders"] or range(len(card.levels))
        config["parts"] = config["parts"] or len(card.levels) + 1
        config["borders"] = [borders[output] for output in outputs]
    else:
        chosen |= {name: weights[name][outputs] for name in ("head.weight", "head.bias")}
    config["num_outputs"] = len(outputs)
    confidence = card.confidence
    if confidence is not None:
        kept = {level: fit for level, fit in confidence.levels.items() if level in levels}
        confidence = replace(confidence, levels=kept)
    return replace(card, levels=tuple(levels), config=config, confidence=confidence), chosen
