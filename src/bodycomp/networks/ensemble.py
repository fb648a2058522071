"""Several trained networks as one: the mean of their probabilities, the median of their offsets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from bodycomp.errors import ModelError
from bodycomp.networks.card import ModelCard, Task
from bodycomp.networks.card_description import (
    KIND_WORDS,
    LIST_KEYS,
    WORD_KEYS,
    ModelDescription,
    ModelWords,
    TrainingData,
)
from bodycomp.networks.names import ENSEMBLE, PROJECTION

Combine = Callable[[Sequence[Tensor]], Tensor]
"""Logits of every member -> those of all together."""


def mean_of_probabilities(logits: Sequence[Tensor]) -> Tensor:
    """Return logits whose softmax over the classes is the mean of the members'.

    >>> one, other = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    >>> [round(p, 3) for p in mean_of_probabilities([one, other]).softmax(1)[0].tolist()]
    [0.7, 0.3]
    """
    total = torch.softmax(logits[0], dim=1)
    for other in logits[1:]:
        total = total + torch.softmax(other, dim=1)
    return (total / len(logits)).clamp_min(torch.finfo(total.dtype).tiny).log()


def median_of_logits(logits: Sequence[Tensor]) -> Tensor:
    """Return the median over the members, of two in the middle their mean.

    A logit times the target's scale is an offset in mm: one member that is far off moves nothing.

    >>> median_of_logits([torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([90.0])]).item()
    3.0
    """
    return torch.quantile(torch.stack(list(logits)), 0.5, dim=0)


COMBINE: Final[Mapping[Task, Combine]] = {
    "segmentation": mean_of_probabilities,
    "slice_selection": median_of_logits,
}


class Ensemble(nn.Module):
    """Networks that see the same input."""

    def __init__(self, members: Sequence[nn.Module], task: Task) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.combine = COMBINE[task]

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of all together."""
        return self.combine([member(x) for member in self.members])


def member_cards(card: ModelCard) -> Iterator[ModelCard]:
    """Yield the cards of an ensemble's members, as far as their networks depend on them.

    Raises:
        ModelError: The card does not say how a member is built.
    """
    members = card.config.get("members")
    if not isinstance(members, (list, tuple)) or not members:
        raise ModelError(f"model card: expected members of the ensemble, found {members!r}")
    for member in members:
        try:
            config = {key: _unlisted(value) for key, value in member["config"].items()}
            architecture = str(member["architecture"])
        except (AttributeError, KeyError, TypeError) as error:
            raise ModelError(f"model card: a member cannot be read ({error})") from error
        if architecture == ENSEMBLE:
            raise ModelError("model card: expected networks as members, found an ensemble")
        yield replace(card, architecture=architecture, config=config)


def architectures_of(card: ModelCard) -> tuple[str, ...]:
    """Return the architecture of each member; of a single network its own."""
    if card.architecture != ENSEMBLE:
        return (card.architecture,)
    return tuple(member.architecture for member in member_cards(card))


def sees_series(card: ModelCard) -> bool:
    """Whether the network, or each member, sees a whole series at once."""
    return PROJECTION in architectures_of(card)


def _unlisted(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


ALIKE: Final = (
    "task",
    "tissues",
    "levels",
    "preprocessing",
    "target_scale_mm",
    "hu_ranges",
    "copies",
)
"""Fields of the cards in which members agree, since they are run as one."""


def ensemble_card(
    cards: Sequence[ModelCard], names: Sequence[str], digests: Sequence[str]
) -> ModelCard:
    """Return the card of an ensemble.

    Args:
        cards: Of the members.
        names: What to call each of them in messages.
        digests: Of the members.

    Raises:
        ModelError: Members differ in what they find or in how their input is made.
    """
    first = cards[0]
    for name, card in zip(names, cards, strict=True):
        if sees_series(card) != sees_series(first):
            raise ModelError(
                f"{name}: expected whole series or single slices as in {names[0]}, found the other",
                hint=f"Models of --arch {PROJECTION} see whole series, others single slices.",
            )
        for field in ALIKE:
            expected, found = getattr(first, field), getattr(card, field)
            if expected != found:
                raise ModelError(
                    f"{name}: expected {field.replace('_', ' ')} as in {names[0]}, found another",
                    hint="The members of an ensemble find the same and see the same input; train "
                    "them with the same options.",
                )
    described = [card.description for card in cards]
    sets = {each.data.digest if each.data else "" for each in described}
    data = TrainingData(sets.pop()) if len(sets) == 1 and "" not in sets else None
    return replace(
        first,
        architecture=ENSEMBLE,
        config={
            "members": [
                {"architecture": card.architecture, "config": dict(card.config)} for card in cards
            ]
        },
        training={
            "members": [
                {"digest": digest, **dict(card.training)}
                for digest, card in zip(digests, cards, strict=True)
            ],
            **({} if data is None else {"data": {"digest": data.digest}}),
        },
        confidence=None,
        area_intervals=None,
        least_confidence=0.0,
        description=ModelDescription(
            _words(first.task, [each.words for each in described]),
            data,
            software=first.description.software,
        ),
    )


def _words(task: Task, members: Sequence[ModelWords]) -> ModelWords:
    """Return what people said of the members: every licence and caution is kept."""
    words = KIND_WORDS[task]
    for own in members:
        words = words.overlaid(own)
    texts: dict[str, Any] = {
        key: "; ".join(dict.fromkeys(filter(None, (getattr(own, key) for own in members))))
        for key in WORD_KEYS
        if key not in LIST_KEYS
    }
    return replace(words, **{key: text for key, text in texts.items() if text})


def members_of(network: nn.Module) -> tuple[nn.Module, ...]:
    """Return the networks of an ensemble; a network that stands alone is its only one."""
    return tuple(network.members) if isinstance(network, Ensemble) else (network,)
