"""A person beside references, for people: words, and the curves that a picture shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any, Final

from bodycomp.reference.compare import strata_of, value_at
from bodycomp.reference.table import ReferenceTable, Stratum
from bodycomp.reference.words import about_words, outcome_words, quantity_words
from bodycomp.results import LevelResult, SeriesResult
from bodycomp.subject import Subject

DRAWN_PERCENTILES: Final = (5, 50, 95)
OPEN_END_YEARS: Final = 90.0
"""Where a line ends that has no upper age."""

Line = dict[str, Any]


def reference_views(result: SeriesResult, level: LevelResult) -> dict[str, Any]:
    """Return what references say of a level, ready for JSON.

    ``sources`` has title and provenance of each reference by its key. ``views`` has for each
    compared quantity ``title``, ``unit``, ``value``, ``age`` (years, None if unknown); ``said``,
    what each reference says in ``text``, or ``reason``; and ``curves`` of those that say
    something: ``reference``, ``percentile`` (None for a limit), ``points`` [age, value], ``low``
    and ``high``, the ends of a confidence interval at each point, empty without one.
    """
    compared = {found.reference for found in level.references}
    tables = {table.key: table for table in result.references if table.key in compared}
    return {
        "sources": {key: {"title": t.title, "about": about_words(t)} for key, t in tables.items()},
        "views": [
            _view(quantity, level, tables, result.subject)
            for quantity in dict.fromkeys(found.quantity for found in level.references)
        ],
    }


def _view(
    quantity: str, level: LevelResult, tables: Mapping[str, ReferenceTable], subject: Subject
) -> dict[str, Any]:
    outcomes = [found for found in level.references if found.quantity == quantity]
    said = [found for found in outcomes if not found.reason]
    title, unit = quantity_words(quantity)
    return {
        "title": title,
        "unit": unit,
        "value": outcomes[0].value,
        "age": subject.age_years,
        "said": [
            {
                "reference": found.reference,
                "text": outcome_words(found, tables[found.reference]),
                "reason": found.reason,
            }
            for found in outcomes
        ],
        "curves": [
            line
            for found in said
            for line in _curves(tables[found.reference], quantity, level.choice.level, subject)
        ],
    }


def _curves(table: ReferenceTable, quantity: str, level: str, subject: Subject) -> Iterator[Line]:
    """Yield the lines of a reference over all its ages, for this person's sex and BMI."""
    strata = strata_of(table, quantity, level, subject)
    if strata[0].limit is not None:
        yield _line(table, None, _steps(strata, None))
        return
    curve = strata[0].curve
    for percentile in DRAWN_PERCENTILES:
        z = NormalDist().inv_cdf(percentile / 100)
        if curve is None or len(curve.ages) == 1:
            yield _line(table, percentile, _steps(strata, z))
            continue
        # Splines with few knots are drawn well by two dozen points.
        at = sorted({*range(0, len(curve.ages), -(-len(curve.ages) // 24)), len(curve.ages) - 1})
        points = [[age, _short(value_at(strata[0], z, age))] for age in (curve.ages[n] for n in at)]
        low, high = (
            [_short(ends[str(percentile)][n]) for n in at] if str(percentile) in ends else []
            for ends in (curve.low, curve.high)
        )
        yield _line(table, percentile, points, low, high)


def _line(
    table: ReferenceTable,
    percentile: int | None,
    points: list[list[float]],
    low: Sequence[float] = (),
    high: Sequence[float] = (),
) -> Line:
    ends = {"low": list(low), "high": list(high)}
    return {"reference": table.key, "percentile": percentile, "points": points, **ends}


def _steps(strata: Sequence[Stratum], z: float | None) -> list[list[float]]:
    """Return a line that is level within each stratum of age."""
    return [
        [age, _short(each.limit if each.limit is not None else value_at(each, z or 0.0, None))]
        for each in strata
        for age in (each.age_from or 0.0, each.age_below or OPEN_END_YEARS)
    ]


def _short(value: float) -> float:
    return round(value, 1)
