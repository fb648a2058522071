"""Metrics as definitions over cases, so that subgroups and comparisons measure the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np

from bodycomp.agreement.bootstrap import Verdict, verdict
from bodycomp.agreement.statistics import MEAN, Statistic, difference_of
from bodycomp.evaluation.estimates import (
    SHARE_UNIT,
    BootstrapOptions,
    Estimate,
    estimate,
    estimate_share,
    interval_of,
    of_interval,
)


class OfPatient(Protocol):
    """Anything that belongs to a case of a patient."""

    @property
    def case(self) -> str:
        """Name of the case, unique in the evaluation."""

    @property
    def patient(self) -> str | None:
        """Name of the patient; None where nobody says."""


Row = TypeVar("Row", bound=OfPatient)


class Better(StrEnum):
    """Which way a metric is better."""

    LARGER = "larger"
    SMALLER = "smaller"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Metric(Generic[Row]):
    """One metric over cases.

    Attributes:
        key: Name in ``evaluation.json``, with its unit.
        unit: UCUM.
        statistic: Of the cases' values.
        values: Row -> its values, one per column of the statistic; None where the row has none.
        better: Which way.
        is_share: The values are 0 or 1, the metric is their share.
    """

    key: str
    unit: str
    statistic: Statistic
    values: Callable[[Row], Sequence[float] | None]
    better: Better = Better.NEITHER
    is_share: bool = False

    def over(self, rows: Sequence[Row], options: BootstrapOptions) -> Estimate:
        """Return the metric over the rows that have values."""
        pairs = [(row.patient, v) for row in rows if (v := self.values(row)) is not None]
        patients = [patient for patient, _ in pairs]
        if self.is_share:
            return estimate_share([bool(v[0]) for _, v in pairs], patients, options)
        return estimate(self.statistic, [v for _, v in pairs], patients, self.unit, options)


def share_metric(
    key: str, value: Callable[[Row], bool | None], better: Better = Better.NEITHER
) -> Metric[Row]:
    """Return the share of rows, among those that say yes or no, that say yes."""

    def values(row: Row) -> Sequence[float] | None:
        said = value(row)
        return None if said is None else (float(said),)

    return Metric(key, SHARE_UNIT, MEAN, values, better, is_share=True)


def summarise(
    metrics: Sequence[Metric[Row]], rows: Sequence[Row], options: BootstrapOptions
) -> dict[str, Any]:
    """Return key -> estimate of every metric, JSON-ready."""
    return {metric.key: metric.over(rows, options).to_dict() for metric in metrics}


VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.FIRST: "models",
    Verdict.SECOND: "against",
    Verdict.UNDECIDED: "undecided",
}
"""How ``evaluation.json`` names which of two pairs of models is better."""


def compare(
    metrics: Sequence[Metric[Row]],
    pairs: Sequence[tuple[Row, Row]],
    options: BootstrapOptions,
) -> dict[str, Any]:
    """Return key -> difference, first minus second, on the cases that both have values for.

    Only metrics that are better in one way are compared; ``better`` is ``models``, ``against`` or
    ``undecided``, the last wherever the interval holds 0 or is missing.
    """
    return {
        metric.key: _difference(metric, pairs, options)
        for metric in metrics
        if metric.better is not Better.NEITHER
    }


def _difference(
    metric: Metric[Row], pairs: Sequence[tuple[Row, Row]], options: BootstrapOptions
) -> dict[str, Any]:
    patients: list[str | None] = []
    values: list[list[float]] = []
    for first, second in pairs:
        mine, other = metric.values(first), metric.values(second)
        if mine is not None and other is not None:
            patients.append(first.patient)
            values.append([*mine, *other])
    columns = metric.statistic.columns
    table = np.asarray(values, np.float64).reshape(len(values), 2 * columns)
    interval = interval_of(difference_of(metric.statistic), table, patients, options)
    sides = (metric.statistic.of(part) for part in (table[:, :columns], table[:, columns:]))
    first_value, second_value = (v if np.isfinite(v) else None for v in sides)
    found = verdict(interval, larger_is_better=metric.better is Better.LARGER)
    return {
        "models": first_value,
        "against": second_value,
        "difference": of_interval(interval, metric.unit).to_dict(),
        "better": VERDICTS[found],
    }
