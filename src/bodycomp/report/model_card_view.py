"""A model's card as sections of plain text and tables, the same for terminal, page and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from bodycomp.networks.card import ModelCard
from bodycomp.networks.card_description import KIND_WORDS, NOTICE, ModelWords
from bodycomp.networks.names import ENSEMBLE
from bodycomp.report.model_card_numbers import (
    CardTable,
    confidence_table,
    interval_table,
    metric_tables,
    split_table,
    tiles_of,
)
from bodycomp.report.page import write_page
from bodycomp.report.page_content import Tile

DIGEST_SHOWN: Final = 12
NOT_STATED: Final = "Not stated."
_MAKING: Final = (
    *(("source", "source"), ("started from", "started_from"), ("trained on", "device")),
    ("best epoch", "epoch"),
)


@dataclass(frozen=True, slots=True)
class CardSection:
    """One part of a card; ``paragraphs`` say so where nothing is known (``is_stated``)."""

    key: str
    title: str
    paragraphs: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[CardTable, ...] = ()
    is_stated: bool = True


@dataclass(frozen=True, slots=True)
class CardView:
    """A card, ready to be shown; ``digest`` is as results carry it."""

    kind: str
    title: str
    subtitle: str
    digest: str
    notice: str
    tiles: tuple[Tile, ...]
    sections: tuple[CardSection, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the same as lists and dictionaries, for templates."""
        return asdict(self)


def make_card_view(card: ModelCard, digest: str) -> CardView:
    """Return what to show of a model with a card of any age and this hexadecimal digest."""
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
    """Write the page of one model, or of a pair; it appears whole or not at all."""
    title = views[0].title if len(views) == 1 else "Two models"
    cards = [view.to_dict() for view in views]
    # Of page.css there are no tissues to hide.
    context = {"title": title, "notice": NOTICE, "cards": cards, "tissues": ()}
    write_page(path, "model_card.html.j2", context)


def _doing(card: ModelCard) -> str:
    if card.task == "segmentation":
        names = [tissue.title.lower() for tissue in card.tissues]
        return f"Labels {_joined(names)}"
    return f"Finds {_joined(card.levels)}"


def _built(card: ModelCard) -> str:
    activation = card.config.get("activation")
    rows, columns = card.preprocessing.size
    built = card.architecture
    if built == ENSEMBLE:
        members = [str(member["architecture"]) for member in card.config["members"]]
        built = f"ensemble of {len(members)} ({', '.join(dict.fromkeys(members))})"
    parts = [built, f"{activation}" if activation else "", f"{rows} x {columns} pixels"]
    return ", ".join(part for part in parts if part)


def _joined(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _sections(card: ModelCard, words: ModelWords) -> tuple[CardSection, ...]:
    use = tuple(text for text in (words.intended_use, words.intended_users) if text)
    sections = [
        _known(CardSection("use", "Intended use", use)),
        _known(CardSection("out-of-scope", "Not for", entries=words.out_of_scope)),
        _known(CardSection("failures", "Known failures", entries=words.known_failures)),
        _known(
            CardSection("metrics", "How good it is", tables=metric_tables(card)),
            "Nothing was measured, or it was not kept.",
        ),
    ]
    sections.append(_confidence(card) if card.task == "slice_selection" else _area_intervals(card))
    return (*sections, _data(card, words), _making(card), _legal(words))


def _known(section: CardSection, unknown: str = NOT_STATED) -> CardSection:
    """Return a section, or one that says that nothing is known where it is empty."""
    if section.paragraphs or section.entries or section.facts or section.tables:
        return section
    return replace(section, paragraphs=(unknown,), is_stated=False)


def _confidence(card: ModelCard) -> CardSection:
    calibration = card.confidence
    section = CardSection("confidence", "Confidence of positions")
    if calibration is not None and calibration.levels:
        missing = [level for level in card.levels if level not in calibration.levels]
        left_out = (f"Not calibrated: {_joined(missing)}.",) if missing else ()
        paragraphs = (f"Calibrated on {calibration.source}.", *left_out)
        tables = (confidence_table(calibration),)
        section = replace(section, paragraphs=paragraphs, tables=tables)
    return _known(
        section,
        "Not calibrated for this model: it is what the curve of scores looks like, by simulated "
        "curves. bodycomp card MODEL --calibrate SET does it with your own scans.",
    )


def _area_intervals(card: ModelCard) -> CardSection:
    found = card.area_intervals
    section = CardSection("area-intervals", "Intervals of areas")
    if found is not None and found.tissues:
        of_levels = (
            f"At levels that the slice-selection model {found.slice_selection} finds."
            if found.slice_selection
            else "On slices that people chose: errors of finding the level are not in them."
        )
        share = f"{found.coverage:.0%}"
        section = replace(
            section,
            paragraphs=(
                f"They hold the true area in {share} of cases like these: {found.source}.",
                of_levels,
            ),
            tables=(interval_table(found),),
        )
    return _known(
        section,
        "Not calibrated for this model: results have none. bodycomp card MODEL --intervals "
        "EVALUATION makes them of held-out cases.",
    )


def _data(card: ModelCard, words: ModelWords) -> CardSection:
    data, text = card.description.data, words.training_data
    if data is None:
        return _known(CardSection("data", "Training data", (text,) if text else ()))
    paragraphs = (text or "Where the data are from is not stated.",)
    facts, tables = (("digest", data.digest),), (split_table(data),)
    return CardSection("data", "Training data", paragraphs, facts=facts, tables=tables)


def _making(card: ModelCard) -> CardSection:
    training = card.training
    facts = list(card.description.software.items())
    if not facts and "bodycomp" in training:
        facts.append(("bodycomp", str(training["bodycomp"])))
    facts += [(name, str(training[key])) for name, key in _MAKING if key in training]
    return _known(CardSection("making", "How it was made", facts=tuple(facts)))


def _legal(words: ModelWords) -> CardSection:
    pairs = [(name, getattr(words, name)) for name in ("licence", "contact", "citation")]
    facts = tuple((name, value or NOT_STATED) for name, value in pairs)
    is_stated = any(value for _, value in pairs)
    return CardSection("legal", "Licence and contact", facts=facts, is_stated=is_stated)
