"""The few numbers of a model that are shown first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bodycomp.networks.card import ModelCard
from bodycomp.networks.card_metrics import Metric
from bodycomp.report.model_card_names import name_for_people
from bodycomp.report.model_card_tables import interval, number

HEADLINES: Final = {
    "segmentation": ("mean_dice", "dice_mean"),
    "slice_selection": (
        "median_absolute_error_mm",
        "within_10_mm",
        "located_error_mm",
        "found_",
        "error_mm",
    ),
}
"""Beginnings of the names, without level and tissue, of what is shown first."""

SOURCES: Final = ("evaluation/", "test", "validation")
"""Beginnings of the keys of tables, those that say most first."""

OTHERS: Final = ("evaluation/end_to_end", "evaluation/subgroups")
"""Tables whose numbers are not of the model alone."""

MOST: Final = 4
"""Numbers of one table that are shown first."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A number and what it is.

    Attributes:
        value: As text.
        label: What it is, and of what.
    """

    value: str
    label: str


def tiles_of(card: ModelCard) -> tuple[Tile, ...]:
    """Return numbers of the test split if there is one, else of validation, and the data's size."""
    return (*_metrics(card), *_sizes(card), *_confidence(card))


def _metrics(card: ModelCard) -> Iterator[Tile]:
    """Yield the headlines of the best source that has any."""
    own = [table for table in card.description.metrics if not table.key.startswith(OTHERS)]
    for source in SOURCES:
        shown = [
            _tile(metric, "evaluation" if source == "evaluation/" else table.key)
            for table in own
            if table.key.startswith(source)
            for metric in table.metrics
            if metric.name.rpartition(" / ")[2].startswith(HEADLINES[card.task])
            and metric.value is not None
        ]
        if shown:
            yield from shown[:MOST]
            return


def _tile(metric: Metric, source: str) -> Tile:
    reach = f", {interval(metric)}" if interval(metric) else ""
    return Tile(number(metric), f"{name_for_people(metric.name)} ({source}{reach})")


def _sizes(card: ModelCard) -> Iterator[Tile]:
    data = card.description.data
    train = None if data is None else data.splits.get("train")
    if train is not None:
        people = "" if train.patients is None else f" of {train.patients} patients"
        yield Tile(f"{train.slices}", f"training slices{people}")


def _confidence(card: ModelCard) -> Iterator[Tile]:
    if card.task != "slice_selection":
        return
    made = card.confidence.levels if card.confidence else {}
    if not made:
        yield Tile("none", "calibration of confidence for this model")
        return
    series = [calibration.series for calibration in made.values()]
    counts = f"{min(series)}" if min(series) == max(series) else f"{min(series)} to {max(series)}"
    yield Tile(counts, "held-out series behind the confidence")
