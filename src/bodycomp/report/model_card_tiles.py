"""The few numbers of a model that are shown first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bodycomp.networks.card import ModelCard
from bodycomp.networks.card_metrics import Metric, MetricTable
from bodycomp.report.model_card_tables import interval, number

HEADLINES = {
    "segmentation": ("dice_mean",),
    "slice_selection": ("located_error_mm", "found", "error_mm"),
}
"""Beginnings of the metrics of training that are shown first."""


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
    tables = {table.key: table for table in card.description.metrics}
    table = tables.get("test") or tables.get("validation")
    if table is None:
        return
    for beginning in HEADLINES[card.task]:
        for metric in table.metrics:
            if metric.name.startswith(beginning) and metric.value is not None:
                yield _tile(metric, table)


def _tile(metric: Metric, table: MetricTable) -> Tile:
    level = metric.name.rpartition("_")[2]
    names = {
        "dice_mean": "mean Dice",
        f"located_error_mm_{level}": f"median error of {level}",
        f"found_{level}": f"{level} found within 10 mm",
        "error_mm": "mean error of a slice",
    }
    reach = f", {interval(metric)}" if interval(metric) else ""
    return Tile(number(metric), f"{names.get(metric.name, metric.name)} ({table.key}{reach})")


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
