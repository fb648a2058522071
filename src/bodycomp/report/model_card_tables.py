"""The tables of a model's card, as text."""

from __future__ import annotations

from dataclasses import dataclass

from bodycomp.networks.card import ModelCard
from bodycomp.networks.card_description import TrainingData
from bodycomp.networks.card_metrics import Metric, MetricTable
from bodycomp.networks.confidence_calibration import ConfidenceCalibration

SPLIT_USES = {
    "train": "the weights were fitted to it",
    "val": "the best epoch was chosen by it",
    "test": "looked at once, at the end",
}


@dataclass(frozen=True, slots=True)
class CardTable:
    """A table of texts.

    Attributes:
        title: Caption; may be empty.
        about: What it was made of; may be empty.
        columns: Headings; the first column names the rows.
        rows: Cells, empty where there is nothing to say.
        notes: What to know when reading it.
    """

    title: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def metric_tables(card: ModelCard) -> tuple[CardTable, ...]:
    """Return the measured numbers, those that say most first: the newest."""
    return tuple(_metric_table(table) for table in reversed(card.description.metrics))


def _metric_table(table: MetricTable) -> CardTable:
    dated = f", {table.made_at[:10]}" if table.made_at else ""
    rows = tuple(
        (
            name_for_people(metric.name),
            number(metric),
            interval(metric),
            count(metric.cases),
            count(metric.patients),
        )
        for metric in table.metrics
    )
    reasons = dict.fromkeys(
        f"{name_for_people(metric.name)}: {metric.reason}"
        for metric in table.metrics
        if metric.reason and metric.value is None
    )
    return CardTable(
        table.title,
        f"{table.source}{dated}",
        ("", "value", "95 % interval", "n", "patients"),
        rows,
        (*table.notes, *reasons),
    )


def name_for_people(name: str) -> str:
    """Return the name of a metric without underscores.

    >>> name_for_people("dice_subcutaneous_fat")
    'dice subcutaneous fat'
    """
    return name.replace("_", " ")


def number(metric: Metric) -> str:
    """Return a value with its unit.

    >>> number(Metric("error", 3.14159, unit="mm")), number(Metric("share", 0.5, unit="1"))
    ('3.14 mm', '0.500')
    """
    if metric.value is None:
        return "none"
    unit = "" if metric.unit in ("", "1") else f" {metric.unit}"
    return f"{_digits(metric.value)}{unit}"


def interval(metric: Metric) -> str:
    """Return an interval; empty if there is none."""
    if metric.low is None or metric.high is None:
        return ""
    return f"{_digits(metric.low)} to {_digits(metric.high)}"


def count(value: int | None) -> str:
    """Return a number of things; empty if unknown."""
    return "" if value is None else f"{value}"


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def split_table(data: TrainingData) -> CardTable:
    """Return how much each split holds and what it served for."""
    rows = tuple(
        (
            name,
            count(size.slices),
            count(size.series),
            count(size.patients),
            SPLIT_USES.get(name, ""),
        )
        for name, size in data.splits.items()
    )
    return CardTable("", "", ("split", "slices", "series", "patients", "served for"), rows)


def confidence_table(calibration: ConfidenceCalibration) -> CardTable:
    """Return per level how many held-out series the calibration is made of."""
    rows = tuple(
        (
            level,
            count(made.series),
            count(made.right),
            f"{made.intercept:.2f}",
            f"{made.slope:.2f}",
        )
        for level, made in calibration.levels.items()
    )
    columns = ("level", "series found", "within 10 mm", "intercept", "slope")
    return CardTable("", "", columns, rows)
