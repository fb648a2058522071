"""What a model's card takes from files: words that a person wrote, and what an evaluation found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from bodycomp.errors import InputNotFoundError, ModelError, UsageError
from bodycomp.json_file import from_plain
from bodycomp.networks.area_intervals import AreaIntervals
from bodycomp.networks.card_description import WORD_KEYS, Metric, MetricTable, ModelWords, Task

SCHEMA: Final = "bodycomp.evaluation"
SCHEMA_VERSIONS: Final = (1, 2)
"""The second one says segmentation where the first one said outline, which no card takes."""

AREAS: Final = frozenset(
    {
        "bias_cm2",
        "lower_limit_cm2",
        "upper_limit_cm2",
        "mean_absolute_error_cm2",
        "lin_concordance",
        "icc_2_1",
    }
)
"""What a card takes of the areas at the found level; the evaluation's page shows more."""

CONTOURS: Final = frozenset(
    {
        "mean_dice",
        "mean_hausdorff95_mm",
        "mean_surface_distance_mm",
        "mean_area_error_cm2",
        "mean_absolute_relative_area_error",
        "mean_hu_error",
    }
)

KEPT: Final[Mapping[str, frozenset[str] | None]] = {
    "segmentation": CONTOURS,
    "slice_selection": None,
    "end_to_end": AREAS,
}
"""Section -> metrics that a card takes over; all if None."""

KEPT_OF_SUBGROUPS: Final[Mapping[str, frozenset[str]]] = {
    "slice_selection": frozenset({"found", "median_absolute_error_mm", "within_10_mm"}),
    "end_to_end": frozenset({"bias_cm2", "mean_absolute_error_cm2"}),
}

SECTIONS: Final[Mapping[Task, tuple[str, ...]]] = {
    "segmentation": ("segmentation", "end_to_end"),
    "slice_selection": ("slice_selection", "end_to_end"),
}
"""Sections that concern a model."""

TITLES: Final = {
    "segmentation": "Segmentations against those of people",
    "slice_selection": "Positions against the true ones",
    "end_to_end": "Areas at the found level against areas at the true one",
}
SOURCES: Final = {"training_set": "slice_selection", "cases": "cases"}
"""Where positions are from -> part of ``data`` that describes it."""

NAMED: Final = {"segmentation": "segmentation set", "slice_selection": "slice-selection set"}
"""What warnings call the data of a part."""

WHERE: Final = {"training_set": ", in the series of a set", "cases": ", in scans"}
"""Source of positions -> end of the title."""

CONTAINERS: Final = frozenset({"levels", "tissues", "metrics", "area", *SOURCES})
"""Keys that say nothing to a reader."""

COUNTED: Final = ("cases", "series", "slices", "patients")


def read_words(path: Path) -> ModelWords:
    """Read the words of a file.

    Raises:
        InputNotFoundError: There is no such file.
        UsageError: It is no YAML of the fields of ``ModelWords``.
    """
    if not path.is_file():
        raise InputNotFoundError(f"expected a file of words about a model, found none: {path}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: expected YAML in UTF-8 ({error})") from error
    if not isinstance(content, dict):
        raise UsageError(
            f"{path}: expected keys with text, found {type(content).__name__}",
            hint=f"Known are {', '.join(WORD_KEYS)}; docs/model-card.md has an example.",
        )
    try:
        return ModelWords.from_dict(content)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from error


def evaluation_tables(path: Path, task: Task, digest: str) -> tuple[MetricTable, ...]:
    """Read what an evaluation says of a model.

    Raises:
        InputNotFoundError: There is no such file.
        UsageError: It is no evaluation that this version reads, one of another model, or of
            nothing that concerns this one.
    """
    document = _read(path / "evaluation.json" if path.is_dir() else path)
    _check_model(document, task, digest, path)
    try:
        tables = tuple(_tables(document, task))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: a number of the evaluation cannot be read ({error})") from error
    if not tables:
        raise UsageError(f"{path}: expected numbers about {task}, found none in this evaluation")
    return tables


