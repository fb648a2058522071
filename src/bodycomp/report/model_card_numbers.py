"""Numbers of models and evaluations as text: the few that are shown first, and tables of all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from scipy.special import expit, logit

from bodycomp.networks.area_intervals import AreaIntervals
from bodycomp.networks.card import ModelCard
from bodycomp.networks.card_description import Metric, MetricTable, Task, TrainingData
from bodycomp.networks.card_files import TITLES, WHERE, numbers_of
from bodycomp.networks.confidence_calibration import ConfidenceCalibration
from bodycomp.report.page_content import Tile

_UNITS: Final = {"1": "", "[hnsf'U]": "HU", "cm2": "cm2"}
"""UCUM -> as people write it; others stay as they are."""

_TRAINING: Final = (
    (r"error_mm", "mean error of a slice"),
    (r"mae_mm_(.+)", r"\1: mean absolute error of near slices"),
    (r"located_error_mm_(.+)", r"\1: median error where it was found"),
    (r"found_(.+)", r"\1: found within 10 mm"),
    (r"dice_mean", "mean Dice of all tissues"),
    (r"dice_(.+)", r"\1: Dice of all pixels"),
    (r"image_dice_(.+)", r"\1: mean Dice of a slice"),
)
"""Metrics that a training writes, and their names."""

_UNIT_AT_END: Final = re.compile(r"_(mm|cm2|hu)$")
_ABBREVIATIONS: Final = {"dice": "Dice", "hu": "HU", "hausdorff95": "95 % Hausdorff"}

_HEADLINES: Final = {
    "segmentation": ("mean_dice", "dice_mean"),
    "slice_selection": (
        *("median_absolute_error_mm", "within_10_mm", "located_error_mm", "found_", "error_mm"),
    ),
}
"""Beginnings of the names, without level and tissue, of what is shown first."""

_SOURCES: Final = ("evaluation/", "test", "validation")
"""Beginnings of the keys of tables, those that say most first."""

_OTHERS: Final = ("evaluation/end_to_end", "evaluation/subgroups")
"""Tables whose numbers are not of the model alone."""

_MOST: Final = 4
"""Numbers of one table that are shown first."""

_SPLIT_USES: Final = {
    "train": "the weights were fitted to it",
    "val": "the best epoch was chosen by it",
    "test": "looked at once, at the end",
}

_LOOKS: Final = (0.7, 0.9)
"""Confidences by the looks of the curve whose calibrated values are shown."""

_NAMES_LISTED: Final = 2
"""More metrics that lack something for the same reason are counted."""


@dataclass(frozen=True, slots=True)
class CardTable:
    """A table of texts; the first column names the rows, cells may be empty.

    Attributes:
        about: What it was made of.
        notes: What to know when reading it.
    """

    title: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def name_for_people(name: str) -> str:
    """Return the name of a metric without underscores, and without the unit that stands beside it.

    >>> name_for_people("image_dice_subcutaneous_fat")
    'subcutaneous fat: mean Dice of a slice'
    >>> name_for_people("L3 / median_absolute_error_mm")
    'L3: median absolute error'
    """
    for pattern, words in _TRAINING:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(words).replace("_", " ")
    *where, what = name.split(" / ")
    if not re.match(r"within_", what):
        what = _UNIT_AT_END.sub("", what)
    what = what.replace("icc_2_1", "ICC(2,1)")
    spoken = " ".join(_ABBREVIATIONS.get(word, word) for word in what.split("_"))
    return f"{', '.join(where).replace('_', ' ')}: {spoken}" if where else spoken


def tiles_of(card: ModelCard) -> tuple[Tile, ...]:
    """Return numbers of the test split if there is one, else of validation, and the data's size."""
    return (*_headlines(card), *_sizes(card), *_calibration(card))


def _headlines(card: ModelCard) -> Iterator[Tile]:
    own = [table for table in card.description.metrics if not table.key.startswith(_OTHERS)]
    for source in _SOURCES:
        shown = [
            _tile(metric, "evaluation" if source == "evaluation/" else table.key)
            for table in own
            if table.key.startswith(source)
            for metric in table.metrics
            if metric.name.rpartition(" / ")[2].startswith(_HEADLINES[card.task])
            and metric.value is not None
        ]
        if shown:
            yield from shown[:_MOST]
            return


def _tile(metric: Metric, source: str) -> Tile:
    reach = f", {_interval(metric)}" if _interval(metric) else ""
    return Tile(_number(metric), f"{name_for_people(metric.name)} ({source}{reach})")


def _sizes(card: ModelCard) -> Iterator[Tile]:
    data = card.description.data
    train = None if data is None else data.splits.get("train")
    if train is not None:
        people = "" if train.patients is None else f" of {train.patients} patients"
        yield Tile(f"{train.slices}", f"training slices{people}")


