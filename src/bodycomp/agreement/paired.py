"""Agreement of two measurements of the same cases: found and true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bodycomp.agreement.statistics import (
    BIAS,
    DIFFERENCE_SD,
    ICC_2_1,
    LIMITS_SD,
    LIN_CONCORDANCE,
    LOWER_LIMIT,
    MIN_PAIRS,
    PEARSON,
    UPPER_LIMIT,
    Statistic,
    as_table,
)
from bodycomp.errors import UsageError
from bodycomp.results import Quantity

Values = Sequence[float] | NDArray[np.floating]

_LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Bias and limits of agreement (Bland & Altman, Lancet 327, 1986; SMMR 8, 1999).

    Attributes:
        count: Pairs.
        bias: Mean of found minus true.
        sd: Standard deviation of the differences, by n - 1.
        lower_limit, upper_limit: Bias -/+ 1.96 sd.
        bias_interval, lower_interval, upper_interval: 95 % confidence intervals for independent,
            normally distributed differences; None where the value is undefined. For several cases
            of a patient they are too narrow: use ``bootstrap`` then.
    """

    count: int
    bias: Quantity
    sd: Quantity
    lower_limit: Quantity
    upper_limit: Quantity
    bias_interval: tuple[float, float] | None = None
    lower_interval: tuple[float, float] | None = None
    upper_interval: tuple[float, float] | None = None


def bland_altman(found: Values, true: Values) -> BlandAltman:
    """Return bias and limits of agreement; undefined for fewer than three pairs.

    Raises:
        UsageError: As for ``pairs``.
    """
    table = pairs(found, true)
    count = len(table)
    if count < MIN_PAIRS:
        nothing = _too_few(count)
        return BlandAltman(count, nothing, nothing, nothing, nothing)
    bias, sd, low, high = (
        statistic.of(table) for statistic in (BIAS, DIFFERENCE_SD, LOWER_LIMIT, UPPER_LIMIT)
    )
    student = float(stats.t.ppf((1 + _LEVEL) / 2, count - 1))
    of_bias = student * sd / sqrt(count)
    # Variances of mean and standard deviation are added (Bland & Altman 1999, section 2).
    of_limit = student * sd * sqrt(1 / count + LIMITS_SD**2 / (2 * (count - 1)))
    return BlandAltman(
        count,
        bias=Quantity(bias),
        sd=Quantity(sd),
        lower_limit=Quantity(low),
        upper_limit=Quantity(high),
        bias_interval=(bias - of_bias, bias + of_bias),
        lower_interval=(low - of_limit, low + of_limit),
        upper_interval=(high - of_limit, high + of_limit),
    )


def pearson(found: Values, true: Values) -> Quantity:
    """Return Pearson's correlation; undefined for fewer than three pairs or a constant series.

    Raises:
        UsageError: As for ``pairs``.

    >>> pearson([1, 2, 4], [2, 4, 8]).value
    1.0
    """
    return _quantity(PEARSON, found, true)


def lin_concordance(found: Values, true: Values) -> Quantity:
    """Return Lin's concordance correlation coefficient (Biometrics 45, 1989).

    Undefined for fewer than three pairs, or where all values are one and the same. Where only one
    of both is constant it is 0.

    Raises:
        UsageError: As for ``pairs``.
    """
    return _quantity(LIN_CONCORDANCE, found, true)


def icc_2_1(found: Values, true: Values) -> Quantity:
    """Return ICC(2,1): two-way random, absolute agreement, single measure.

    Shrout & Fleiss, Psychological Bulletin 86 (1979); McGraw & Wong (1996) call it ICC(A,1). It may
    be negative. Undefined for fewer than three pairs, or where all values are one and the same.

    Raises:
        UsageError: As for ``pairs``.
    """
    return _quantity(ICC_2_1, found, true)


def pairs(found: Values, true: Values) -> NDArray[np.float64]:
    """Return (case, 2): found and true.

    Raises:
        UsageError: Different numbers of values, or NaN or infinity among them.
    """
    if len(found) != len(true):
        raise UsageError(f"expected as many values as truths, found {len(found)} and {len(true)}")
    return as_table(np.stack([np.asarray(found, np.float64), np.asarray(true, np.float64)], axis=1))


def _quantity(statistic: Statistic, found: Values, true: Values) -> Quantity:
    table = pairs(found, true)
    if len(table) < MIN_PAIRS:
        return _too_few(len(table))
    value = statistic.of(table)
    return Quantity(value) if np.isfinite(value) else Quantity(None, statistic.undefined)


def _too_few(count: int) -> Quantity:
    return Quantity(None, f"it needs {MIN_PAIRS} cases, there are {count}")