def evaluated_intervals(path: Path, task: Task, digest: str) -> AreaIntervals:
    """Read the intervals of areas that an evaluation of a segmentation model gives.

    Raises:
        InputNotFoundError: There is no such file.
        UsageError: It is no evaluation that this version reads, one of another model, or one of too
            few patients, or of those that the model was trained on.
    """
    if task != "segmentation":
        raise UsageError(
            "expected a segmentation model for intervals of areas, found one for slice selection",
            hint="The confidence of a level finder is calibrated with --calibrate.",
        )
    document = _read(path / "evaluation.json" if path.is_dir() else path)
    _check_model(document, task, digest, path)
    section = document.get("area_intervals") or {}
    if not section.get("tissues"):
        few = ", ".join(f"{n} of {key}" for key, n in section.get("too_few_patients", {}).items())
        raise UsageError(
            f"{path}: expected areas of at least 20 patients to make intervals of, found "
            f"{few or 'none'}",
            hint="Evaluate with --cases, or with --segmentation on a set whose manifest names "
            "patients and the size of pixels; not on the split train.",
        )
    try:
        found: AreaIntervals = from_plain(AreaIntervals, section)
    except (AttributeError, KeyError, TypeError, ValueError, ModelError) as error:
        raise UsageError(
            f"{path}: an interval of the evaluation cannot be read ({error})"
        ) from error
    return found


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise InputNotFoundError(
            f"expected an evaluation, found none: {path}",
            hint="'bodycomp evaluate' leaves evaluation.json in its output folder.",
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: expected JSON ({error})") from error
    kind = document.get("schema") if isinstance(document, dict) else None
    if kind != SCHEMA or document.get("schema_version") not in SCHEMA_VERSIONS:
        version = document.get("schema_version") if isinstance(document, dict) else None
        raise UsageError(
            f"{path}: expected {SCHEMA} of version {SCHEMA_VERSIONS[-1]} or earlier, "
            f"found {kind!r} of version {version!r}"
        )
    return dict(document)


def _check_model(document: Mapping[str, Any], task: Task, digest: str, path: Path) -> None:
    models = document.get("models")
    evaluated = models.get(task) if isinstance(models, dict) else None
    if not isinstance(evaluated, str) or not evaluated or not digest.startswith(evaluated):
        raise UsageError(
            f"{path}: expected an evaluation of the {task} model {digest[:12]}, "
            f"found one of {evaluated or 'none'}",
            hint="Evaluate this model. A new calibration makes another model of it.",
        )


def _tables(document: Mapping[str, Any], task: Task) -> Iterator[MetricTable]:
    for section in SECTIONS[task]:
        content = document.get(section) or {}
        for source in [key for key in SOURCES if key in content] or [""]:
            part = content[source] if source else content
            metrics = _kept(numbers_of(part, ()), KEPT[section])
            place = SOURCES.get(source, "segmentation" if section == "segmentation" else "cases")
            key = f"{section}/{source}" if source else section
            yield from _table(
                document, key, TITLES[section] + WHERE.get(source, ""), place, metrics
            )
        yield from _table(
            document,
            f"subgroups/{section}",
            f"{TITLES[section]}, by subgroup",
            "cases",
            tuple(_of_subgroups(document.get("subgroups") or (), section)),
        )


def _table(
    document: Mapping[str, Any], key: str, title: str, place: str, metrics: tuple[Metric, ...]
) -> Iterator[MetricTable]:
    """Yield the table, if there is anything in it."""
    if not metrics:
        return
    data = (document.get("data") or {}).get("parts", {}).get(place) or {}
    counts = ", ".join(f"{data[name]} {name}" for name in COUNTED if data.get(name) is not None)
    kind = str(data.get("kind") or "set that is not described")
    kind += f", split {data['split']}" if data.get("split") else ""
    bootstrap = document.get("bootstrap") or {}
    drawn = f"Intervals of {100 * float(bootstrap['level']):g} %." if "level" in bootstrap else ""
    yield MetricTable(
        key=f"evaluation/{key}",
        title=title,
        source=f"Evaluated on a {kind}{f' ({counts})' if counts else ''}",
        metrics=metrics,
        data_digest=str(data.get("digest") or ""),
        made_at=str(document.get("made_at") or ""),
        notes=tuple(note for note in (drawn, *_warnings(document, place)) if note),
    )


def _warnings(document: Mapping[str, Any], place: str) -> Iterator[str]:
    """Yield the warnings, but those that name another part's data."""
    for warning in map(str, document.get("warnings") or ()):
        if not any(name in warning for key, name in NAMED.items() if key != place):
            yield warning


def _of_subgroups(entries: Iterable[Mapping[str, Any]], section: str) -> Iterator[Metric]:
    """Yield the metrics of every group; small ones say so."""
    for entry in entries:
        name = f"{entry['column']} {entry['group']}"
        for metric in _kept(
            numbers_of(entry.get(section), (name,)), KEPT_OF_SUBGROUPS.get(section, frozenset())
        ):
            warning = str(entry.get("warning") or "")
            yield replace(metric, reason=metric.reason or warning)


def _kept(metrics: Iterable[Metric], names: frozenset[str] | None) -> tuple[Metric, ...]:
    return tuple(
        metric for metric in metrics if names is None or metric.name.split(" / ")[-1] in names
    )


def numbers_of(content: object, names: tuple[str, ...]) -> Iterator[Metric]:
    """Yield every number with its unit, wherever it lies, named by the keys that lead to it."""
    if not isinstance(content, dict):
        return
    if "value" in content and "unit" in content:
        named = content | {"name": " / ".join(names), "cases": content.get("n")}
        yield from_plain(Metric, named)
        return
    for key, part in content.items():
        yield from numbers_of(part, names if key in CONTAINERS else (*names, str(key)))
