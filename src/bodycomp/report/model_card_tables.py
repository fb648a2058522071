"""The tables of a model's card, as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from scipy.special import expit, logit

from bodycomp.networks.card import ModelCard
from bodycomp.networks.card_description import TrainingData
from bodycomp.networks.card_metrics import Metric, MetricTable
from bodycomp.networks.card_words import Task
from bodycomp.networks.confidence_calibration import ConfidenceCalibration
from bodycomp.report.model_card_names import name_for_people, unit_for_people

SPLIT_USES = {
    "train": "the weights were fitted to it",
    "val": "the best epoch was chosen by it",
    "test": "looked at once, at the end",
}


LOOKS: Final = (0.7, 0.9)
"""Confidences by the looks of the curve whose calibrated values are shown."""

NAMES_TOLD: Final = 2
"""More metrics that lack something for the same reason are counted."""


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
    """Return the measured numbers, those that say most of the model first."""
    ranked = sorted(card.description.metrics, key=lambda table: _rank(table, card.task))
    return tuple(metric_table(table) for table in ranked)


def _rank(table: MetricTable, task: Task) -> int:
    order = (f"evaluation/{task}", "evaluation/end_to_end", "evaluation/", "test", "")
    return next(place for place, begin in enumerate(order) if table.key.startswith(begin))


def metric_table(table: MetricTable) -> CardTable:
    """Return numbers that were measured together as texts."""
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
    return _filled(
        CardTable(
            table.title,
            f"{table.source}{dated}",
            ("", "value", "interval", "n", "patients"),
            rows,
            (*table.notes, *_reasons(table)),
        )
    )


def _filled(table: CardTable) -> CardTable:
    """Return a table without the columns that hold nothing."""
    kept = [at for at in range(len(table.columns)) if any(row[at] for row in table.rows)]
    return replace(
        table,
        columns=tuple(table.columns[at] for at in kept),
        rows=tuple(tuple(row[at] for at in kept) for row in table.rows),
    )


def _reasons(table: MetricTable) -> Iterator[str]:
    """Yield why values or intervals are missing, each reason once."""
    of_reason: dict[str, list[str]] = {}
    for metric in table.metrics:
        if metric.reason:
            of_reason.setdefault(metric.reason, []).append(name_for_people(metric.name))
    for reason, names in of_reason.items():
        told = "; ".join(names) if len(names) <= NAMES_TOLD else f"{len(names)} numbers"
        yield f"{reason} ({told})"


def number(metric: Metric) -> str:
    """Return a value with its unit.

    >>> number(Metric("error", 3.14159, unit="mm")), number(Metric("share", 0.5, unit="1"))
    ('3.14 mm', '0.500')
    """
    if metric.value is None:
        return "none"
    return f"{_digits(metric.value)} {unit_for_people(metric.unit)}".rstrip()


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
    columns = ("split", "slices", "series", "patients", "served for")
    return _filled(CardTable("", "", columns, rows))


def confidence_table(calibration: ConfidenceCalibration) -> CardTable:
    """Return per level what the calibration is made of, and what it makes of two confidences."""
    rows = tuple(
        (
            level,
            count(made.series),
            count(made.right),
            *(f"{expit(made.apply(float(logit(looks)))):.2f}" for looks in LOOKS),
        )
        for level, made in calibration.levels.items()
    )
    meanings = (f"{looks:.2f} becomes" for looks in LOOKS)
    return CardTable(
        "",
        "",
        ("level", "series found", "within 10 mm", *meanings),
        rows,
        ("Becomes: what a confidence by the shape of the curve alone means for this model.",),
    )
