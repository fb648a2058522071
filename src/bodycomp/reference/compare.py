"""A person's value beside a reference: z-score and percentile, or below its limit, or why not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from bodycomp.reference.table import (
    AGENT,
    NO_AGENT,
    Curve,
    ReferenceTable,
    Stratum,
    is_attenuation,
)
from bodycomp.subject import Subject

_NORMAL: Final = NormalDist()
_SEX: Final = {"F": "women", "M": "men"}


@dataclass(frozen=True, slots=True)
class ReferenceOutcome:
    """One value beside one reference.

    Attributes:
        reference: Key of the reference.
        quantity: Column of the value.
        value: The value; None if it was not measured.
        below: Whether it is below the limit; None without one.
        limit: The limit for this person.
        z_score, percentile: Where it lies in the distribution, percentiles 0..100; None without.
        reason: Why nothing is said; empty otherwise.
    """

    reference: str
    quantity: str
    value: float | None = None
    below: bool | None = None
    limit: float | None = None
    z_score: float | None = None
    percentile: float | None = None
    reason: str = ""


def compare_all(
    tables: Iterable[ReferenceTable],
    level: str,
    values: Mapping[str, float | None],
    subject: Subject,
    *,
    has_agent: bool,
) -> tuple[ReferenceOutcome, ...]:
    """Return each value beside every reference that has its quantity at some level.

    Args:
        tables: References; none of them is preferred.
        level: Where the values were measured.
        values: Column -> value, None if it was not measured; other columns are not compared.
        subject: Whose they are.
        has_agent: Whether the scan shows signs of contrast agent.
    """
    return tuple(
        _outcome(table, quantity, level, values[quantity], subject, has_agent=has_agent)
        for table in tables
        for quantity in table.quantities
        if quantity in values
    )


def _outcome(
    table: ReferenceTable,
    quantity: str,
    level: str,
    value: float | None,
    subject: Subject,
    *,
    has_agent: bool,
) -> ReferenceOutcome:
    found = stratum_of(table, quantity, level, subject, has_agent=has_agent)
    if isinstance(found, str) or value is None:
        reason = found if isinstance(found, str) else "it was not measured"
        return ReferenceOutcome(table.key, quantity, value, reason=reason)
    if found.limit is not None:
        below = value < found.limit
        return ReferenceOutcome(table.key, quantity, value, below=below, limit=found.limit)
    z = z_score(found, value, subject.age_years)
    return ReferenceOutcome(table.key, quantity, value, z_score=z, percentile=100 * _NORMAL.cdf(z))


def stratum_of(
    table: ReferenceTable, quantity: str, level: str, subject: Subject, *, has_agent: bool
) -> Stratum | str:
    """Return what a reference has for this person at this level, or why it has nothing."""
    reason = _contrast_reason(table, has_agent=has_agent) if is_attenuation(quantity) else ""
    if reason:
        return reason
    left = [each for each in table.strata if each.quantity == quantity]
    for narrow in (_by_level(level), _by_sex(subject), _by_age(subject), _by_bmi(subject)):
        narrowed = narrow(left)
        if isinstance(narrowed, str):
            return narrowed
        left = narrowed
    return left[0]


def strata_of(
    table: ReferenceTable, quantity: str, level: str, subject: Subject
) -> tuple[Stratum, ...]:
    """Return what a reference has at a level for this person's sex and BMI, at all its ages."""
    left = [each for each in table.strata if each.quantity == quantity]
    for narrow in (_by_level(level), _by_sex(subject), _by_bmi(subject)):
        narrowed = narrow(left)
        left = [] if isinstance(narrowed, str) else narrowed
    return tuple(left)


def _contrast_reason(table: ReferenceTable, *, has_agent: bool) -> str:
    if not table.contrast:
        return "attenuation depends on contrast agent, which the reference does not state"
    if table.contrast == NO_AGENT and has_agent:
        return "the reference is of scans without contrast agent"
    if table.contrast == AGENT and not has_agent:
        return "the reference is of scans with contrast agent"
    return ""


Narrow = Callable[[list[Stratum]], list[Stratum] | str]


