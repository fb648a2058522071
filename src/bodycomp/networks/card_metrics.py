"""Measured numbers about a model, with their intervals and counts, as its card keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Metric:
    """One number.

    Attributes:
        name: What was measured, words separated by `` / `` from the general to the particular,
            such as ``muscle / dice``.
        value: None if it could not be measured.
        low, high: Interval; None where there is none.
        unit: UCUM, ``1`` for shares; empty if unknown.
        cases: Number of slices or series that it is made of; None if unknown.
        patients: Number of their patients; None if unknown.
        reason: Why there is no value or no interval; empty if there are both.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    cases: int | None = None
    patients: int | None = None
    reason: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from ``asdict``; raises KeyError, TypeError or ValueError for what is none."""
        numbers = {key: _number(values.get(key)) for key in ("value", "low", "high")}
        counts = {key: _count(values.get(key)) for key in ("cases", "patients")}
        texts = {key: str(values.get(key) or "") for key in ("unit", "reason")}
        return cls(str(values["name"]), **numbers, **counts, **texts)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class MetricTable:
    """Numbers that were measured together.

    Attributes:
        key: Measurements of the same key replace one another: ``validation``, ``test``,
            ``evaluation/<section>``.
        title: For people.
        source: What they were measured on, for people.
        data_digest: Of the data; empty if unknown.
        made_at: When, ISO 8601; empty if unknown.
        metrics: The numbers.
        notes: What to know when reading them.
    """

    key: str
    title: str
    source: str
    metrics: tuple[Metric, ...]
    data_digest: str = ""
    made_at: str = ""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return asdict(self) | {
            "metrics": [asdict(metric) for metric in self.metrics],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from ``to_dict``; raises as ``Metric.from_dict``."""
        return cls(
            key=str(values["key"]),
            title=str(values["title"]),
            source=str(values.get("source", "")),
            metrics=tuple(Metric.from_dict(metric) for metric in values["metrics"]),
            data_digest=str(values.get("data_digest", "")),
            made_at=str(values.get("made_at", "")),
            notes=tuple(str(note) for note in values.get("notes", ())),
        )


def _number(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]


def _count(value: object) -> int | None:
    return None if value is None else int(value)  # type: ignore[call-overload]
