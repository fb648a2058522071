"""``evaluation.json`` -> the tables of a model's card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bodycomp.errors import InputNotFoundError, UsageError
from bodycomp.networks.card_metrics import Metric, MetricTable
from bodycomp.networks.card_words import Task

SCHEMA: Final = "bodycomp.evaluation"
SCHEMA_VERSION: Final = 1

SECTIONS: Final[Mapping[Task, Mapping[str, str]]] = {
    "segmentation": {
        "segmentation": "Outlines against a person's",
        "end_to_end": "Areas at the found level against areas at the true one",
    },
    "slice_selection": {
        "slice_selection": "Positions against the true ones",
        "end_to_end": "Areas at the found level against areas at the true one",
    },
}
"""What of an evaluation tells of a model, with titles."""

SUBGROUPS: Final = "subgroups"


def evaluation_tables(path: Path, task: Task, digest: str) -> tuple[MetricTable, ...]:
    """Read what an evaluation says of a model.

    Args:
        path: ``evaluation.json``, or the folder that holds it.
        task: Of the model.
        digest: Of the model.

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
    if kind != SCHEMA or document.get("schema_version") != SCHEMA_VERSION:
        raise UsageError(
            f"{path}: expected {SCHEMA} of version {SCHEMA_VERSION}, found {kind!r} of version "
            f"{document.get('schema_version') if isinstance(document, dict) else None!r}"
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
    data = document.get("data") or {}
    source = _source(data)
    for section, title in SECTIONS[task].items():
        for key, name, content in (
            (section, title, document.get(section)),
            (
                f"{SUBGROUPS}/{section}",
                f"{title}, by subgroup",
                (document.get(SUBGROUPS) or {}).get(section),
            ),
        ):
            metrics = tuple(_numbers(content, ()))
            if metrics:
                yield MetricTable(
                    key=f"evaluation/{key}",
                    title=name,
                    source=source,
                    metrics=metrics,
                    data_digest=str(data.get("digest") or ""),
                    made_at=str(document.get("made_at") or ""),
                )


def _source(data: Mapping[str, Any]) -> str:
    kind = str(data.get("kind") or "data").replace("_", " ")
    counts = [f"{data[key]} {key}" for key in ("cases", "patients") if data.get(key) is not None]
    return f"evaluated on {kind}: {', '.join(counts)}" if counts else f"evaluated on {kind}"


def _numbers(content: object, names: tuple[str, ...]) -> Iterator[Metric]:
    """Yield every number with its unit, wherever it lies, named by the keys that lead to it."""
    if not isinstance(content, dict):
        return
    if "value" in content and "unit" in content:
        yield Metric.from_dict(content | {"name": " / ".join(names), "cases": content.get("n")})
        return
    for key, part in content.items():
        yield from _numbers(part, (*names, str(key)))
