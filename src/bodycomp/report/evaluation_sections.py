"""Every number of ``evaluation.json`` as tables for people, section by section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from bodycomp.networks.card_description import Metric, MetricTable
from bodycomp.networks.card_files import TITLES, WHERE, numbers_of
from bodycomp.report.model_card_numbers import CardTable, metric_table

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
