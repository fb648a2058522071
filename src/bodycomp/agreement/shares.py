"""Shares of cases with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final

from scipy.special import ndtri

from bodycomp.errors import UsageError
from bodycomp.results import Quantity

_LEVEL: Final = 0.95


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
        return Share(Quantity(None, "there are no cases"), None, None, count, of)
    z = float(ndtri((1 + _LEVEL) / 2))
    part = count / of
    middle = (part + z**2 / (2 * of)) / (1 + z**2 / of)
    half = z / (1 + z**2 / of) * sqrt(part * (1 - part) / of + z**2 / (4 * of**2))
    # Its ends are 0 and 1 exactly for shares of 0 and 1, but for rounding.
    low = 0.0 if count == 0 else middle - half
    high = 1.0 if count == of else middle + half
    return Share(Quantity(part), low, high, count, of)
