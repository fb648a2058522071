"""Summaries of signed errors in mm, and of findings that were made, missed or made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from bodycomp.agreement.statistics import as_table
from bodycomp.errors import UsageError
from bodycomp.results import Quantity

WITHIN_MM: Final = (5.0, 10.0)
_LEVEL: Final = 0.95
_NO_CASES: Final = "there are no cases"


@dataclass(frozen=True, slots=True)
class Share:
    """A share of cases, 0..1.

    Attributes:
        value: The share; undefined of no cases.
        low, high: Its 95 % interval after Wilson (JASA 22, 1927), which holds for few cases and
            for shares of 0 and 1; None of no cases. Cases count as independent.
        count: Cases that have the property.
        of: All cases.
    """

    value: Quantity
    low: float | None
    high: float | None
    count: int
    of: int


@dataclass(frozen=True, slots=True)
class ErrorSummary:
    """Signed errors summarised; every quantity is undefined without cases.

    Attributes:
        count: Cases.
        mean, median: Of the errors with their sign.
        mean_absolute, median_absolute, p90_absolute: Of their absolute values; p90 is the 90th
            percentile, interpolated linearly.
        share_within: Limit -> share of the errors whose absolute value is at most the limit.
    """

    count: int
    mean: Quantity
    median: Quantity
    mean_absolute: Quantity
    median_absolute: Quantity
    p90_absolute: Quantity
    share_within: Mapping[float, Share]


@dataclass(frozen=True, slots=True)
class FindingSummary:
    """How often something is found where it is, and where it is not.

    Attributes:
        found: Of the cases that have it.
        false_findings: Of the cases that do not have it.
    """

    found: Share
    false_findings: Share


def summarise_errors(
    errors_mm: Sequence[float] | NDArray[Any], limits_mm: Sequence[float] = WITHIN_MM
) -> ErrorSummary:
    """Summarise signed errors.

    Raises:
        UsageError: NaN or infinity among the errors.

    >>> summarise_errors([-4.0, 1.0, 12.0]).median_absolute.value
    4.0
    """
    errors = as_table(np.asarray(errors_mm, np.float64).reshape(-1))[:, 0]
    absolute = np.abs(errors)
    shares = {limit: share(int((absolute <= limit).sum()), errors.size) for limit in limits_mm}
    if not errors.size:
        nothing = Quantity(None, _NO_CASES)
        return ErrorSummary(0, nothing, nothing, nothing, nothing, nothing, shares)
    return ErrorSummary(
        int(errors.size),
        Quantity(float(errors.mean())),
        Quantity(float(np.median(errors))),
        Quantity(float(absolute.mean())),
        Quantity(float(np.median(absolute))),
        Quantity(float(np.percentile(absolute, 90))),
        shares,
    )


def summarise_findings(
    found: Sequence[bool] | NDArray[np.bool_], present: Sequence[bool] | NDArray[np.bool_]
) -> FindingSummary:
    """Count findings where there is something to find and where there is not.

    Raises:
        UsageError: Different numbers of both.
    """
    made, real = np.asarray(found, np.bool_), np.asarray(present, np.bool_)
    if made.shape != real.shape:
        raise UsageError(f"expected as many findings as truths, found {made.size} and {real.size}")
    return FindingSummary(
        share(int((made & real).sum()), int(real.sum())),
        share(int((made & ~real).sum()), int((~real).sum())),
    )


def share(count: int, of: int) -> Share:
    """Return a share with its interval.

    Raises:
        UsageError: Not 0 <= count <= of.

    >>> share(9, 10).value.value
    0.9
    """
    if not 0 <= count <= of:
        raise UsageError(f"expected a count within 0..{of}, found {count}")
    if of == 0:
        return Share(Quantity(None, _NO_CASES), None, None, count, of)
    z = float(ndtri((1 + _LEVEL) / 2))
    part = count / of
    middle = (part + z**2 / (2 * of)) / (1 + z**2 / of)
    half = z / (1 + z**2 / of) * sqrt(part * (1 - part) / of + z**2 / (4 * of**2))
    # Its ends are 0 and 1 exactly for shares of 0 and 1, but for rounding.
    low = 0.0 if count == 0 else middle - half
    high = 1.0 if count == of else middle + half
    return Share(Quantity(part), low, high, count, of)
