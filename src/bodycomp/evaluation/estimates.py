"""A number with its interval, as every section of an evaluation states it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.agreement.intervals import WILSON_LEVEL, Interval, bootstrap, wilson_interval
from bodycomp.agreement.statistics import MEAN, Statistic
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
