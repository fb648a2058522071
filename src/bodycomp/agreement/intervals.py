"""Confidence intervals by resampling whole patients, and of shares.

Cases of one patient resemble one another. Intervals that took them for independent would be too
narrow, so patients are drawn with all of their cases (Davison & Hinkley, Bootstrap Methods and
their Application, 1997, section 3.8).

Intervals are bias-corrected and accelerated (BCa; Efron, JASA 82, 1987): overlaps near 1, absolute
errors and correlations have skewed distributions, of which percentile intervals miss one tail. For
few patients they are widened as Student's t widens a normal interval (Hesterberg, American
Statistician 69, 2015, "expanded" intervals), because resamples vary less than samples do.

How often 95 % intervals held the truth, in 600 simulated sets of skewed, clustered cases each:

    patients                      10     20     50
    mean overlap near 1          0.91   0.91   0.94
    median absolute error        0.95   0.95   0.95
    Lin's concordance, ICC       0.94   0.95   0.96
    limit of agreement           0.86   0.91   0.94
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from bodycomp.agreement.statistics import Floats, Statistic, as_table
from bodycomp.errors import UsageError
from bodycomp.results import Quantity

MIN_DEFINED: Final = 0.95
"""Share of the resamples in which the statistic must be defined."""

WILSON_LEVEL: Final = 0.95
"""Confidence of the intervals of shares."""

_CELLS_AT_ONCE: Final = 2_000_000
"""Weights in memory at once; 16 MB."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic with its confidence interval.

    Attributes:
        low, high: Ends of the interval; None where it is undefined.
        groups: Patients.
        reason: Why there is no interval; empty if there is one.
    """

    value: Quantity
    low: float | None
    high: float | None
    count: int
    groups: int
    reason: str = ""


def bootstrap(
    statistic: Statistic,
    values: NDArray[Any],
    groups: Sequence[str] | NDArray[Any],
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Return a statistic with its confidence interval over patients.

    Args:
        statistic: One of ``statistics``.
        values: (case, column) or (case,), finite.
        groups: (case,) which patient each case belongs to.
        resamples: How many times as many patients as there are, are drawn.
        seed: The same seed gives the same interval.
        level: Confidence, between 0 and 1.

    Raises:
        UsageError: Values that are not finite or not as many as groups; too few columns; options
            out of range.
    """
    table = as_table(values)
    _check(statistic, table, groups, resamples, level)
    _, patient = np.unique(np.asarray(groups), return_inverse=True)
    count, patients = len(table), int(patient.max(initial=-1)) + 1
    value = statistic.of(table)
    if not np.isfinite(value):
        return Interval(
            Quantity(None, statistic.undefined), None, None, count, patients, statistic.undefined
        )
    if patients < statistic.min_patients:
        reason = f"an interval needs {statistic.min_patients} patients, there are {patients}"
        return Interval(Quantity(value), None, None, count, patients, reason)
    drawn = _drawn(statistic, table, patient, (resamples, seed))
    without = _without_each(statistic, table, patient)
    reason, low, high = _bca(value, drawn, without, _tail(level, patients))
    return Interval(Quantity(value), low, high, count, patients, reason)


def wilson_interval(hits: int, cases: int) -> Interval:
    """Return the share of hits with its 95 % interval after Wilson (JASA 22, 1927).

    It holds for few cases and for shares of 0 and 1; cases count as independent.

    >>> wilson_interval(9, 10).value.value
    0.9
    """
    if not 0 <= hits <= cases:
        raise UsageError(f"expected a count within 0..{cases}, found {hits}")
    if cases == 0:
        reason = "there are no cases"
        return Interval(Quantity(None, reason), None, None, 0, 0, reason)
    z = float(ndtri((1 + WILSON_LEVEL) / 2))
    share = hits / cases
    middle = (share + z**2 / (2 * cases)) / (1 + z**2 / cases)
    half = z / (1 + z**2 / cases) * sqrt(share * (1 - share) / cases + z**2 / (4 * cases**2))
    # Its ends are 0 and 1 exactly for shares of 0 and 1, but for rounding.
    low = 0.0 if hits == 0 else middle - half
    high = 1.0 if hits == cases else middle + half
    return Interval(Quantity(share), low, high, cases, cases)


def _drawn(
    statistic: Statistic, table: Floats, patient: NDArray[np.intp], draw: tuple[int, int]
) -> Floats:
    """Return the statistic of every resample of patients."""
    resamples, seed = draw
    generator = np.random.default_rng(seed)
    patients = int(patient.max()) + 1
    values = []
    for chunk in _chunks(resamples, max(patients, len(table))):
        chosen = generator.integers(0, patients, (len(chunk), patients))
        places = chosen + patients * np.arange(len(chunk))[:, None]
        times = np.bincount(places.ravel(), minlength=len(chunk) * patients)
        weights = times.reshape(len(chunk), patients).astype(np.float64)[:, patient]
        values.append(statistic.formula(table, weights))
    return np.concatenate(values)


def _without_each(statistic: Statistic, table: Floats, patient: NDArray[np.intp]) -> Floats:
    """Return the statistic without each patient in turn."""
    values = []
    for chunk in _chunks(int(patient.max()) + 1, len(table)):
        weights = (patient[None, :] != np.asarray(chunk)[:, None]).astype(np.float64)
        values.append(statistic.formula(table, weights))
    return np.concatenate(values)


def _chunks(rows: int, columns: int) -> Iterator[range]:
    step = max(1, _CELLS_AT_ONCE // columns)
    for start in range(0, rows, step):
        yield range(start, min(start + step, rows))


def _bca(
    value: float, drawn: Floats, without: Floats, tail: float
) -> tuple[str, float | None, float | None]:
    """Return why there is no interval (empty if there is one) and its ends."""
    defined = drawn[np.isfinite(drawn)]
    if defined.size < MIN_DEFINED * drawn.size or not np.isfinite(without).all():
        return "it is undefined in too many resamples: too few cases have it", None, None
    if np.ptp(defined) == 0:
        return "", float(defined[0]), float(defined[0])
    below = (np.mean(defined < value) + np.mean(defined <= value)) / 2
    if not 0 < below < 1:
        return "all resamples lie on one side of the value", None, None
    bias = ndtri(below)
    apart = without.mean() - without
    spread = float(np.square(apart).sum()) ** 1.5
    acceleration = float((apart**3).sum()) / (6 * spread) if spread > 0 else 0.0
    ends = bias + ndtri(np.array([tail, 1 - tail]))
    shares = ndtr(bias + ends / (1 - acceleration * ends))
    low, high = np.percentile(defined, 100 * shares)
    return "", float(low), float(high)


def _tail(level: float, patients: int) -> float:
    """Return the share of resamples beyond each end, smaller for few patients."""
    student = stdtrit(patients - 1, (1 + level) / 2)
    return float(ndtr(-student * sqrt(patients / (patients - 1))))


def _check(
    statistic: Statistic,
    table: Floats,
    groups: Sequence[str] | NDArray[Any],
    resamples: int,
    level: float,
) -> None:
    if len(groups) != len(table):
        raise UsageError(f"expected the patient of {len(table)} cases, found {len(groups)}")
    if table.shape[1] < statistic.columns:
        raise UsageError(f"expected {statistic.columns} columns, found {table.shape[1]}")
    if resamples < 100 or not 0 < level < 1:
        raise UsageError(
            "expected at least 100 resamples and a level between 0 and 1, found "
            f"{resamples} and {level}"
        )