def _by_level(level: str) -> Narrow:
    def narrow(strata: list[Stratum]) -> list[Stratum] | str:
        there = ", ".join(dict.fromkeys(each.level for each in strata))
        found = [each for each in strata if each.level == level]
        return found or f"the reference has {there}, not {level}"

    return narrow


def _by_sex(subject: Subject) -> Narrow:
    def narrow(strata: list[Stratum]) -> list[Stratum] | str:
        if not subject.sex and all(each.sex for each in strata):
            return "the reference depends on sex, which is not known"
        found = [each for each in strata if each.sex in ("", subject.sex)]
        there = " and ".join(dict.fromkeys(_SEX[each.sex] for each in strata if each.sex))
        return found or f"the reference has {there} only"

    return narrow


def _by_age(subject: Subject) -> Narrow:
    def narrow(strata: list[Stratum]) -> list[Stratum] | str:
        bounds = [(each.age_from, each.age_below) for each in strata]
        return _within(strata, bounds, subject.age_years, "age", "years")

    return narrow


def _by_bmi(subject: Subject) -> Narrow:
    def narrow(strata: list[Stratum]) -> list[Stratum] | str:
        bounds = [(each.bmi_from, each.bmi_below) for each in strata]
        name = "body mass index (height and weight)"
        return _within(strata, bounds, subject.bmi_kg_m2, name, "kg/m2")

    return narrow


def _within(
    strata: list[Stratum],
    bounds: Sequence[tuple[float | None, float | None]],
    value: float | None,
    name: str,
    unit: str,
) -> list[Stratum] | str:
    """Return the strata whose bounds hold the value, or why there are none."""
    if all(pair == (None, None) for pair in bounds):
        return strata
    if value is None:
        return f"the reference depends on {name}, which is not known"
    found = [
        each
        for each, (low, high) in zip(strata, bounds, strict=True)
        if (low is None or value >= low) and (high is None or value < high)
    ]
    lows, highs = zip(*bounds, strict=True)
    known = [[end for end in ends if end is not None] for ends in (lows, highs)]
    low, high = (len(ends) == len(strata) for ends in known)
    start = f"{min(known[0]):g}{' to' if high else ' and more'}" if low else ""
    end = f"below {max(known[1]):g}" if high else ""
    who = " ".join(filter(None, (start, end)))
    too_low = all(low is not None and value < low for low, _ in bounds)
    too_high = all(high is not None and value >= high for _, high in bounds)
    if not (found or too_low or too_high):
        return f"the reference has no people of {value:.3g} {unit}"
    return found or f"the reference is of people of {who} {unit}, not of {value:.3g}"


def z_score(stratum: Stratum, value: float, age_years: float | None) -> float:
    """Return how many SD a value lies above the median, after the stratum's transform.

    >>> z_score(Stratum("q", "L3", mean=48.0, sd=7.2), 40.8, None)
    -1.0000000000000004
    """
    if stratum.mean is not None and stratum.sd is not None:
        return (value - stratum.mean) / stratum.sd
    power, median, spread, shift = _lms(stratum, age_years)
    ratio = max(value + shift, 1e-6 * median) / median
    if abs(power) < 1e-6:
        return math.log(ratio) / spread
    return float((ratio**power - 1) / (power * spread))


def value_at(stratum: Stratum, z: float, age_years: float | None) -> float:
    """Return the value at a z-score; the opposite of ``z_score``.

    >>> value_at(Stratum("q", "L3", mean=48.0, sd=7.2), -1.0, None)
    40.8
    """
    if stratum.mean is not None and stratum.sd is not None:
        return stratum.mean + z * stratum.sd
    power, median, spread, shift = _lms(stratum, age_years)
    if abs(power) < 1e-6:
        return median * math.exp(spread * z) - shift
    return float(median * max(1 + power * spread * z, 1e-9) ** (1 / power) - shift)


def _lms(stratum: Stratum, age_years: float | None) -> tuple[float, float, float, float]:
    curve: Curve | None = stratum.curve
    if curve is None:
        raise ValueError(f"expected a distribution of {stratum.quantity}, found a limit")
    age = curve.ages[0] if age_years is None else age_years
    power, median, spread = (
        float(np.interp(age, curve.ages, row)) for row in (curve.l, curve.m, curve.s)
    )
    return power, median, spread, curve.shift
