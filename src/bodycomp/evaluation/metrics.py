"""Metrics as definitions over cases, so that subgroups and comparisons measure the same.

Every number has its interval, as ``evaluation.json`` states it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from bodycomp.agreement.intervals import WILSON_LEVEL, Interval, bootstrap, wilson_interval
from bodycomp.agreement.masks import MaskAgreement
from bodycomp.agreement.statistics import MEAN, Statistic, difference_of
from bodycomp.errors import ModelError
from bodycomp.evaluation.options import BootstrapOptions
from bodycomp.results import Quantity

SHARE_UNIT: Final = "1"


Patients = Sequence[str | None]
"""Whose each case is; None where nobody says."""

UNKNOWN_PATIENTS: Final = "an interval needs to know which patients the cases are from"


def estimate(
    statistic: Statistic,
    values: Sequence[Sequence[float]] | NDArray[np.float64],
    patients: Patients,
    options: BootstrapOptions,
) -> Interval:
    """Return a statistic of (case, column) values with its interval over patients.

    There is none where a case's patient is not known.
    """
    table = np.asarray(values, np.float64).reshape(len(values), statistic.columns)
    known = [patient for patient in patients if patient is not None]
    if len(known) < len(table):
        value = statistic.of(table)
        found = Quantity(value) if np.isfinite(value) else Quantity(None, statistic.undefined)
        return Interval(found, None, None, len(table), 0, found.reason or UNKNOWN_PATIENTS)
    return bootstrap(
        statistic,
        table,
        np.asarray(known, np.str_),
        resamples=options.resamples,
        seed=options.seed,
        level=options.level,
    )


def estimate_share(hits: Sequence[bool], patients: Patients, options: BootstrapOptions) -> Interval:
    """Return a share with its interval.

    The interval is Wilson's, which holds for shares of 0 and 1 and for few cases. It takes cases
    as independent; where a patient has several, and at other confidences than 95 %, patients are
    drawn instead.
    """
    count = len(set(patients))
    if None in patients or count < len(hits) or options.level != WILSON_LEVEL:
        values = [(float(hit),) for hit in hits]
        return estimate(MEAN, values, patients, options)
    return wilson_interval(sum(hits), len(hits))


def number(interval: Interval, unit: str) -> dict[str, Any]:
    """Return what ``evaluation.json`` says of a number.

    Value and ends are None where they are undefined, the number of patients where nobody says whose
    the cases are; the reason says why value or interval are missing.
    """
    said: dict[str, Any] = {
        "value": interval.value.value,
        "low": interval.low,
        "high": interval.high,
        "unit": unit,
        "n": interval.count,
        "patients": None if interval.reason == UNKNOWN_PATIENTS else interval.groups,
    }
    return said | ({"reason": interval.reason} if interval.reason else {})


def ratio_of_sums(column: int) -> Statistic:
    """Return the share that one of two columns has in the sum of both."""

    def formula(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = weights @ values
        whole = sums.sum(axis=1)
        share: NDArray[np.float64] = sums[:, column] / np.where(whole == 0, np.nan, whole)
        return share

    return Statistic(formula, 2, "there is no error to share out")


class OfPatient(Protocol):
    """Anything that belongs to a case of a patient."""

    @property
    def case(self) -> str:
        """Name of the case, unique in the evaluation."""

    @property
    def patient(self) -> str | None:
        """Name of the patient; None where nobody says."""


Row = TypeVar("Row", bound=OfPatient)
Key = TypeVar("Key", bound=Hashable)
AnyRow = TypeVar("AnyRow")


class Better(StrEnum):
    """Which way a metric is better."""

    LARGER = "larger"
    SMALLER = "smaller"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class CaseMetric(Generic[Row]):
    """One metric over cases, named by its key in ``evaluation.json``; units are UCUM.

    ``values`` gives a row's values, one per column of the statistic; None where it has none. With
    ``is_share`` they are 0 or 1, and the metric is their share.
    """

    key: str
    unit: str
    statistic: Statistic
    values: Callable[[Row], Sequence[float] | None]
    better: Better = Better.NEITHER
    is_share: bool = False

    def over(self, rows: Sequence[Row], options: BootstrapOptions) -> Interval:
        """Return the metric over the rows that have values."""
        pairs = [(row.patient, v) for row in rows if (v := self.values(row)) is not None]
        patients = [patient for patient, _ in pairs]
        if self.is_share:
            return estimate_share([bool(v[0]) for _, v in pairs], patients, options)
        return estimate(self.statistic, [v for _, v in pairs], patients, options)


def share_metric(
    key: str, value: Callable[[Row], bool | None], better: Better = Better.NEITHER
) -> CaseMetric[Row]:
    """Return the share of rows, among those that say yes or no, that say yes."""
    return CaseMetric(key, SHARE_UNIT, MEAN, _single(value), better, is_share=True)


def value_metric(
    key: str,
    unit: str,
    value: Callable[[Row], float | None],
    better: Better = Better.NEITHER,
    statistic: Statistic = MEAN,
) -> CaseMetric[Row]:
    """Return the mean, or another statistic, of one value per row."""
    return CaseMetric(key, unit, statistic, _single(value), better)


def _single(value: Callable[[Row], float | None]) -> Callable[[Row], tuple[float] | None]:
    return lambda row: None if (one := value(row)) is None else (float(one),)


def absolute(value: Callable[[Row], float | None]) -> Callable[[Row], float | None]:
    """Return the value without its sign."""
    return lambda row: None if (one := value(row)) is None else abs(one)


def overlap_metrics(of: Callable[[Row], MaskAgreement]) -> tuple[CaseMetric[Row], ...]:
    """Return the means of what says how well two masks overlap."""
    return (
        value_metric("mean_dice", "1", lambda r: of(r).dice.value, Better.LARGER),
        value_metric("mean_jaccard", "1", lambda r: of(r).jaccard.value, Better.LARGER),
        value_metric(
            "mean_hausdorff95_mm", "mm", lambda r: of(r).hausdorff95_mm.value, Better.SMALLER
        ),
        value_metric(
            "mean_surface_distance_mm",
            "mm",
            lambda r: of(r).surface_distance_mm.value,
            Better.SMALLER,
        ),
    )


def group_by(rows: Iterable[AnyRow], key: Callable[[AnyRow], Key]) -> dict[Key, list[AnyRow]]:
    """Return key -> its rows, in the order of their first row."""
    groups: dict[Key, list[AnyRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def summarize(
    metrics: Sequence[CaseMetric[Row]], rows: Sequence[Row], options: BootstrapOptions
) -> dict[str, Any]:
    """Return key -> estimate of every metric, JSON-ready."""
    return {metric.key: number(metric.over(rows, options), metric.unit) for metric in metrics}


# --- two pairs of models on the same cases --------------------------------------------------------


def paired(
    models: Sequence[Sequence[Row]], key: Callable[[Row], Hashable], what: str
) -> list[tuple[Row, Row]]:
    """Return the rows that both models have.

    Raises:
        ModelError: There are none, as the models do not know the same levels or tissues.
    """
    first, second = models
    others = {key(row): row for row in second}
    pairs = [(row, other) for row in first if (other := others.get(key(row))) is not None]
    if first and not pairs:
        raise ModelError(
            f"expected models that have {what} in common, found none",
            hint="Two models can be compared where they do the same.",
        )
    return pairs


def compare(
    metrics: Sequence[CaseMetric[Row]],
    pairs: Sequence[tuple[Row, Row]],
    options: BootstrapOptions,
) -> dict[str, Any]:
    """Return key -> difference, first minus second, on the cases that both have values for.

    Only metrics that are better in one way are compared; ``better`` is as ``better_model`` says.
    """
    return {
        metric.key: _difference(metric, pairs, options)
        for metric in metrics
        if metric.better is not Better.NEITHER
    }


def _difference(
    metric: CaseMetric[Row], pairs: Sequence[tuple[Row, Row]], options: BootstrapOptions
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
    interval = estimate(difference_of(metric.statistic), table, patients, options)
    sides = (metric.statistic.of(side) for side in (table[:, :columns], table[:, columns:]))
    first_value, second_value = (v if np.isfinite(v) else None for v in sides)
    return {
        "models": first_value,
        "against": second_value,
        "difference": number(interval, metric.unit),
        "better": better_model(interval, metric.better),
    }


def better_model(difference: Interval, better: Better) -> str:
    """Return which model is better by the interval of first minus second.

    ``models`` or ``against``; ``undecided`` where the interval holds 0 or is missing.
    """
    low, high = difference.low, difference.high
    if low is None or high is None or low <= 0 <= high:
        return "undecided"
    return "models" if (low > 0) == (better is Better.LARGER) else "against"


def comparisons(section: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Return every comparison of one metric in a section, with where it stands.

    >>> comparisons({"L3": {"found": {"difference": {}, "better": "undecided"}}})[0][0]
    ('L3', 'found')
    """
    if not isinstance(section, Mapping):
        return []
    if "better" in section and "difference" in section:
        return [(path, section)]
    return [found for key, value in section.items() for found in comparisons(value, (*path, key))]
