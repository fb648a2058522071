"""A model's card as sections of plain text and tables, the same for terminal, page and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bodycomp.networks.card import ModelCard
from bodycomp.networks.card_words import KIND_WORDS, NOTICE, ModelWords
from bodycomp.report.model_card_numbers import (
    CardTable,
    Tile,
    confidence_table,
    metric_tables,
    split_table,
    tiles_of,
)
from bodycomp.report.page import write_page

DIGEST_SHOWN: Final = 12
NOT_STATED: Final = "Not stated."


@dataclass(frozen=True, slots=True)
class CardSection:
    """One part of a card.

    Attributes:
        key: For anchors.
        title: Heading.
        paragraphs: Text.
        entries: A list of texts.
        facts: Pairs of a name and what is so.
        tables: Numbers.
        is_stated: False where nothing is known: ``paragraphs`` then says that.
    """

    key: str
    title: str
    paragraphs: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[CardTable, ...] = ()
    is_stated: bool = True


@dataclass(frozen=True, slots=True)
class CardView:
    """A card, ready to be shown.

    Attributes:
        kind: Task of the model, for anchors.
        title: The model's name, or what it does.
        subtitle: What it does and how it is built.
        digest: Beginning of its digest, as results carry it.
        notice: What it is not.
        tiles: The few numbers to see first.
        sections: All the rest.
    """

    kind: str
    title: str
    subtitle: str
    digest: str
    notice: str
    tiles: tuple[Tile, ...]
    sections: tuple[CardSection, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the same as lists and dictionaries, ready for JSON and templates."""
        return asdict(self)


def make_card_view(card: ModelCard, digest: str) -> CardView:
    """Return what to show of a model.

    Args:
        card: The model's card, of any age.
        digest: Its digest, hexadecimal.
    """
    words = card.description.words
    if words == ModelWords():  # a card from before there were words
        words = KIND_WORDS[card.task]
    doing = _doing(card)
    return CardView(
        kind=card.task,
        title=words.name or doing,
        subtitle=f"{doing}; {_built(card)}" if words.name else _built(card),
        digest=digest[:DIGEST_SHOWN],
        notice=NOTICE,
        tiles=tiles_of(card),
        sections=_sections(card, words),
    )


def write_model_card_page(path: Path, views: Sequence[CardView]) -> None:
    """Write the page of one model, or of a pair.

    Args:
        path: The file; it appears whole or not at all, in place of an earlier one.
        views: One per model.
    """
    title = views[0].title if len(views) == 1 else "Two models"
    context = {
        "title": title,
        "notice": NOTICE,
        "cards": [view.to_dict() for view in views],
        "tissues": (),  # of page.css: none to hide
    }
    write_page(path, "model_card.html.j2", context)


def _doing(card: ModelCard) -> str:
    if card.task == "segmentation":
        names = [tissue.title.lower() for tissue in card.tissues]
        return f"Labels {_joined(names)}"
    return f"Finds {_joined(card.levels)}"


def _built(card: ModelCard) -> str:
    activation = card.config.get("activation")
    rows, columns = card.preprocessing.size
    parts = [card.architecture, f"{activation}" if activation else "", f"{rows} x {columns} pixels"]
    return ", ".join(part for part in parts if part)


def _joined(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _sections(card: ModelCard, words: ModelWords) -> tuple[CardSection, ...]:
    users = (words.intended_users,) if words.intended_users else ()
    sections = [
        _text("use", "Intended use", *(text for text in (words.intended_use, *users) if text)),
        _list("out-of-scope", "Not for", words.out_of_scope),
        _list("failures", "Known failures", words.known_failures),
        CardSection("metrics", "How good it is", tables=metric_tables(card))
        if card.description.metrics
        else _nothing("metrics", "How good it is", "Nothing was measured, or it was not kept."),
    ]
    if card.task == "slice_selection":
        sections.append(_confidence(card))
    return (*sections, _data(card, words), _making(card), _legal(words))


def _text(key: str, title: str, *paragraphs: str) -> CardSection:
    return CardSection(key, title, paragraphs) if paragraphs else _nothing(key, title, NOT_STATED)


def _list(key: str, title: str, entries: tuple[str, ...]) -> CardSection:
    if not entries:
        return _nothing(key, title, NOT_STATED)
    return CardSection(key, title, entries=entries)


def _nothing(key: str, title: str, why: str) -> CardSection:
    return CardSection(key, title, (why,), is_stated=False)


def _confidence(card: ModelCard) -> CardSection:
    title = "Confidence of positions"
    calibration = card.confidence
    if calibration is None or not calibration.levels:
        return _nothing(
            "confidence",
            title,
            "Not calibrated for this model: it is what the curve of scores looks like, by "
            "simulated curves. bodycomp card MODEL --calibrate SET does it with your own scans.",
        )
    missing = [level for level in card.levels if level not in calibration.levels]
    left_out = (f"Not calibrated: {_joined(missing)}.",) if missing else ()
    return CardSection(
        "confidence",
        title,
        (f"Calibrated on {calibration.source}.", *left_out),
        tables=(confidence_table(calibration),),
    )


def _data(card: ModelCard, words: ModelWords) -> CardSection:
    data = card.description.data
    title = "Training data"
    if data is None and not words.training_data:
        return _nothing("data", title, NOT_STATED)
    return CardSection(
        "data",
        title,
        (words.training_data or "Where the data are from is not stated.",),
        facts=() if data is None else (("digest", data.digest),),
        tables=() if data is None else (split_table(data),),
    )


def _making(card: ModelCard) -> CardSection:
    training, software = card.training, card.description.software
    facts = [(name, version) for name, version in software.items()]
    if not facts and "bodycomp" in training:
        facts.append(("bodycomp", str(training["bodycomp"])))
    known = (
        ("source", "source"),
        ("started from", "started_from"),
        ("trained on", "device"),
        ("best epoch", "epoch"),
    )
    facts += [(name, str(training[key])) for name, key in known if key in training]
    title = "How it was made"
    return (
        CardSection("making", title, facts=tuple(facts))
        if facts
        else _nothing("making", title, NOT_STATED)
    )


def _legal(words: ModelWords) -> CardSection:
    pairs = (
        ("licence", words.licence),
        ("contact", words.contact),
        ("citation", words.citation),
    )
    return CardSection(
        "legal",
        "Licence and contact",
        facts=tuple((name, value or NOT_STATED) for name, value in pairs),
        is_stated=any(value for _, value in pairs),
    )
