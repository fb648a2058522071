"""Statistics of cases, as formulas that take many weightings of the cases at once.

A resample of patients is a weighting of the cases: how often each one was drawn. Every formula
gives what it would give for the cases repeated that often, for thousands of weightings in one pass.
``intervals.bootstrap`` applies them to many resamples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import UsageError

Floats = NDArray[np.float64]
Formula = Callable[[Floats, Floats], Floats]
"""(values (case, column), weights (weighting, case)) -> (weighting,), NaN where undefined."""

MIN_PAIRS: Final = 3
"""Fewer pairs always lie on a line, or have no spread."""

MIN_PATIENTS: Final = 10
"""With fewer, resamples vary too little for an interval; ``bootstrap`` says how well it holds."""

_BEYOND_QUANTILE: Final = 3
"""Patients that should lie beyond a quantile, or resamples know nothing of what is there."""

LIMITS_SD: Final = 1.96
"""Bland & Altman, Lancet 327 (1986): 95 % of normally distributed differences lie within."""

_NO_CASES: Final = "there are no cases"
_NO_SPREAD: Final = f"it needs {MIN_PAIRS} cases whose values differ"
_TOO_FEW: Final = f"it needs {MIN_PAIRS} cases"

_ROUNDING_OF_SUMS: Final = 1e-12
_ROUNDING_OF_VALUES: Final = 1e-14


@dataclass(frozen=True, slots=True)
class Statistic:
    """A number that summarizes cases.

    Attributes:
        undefined: Why it has no value where the formula gives NaN.
    """

    formula: Formula
    columns: int
    undefined: str
    min_patients: int = MIN_PATIENTS

    def of(self, values: NDArray[Any]) -> float:
        """Return the statistic of (case, column) or (case,) values; NaN where undefined."""
        table = as_table(values)
        return float(self.formula(table, np.ones((1, len(table))))[0])


def as_table(values: NDArray[Any]) -> Floats:
    """Return values as (case, column) numbers.

    Raises:
        UsageError: More than two axes, or NaN or infinity among them.
    """
    table = np.asarray(values, np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2:
        raise UsageError(f"expected values of (case, column), found shape {table.shape}")
    if not np.isfinite(table).all():
        raise UsageError(
            "expected finite values, found NaN or infinity",
            hint="Leave out cases without a value and say how many there were.",
        )
    return table


def quantile(level: float) -> Statistic:
    """Return a quantile of one column, interpolated linearly as NumPy does."""
    if not 0 < level < 1:
        raise UsageError(f"expected the level of a quantile between 0 and 1, found {level}")

    def formula(values: Floats, weights: Floats) -> Floats:
        order = np.argsort(values[:, 0], kind="stable")
        ascending = values[order, 0]
        if not ascending.size:
            return np.full(len(weights), np.nan)
        reached = np.cumsum(weights[:, order], axis=1)
        place = (reached[:, -1] - 1) * level
        below, above = (
            ascending[np.minimum((reached <= p[:, None]).sum(axis=1), ascending.size - 1)]
            for p in (np.floor(place), np.ceil(place))
        )
        between: Floats = below + (above - below) * (place - np.floor(place))
        return np.where(reached[:, -1] > 0, between, np.nan)

    patients = round(_BEYOND_QUANTILE / min(level, 1 - level))
    return Statistic(formula, 1, _NO_CASES, max(MIN_PATIENTS, patients))


def difference_of(statistic: Statistic) -> Statistic:
    """Return the first one's statistic minus the second one's, on the same cases.

    The columns are those of the first, then those of the second.
    """
    split = statistic.columns

    def formula(values: Floats, weights: Floats) -> Floats:
        first = statistic.formula(values[:, :split], weights)
        return first - statistic.formula(values[:, split:], weights)

    return Statistic(formula, 2 * split, statistic.undefined, statistic.min_patients)


def _mean(values: Floats, weights: Floats) -> Floats:
    total = weights.sum(axis=1)
    return _divide(weights @ values[:, 0], total)


def _sd(values: Floats, weights: Floats) -> Floats:
    """Return the standard deviation of one column, by n - 1."""
    centered = values[:, 0] - values[:, 0].mean() if len(values) else values[:, 0]
    total = weights.sum(axis=1)
    sums = weights @ np.stack([centered, centered**2], axis=1)
    mean = _divide(sums[:, 0], total)
    floor = _rounding(values, centered)
    squares = _without_rounding(sums[:, 1] - total * mean**2, floor)
    return np.where(total >= MIN_PAIRS, np.sqrt(_divide(squares, total - 1)), np.nan)


def _on_differences(formula: Formula) -> Formula:
    """Return the formula of found minus true."""
    return lambda values, weights: formula(values[:, :1] - values[:, 1:2], weights)


def _limit(sign: float) -> Formula:
    def formula(values: Floats, weights: Floats) -> Floats:
        return _mean(values, weights) + sign * LIMITS_SD * _sd(values, weights)

    return _on_differences(formula)


@dataclass(frozen=True, slots=True)
class _Moments:
    """Weighted moments of two columns; variances and covariance by n, not n - 1.

    A column without spread has variance 0, without the rounding of the sums.
    """

    total: Floats
    difference: Floats
    variance_x: Floats
    variance_y: Floats
    covariance: Floats

    @classmethod
    def of(cls, values: Floats, weights: Floats) -> _Moments:
        # Centred on the mean of all cases, the sums below lose no digits to it.
        center = values.mean(axis=0) if len(values) else np.zeros(2)
        centered = values - center
        x, y = centered.T
        total = weights.sum(axis=1)
        sums = weights @ np.stack([x, y, x * x, y * y, x * y], axis=1)
        mean_x, mean_y, xx, yy, xy = _divide(sums, total[:, None]).T
        return cls(
            total,
            mean_x - mean_y + center[0] - center[1],
            _without_rounding(xx - mean_x**2, _rounding(values[:, :1], centered[:, :1])),
            _without_rounding(yy - mean_y**2, _rounding(values[:, 1:], centered[:, 1:])),
            xy - mean_x * mean_y,
        )


def _pearson(values: Floats, weights: Floats) -> Floats:
    moments = _Moments.of(values, weights)
    spread = np.sqrt(moments.variance_x * moments.variance_y)
    return _clipped(_divide(moments.covariance, spread), moments.total)


def _lin(values: Floats, weights: Floats) -> Floats:
    moments = _Moments.of(values, weights)
    spread = moments.variance_x + moments.variance_y
    apart = _without_rounding(moments.difference**2, _rounding(values, np.zeros(1)))
    constant = (moments.variance_x == 0) | (moments.variance_y == 0)
    covariance = np.where(constant, 0.0, moments.covariance)
    return _clipped(_divide(2 * covariance, spread + apart), moments.total)


def _icc_2_1(values: Floats, weights: Floats) -> Floats:
    """Two-way analysis of variance: cases by columns (raters), each pair once."""
    raters = values.shape[1]
    centered = values - (values.mean() if values.size else 0)
    floor = _rounding(values, centered)
    cases = weights.sum(axis=1)
    case_means = centered.mean(axis=1)
    parts = np.stack([case_means, case_means**2, np.square(centered).sum(axis=1)], axis=1)
    grand, between, all_squares = _divide(weights @ parts, cases[:, None]).T
    rater_means = _divide(weights @ centered, cases[:, None])
    cases_ss = raters * _without_rounding(between - grand**2, floor)
    raters_ss = _without_rounding(((rater_means - grand[:, None]) ** 2).sum(axis=1), floor)
    rest_ss = _without_rounding(all_squares - raters * grand**2 - cases_ss - raters_ss, floor)
    # Mean squares, each by the number of cases, which cancels.
    freedom = cases - 1
    cases_ms, raters_ms = _divide(cases_ss, freedom), raters_ss / (raters - 1)
    rest_ms = _divide(rest_ss, freedom * (raters - 1))
    whole = cases_ms + (raters - 1) * rest_ms + raters * _divide(raters_ms - rest_ms, cases)
    return np.where(cases >= MIN_PAIRS, _divide(cases_ms - rest_ms, whole), np.nan)


def _clipped(correlation: Floats, cases: Floats) -> Floats:
    """Return a correlation without rounding beyond -1..1; NaN for too few cases."""
    return np.where(cases >= MIN_PAIRS, np.clip(correlation, -1, 1), np.nan)


def _rounding(values: Floats, centered: Floats) -> float:
    """Return the square below which a sum of squares of centred values is rounding."""
    of_sums = _ROUNDING_OF_SUMS * float(np.square(centered).max(initial=0))
    return of_sums + (_ROUNDING_OF_VALUES * float(np.abs(values).max(initial=0))) ** 2


def _without_rounding(square: Floats, floor: float) -> Floats:
    return np.where(square > floor, square, 0.0)


def _divide(part: Floats, whole: Floats) -> Floats:
    """Divide, NaN by zero."""
    quotient: Floats = part / np.where(whole == 0, np.nan, whole)
    return quotient


MEAN: Final = Statistic(_mean, 1, _NO_CASES)
MEDIAN: Final = quantile(0.5)

# Of pairs, whose columns are found and true:
BIAS: Final = Statistic(_on_differences(_mean), 2, _NO_CASES)
"""Mean of found minus true."""
DIFFERENCE_SD: Final = Statistic(_on_differences(_sd), 2, _TOO_FEW)
LOWER_LIMIT: Final = Statistic(_limit(-1), 2, _TOO_FEW)
UPPER_LIMIT: Final = Statistic(_limit(1), 2, _TOO_FEW)
"""Limits of agreement: bias -/+ 1.96 standard deviations of the differences."""
PEARSON: Final = Statistic(_pearson, 2, _NO_SPREAD)
LIN_CONCORDANCE: Final = Statistic(_lin, 2, _NO_SPREAD)
"""2 s_xy / (s_x^2 + s_y^2 + (mean_x - mean_y)^2), variances by n (Lin, Biometrics 45, 1989)."""
ICC_2_1: Final = Statistic(_icc_2_1, 2, _NO_SPREAD)
"""Two-way random effects, absolute agreement, single measure (Shrout & Fleiss, Psychol Bull 86,
1979, ICC(2,1)); its formula takes any number of columns from two on, one for each rater."""
