"""A number with its interval, as every section of an evaluation states it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.agreement.intervals import WILSON_LEVEL, Interval, bootstrap, wilson_interval
from bodycomp.agreement.statistics import MEAN, Statistic
from bodycomp.errors import UsageError
from bodycomp.results import Quantity

SHARE_UNIT: Final = "1"


@dataclass(frozen=True, slots=True)
class BootstrapOptions:
    """How intervals are made.

    Attributes:
        resamples: How many times patients are drawn.
        seed: Of the draw.
        level: Confidence.

    Raises:
        UsageError: Out of range.
    """

    resamples: int = 2000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 100:
            raise UsageError(
                f"expected at least 100 resamples, found {self.resamples}",
                hint="--bootstrap 2000 is usual; fewer give intervals that change with the seed.",
            )
        if self.seed < 0:
            raise UsageError(f"expected a seed of 0 or more, found {self.seed}")


@dataclass(frozen=True, slots=True)
class Estimate:
    """One number.

    Attributes:
        value: None where it is undefined.
        low, high: Ends of the interval; None where there is none.
        unit: UCUM; ``1`` for shares and coefficients.
        cases, patients: What it is made of; patients None where nobody says whose the cases are.
        reason: Why value or interval are missing; empty if both are there.
    """

    value: float | None
    low: float | None
    high: float | None
    unit: str
    cases: int
    patients: int | None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what ``evaluation.json`` says of it."""
        numbers = {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "unit": self.unit,
            "n": self.cases,
            "patients": self.patients,
        }
        return numbers | ({"reason": self.reason} if self.reason else {})


Patients = Sequence[str | None]
"""Whose each case is; None where nobody says."""

UNKNOWN_PATIENTS: Final = "an interval needs to know which patients the cases are from"


def estimate(
    statistic: Statistic,
    values: Sequence[Sequence[float]],
    patients: Patients,
    unit: str,
    options: BootstrapOptions,
) -> Estimate:
    """Return a statistic of (case, column) values with its interval over patients."""
    table = np.asarray(values, np.float64).reshape(len(values), statistic.columns)
    return of_interval(interval_of(statistic, table, patients, options), unit)


def interval_of(
    statistic: Statistic,
    table: NDArray[np.float64],
    patients: Patients,
    options: BootstrapOptions,
) -> Interval:
    """Return the bootstrap's interval; none where a case's patient is not known.

    ``groups`` is then 0.
    """
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


def estimate_share(hits: Sequence[bool], patients: Patients, options: BootstrapOptions) -> Estimate:
    """Return a share with its interval.

    The interval is Wilson's, which holds for shares of 0 and 1 and for few cases. It takes cases
    as independent; where a patient has several, and at other confidences than 95 %, patients are
    drawn instead.
    """
    count = len(set(patients))
    if None in patients or count < len(hits) or options.level != WILSON_LEVEL:
        values = [(float(hit),) for hit in hits]
        return estimate(MEAN, values, patients, SHARE_UNIT, options)
    return of_interval(wilson_interval(sum(hits), len(hits)), SHARE_UNIT)


def of_interval(interval: Interval, unit: str) -> Estimate:
    """Return an interval as an estimate."""
    return Estimate(
        interval.value.value,
        interval.low,
        interval.high,
        unit,
        interval.count,
        None if interval.reason == UNKNOWN_PATIENTS else interval.groups,
        interval.reason,
    )


def ratio_of_sums(column: int) -> Statistic:
    """Return the share that one of two columns has in the sum of both."""

    def formula(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = weights @ values
        whole = sums.sum(axis=1)
        share: NDArray[np.float64] = sums[:, column] / np.where(whole == 0, np.nan, whole)
        return share

    return Statistic(formula, 2, "there is no error to share out")