def _calibration(card: ModelCard) -> Iterator[Tile]:
    if card.task != "slice_selection":
        return
    made = card.confidence.levels if card.confidence else {}
    if not made:
        yield Tile("none", "calibration of confidence for this model")
        return
    series = [calibration.series for calibration in made.values()]
    counts = f"{min(series)}" if min(series) == max(series) else f"{min(series)} to {max(series)}"
    yield Tile(counts, "held-out series behind the confidence")


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
        (name_for_people(one.name), _number(one), _interval(one), *_counts(one.cases, one.patients))
        for one in table.metrics
    )
    columns, notes = ("", "value", "interval", "n", "patients"), (*table.notes, *_reasons(table))
    return _filled(CardTable(table.title, f"{table.source}{dated}", columns, rows, notes))


def _filled(table: CardTable) -> CardTable:
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
        which = "; ".join(names) if len(names) <= _NAMES_LISTED else f"{len(names)} numbers"
        yield f"{reason} ({which})"


def _number(metric: Metric) -> str:
    """Return a value with its unit.

    >>> _number(Metric("error", 3.14159, unit="mm")), _number(Metric("share", 0.5, unit="1"))
    ('3.14 mm', '0.500')
    """
    if metric.value is None:
        return "none"
    return f"{_digits(metric.value)} {_UNITS.get(metric.unit, metric.unit)}".rstrip()


def _interval(metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return ""
    return f"{_digits(metric.low)} to {_digits(metric.high)}"


def _counts(*values: int | None) -> tuple[str, ...]:
    return tuple("" if value is None else f"{value}" for value in values)


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def split_table(data: TrainingData) -> CardTable:
    """Return how much each split holds and what it served for."""
    rows = tuple(
        (name, *_counts(size.slices, size.series, size.patients), _SPLIT_USES.get(name, ""))
        for name, size in data.splits.items()
    )
    columns = ("split", "slices", "series", "patients", "served for")
    return _filled(CardTable("", "", columns, rows))


def confidence_table(calibration: ConfidenceCalibration) -> CardTable:
    """Return per level what the calibration is made of, and what it makes of two confidences."""
    rows = tuple(
        (
            level,
            *_counts(made.series, made.right),
            *(f"{expit(made.apply(float(logit(looks)))):.2f}" for looks in _LOOKS),
        )
        for level, made in calibration.levels.items()
    )
    columns = ("level", "series found", "within 10 mm", *(f"{x:.2f} becomes" for x in _LOOKS))
    note = "Becomes: what a confidence by the shape of the curve alone means for this model."
    return CardTable("", "", columns, rows, (note,))


_AREAS_CM2: Final = (20.0, 100.0, 200.0)


def interval_table(intervals: AreaIntervals) -> CardTable:
    """Return per tissue and group what the intervals are made of, and those of some areas."""
    rows = tuple(
        (
            tissue.replace("_", " "),
            group,
            f"{bounds.patients}",
            *("{:.0f} to {:.0f}".format(*bounds.around(area)) for area in _AREAS_CM2),
        )
        for tissue, groups in intervals.tissues.items()
        for group, bounds in groups.items()
    )
    columns = ("tissue", "cases", "patients", *(f"{area:g} cm2" for area in _AREAS_CM2))
    return CardTable("", "", columns, rows, ("Interval of a measured area of so many cm2.",))


SECTIONS: Final = ("end_to_end", "slice_selection", "segmentation", "subgroups", "comparison")
"""In the order of what a user of both models asks first."""

HEADING_PARTS: Final = {"subgroups": 4, "comparison": 3}
"""How many parts of a number's name head its table; of other sections two, as level and tissue."""

OTHER_TITLES: Final = {
    "subgroups": "By subgroup",
    "comparison": "Compared with other models, on the same cases",
}


@dataclass(frozen=True, slots=True)
class EvaluationSection:
    """One part of an evaluation."""

    key: str
    title: str
    tables: tuple[CardTable, ...]


def evaluation_sections(evaluation: Mapping[str, Any]) -> tuple[EvaluationSection, ...]:
    """Return the sections that ``evaluation.json`` has numbers of; none of an empty one."""
    found = []
    for key in SECTIONS:
        tables = tuple(_tables(key, evaluation.get(key) or {}))
        if tables:
            title = TITLES.get(key) or OTHER_TITLES[key]
            found.append(EvaluationSection(key, title, tables))
    return tuple(found)


def _tables(section: str, content: Any) -> Iterator[CardTable]:
    """Yield one table per source or subgroup and what it is about, such as a level's tissue."""
    for title, part in _groups(section, content):
        metrics: dict[tuple[str, ...], list[Metric]] = {}
        for metric in numbers_of(part, ()):
            parts = metric.name.split(" / ")
            about = tuple(parts[:-1][: HEADING_PARTS.get(section, 2)])
            inner = replace(metric, name=" / ".join(parts[len(about) :]))
            metrics.setdefault(about, []).append(inner)
        for about, group in metrics.items():
            heading = ", ".join(word.replace("_", " ") for word in (title, *about) if word)
            yield metric_table(MetricTable(section, heading, "", tuple(group)))


def _groups(section: str, content: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(content, list):
        for entry in content:
            warning = f" ({entry['warning']})" if entry.get("warning") else ""
            yield f"{entry.get('column', '')} {entry.get('group', '')}{warning}", entry
    elif section == "slice_selection" and set(content) & set(WHERE):
        for source, part in content.items():
            yield WHERE.get(source, source).lstrip(", ").capitalize(), part
    else:
        yield "", content
