"""A table of people -> a reference of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp import __version__
from bodycomp.errors import OutputError, UsageError
from bodycomp.reference.lms import fit_lms
from bodycomp.reference.options import AGE, DEFAULT_QUANTITIES, SEX, FitOptions
from bodycomp.reference.table import (
    AGENT,
    NO_AGENT,
    ReferenceTable,
    Stratum,
    is_attenuation,
    write_reference,
)
from bodycomp.subject import AGE_YEARS, SEXES
from bodycomp.user_table import UserTable, read_user_table

_AGE_COLUMN: Final = "age_years"
_FLAGS: Final = "quality_flags"
_AGENT_FLAG: Final = "contrast_agent"
_WHO: Final = ("patient_id", "study")
_SHIFT_HU: Final = 100.0
"""Added to HU, which may be 0 and less."""

_EDGE: Final = 10
"""People younger than where a curve begins, and older than where it ends."""


@dataclass(frozen=True, slots=True)
class Person:
    """One row of the table; identifies nobody."""

    level: str
    sex: str
    age_years: float | None
    flags: frozenset[str]
    values: Mapping[str, float] = field(repr=False)


@dataclass(frozen=True, slots=True)
class FittedReference:
    """What was fitted.

    Attributes:
        table: The reference.
        left_out: What has no curve, and why.
        notes: What was left out of the table, and what was taken in although it is flagged.
    """

    table: ReferenceTable
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def fit_reference(options: FitOptions) -> FittedReference:
    """Fit every quantity at every level, by sex and age, and write the reference.

    Raises:
        InputNotFoundError: The table is not there.
        OutputError: The file is there and may not be replaced.
        UsageError: The table lacks columns, a cell cannot be right, or no group is large enough.
    """
    if options.out.exists() and not options.overwrite:
        raise OutputError(
            f"{options.out} is there already", hint="Give --overwrite, or name another file."
        )
    table = read_user_table(options.cohort, "people", UsageError)
    quantities = _quantities(table, options)
    people, notes = _people(table, quantities, options)
    strata: list[Stratum] = []
    left_out: list[str] = []
    for level in dict.fromkeys(person.level for person in people):
        for sex in SEXES if SEX in options.by else ("",):
            there = [p for p in people if p.level == level and sex in ("", p.sex)]
            for quantity in quantities:
                found = _stratum(quantity, level, sex, there, options)
                if isinstance(found, Stratum):
                    strata.append(found)
                else:
                    left_out.append(found)
    if not strata:
        raise UsageError(
            f"expected at least {options.min_n} people in a group, found {'; '.join(left_out)}",
            hint="Fit without --by sex, or with a smaller --min-n.",
        )
    reference = _reference(tuple(strata), people, table, options)
    write_reference(options.out, reference)
    return FittedReference(reference, tuple(left_out), notes)


def _quantities(table: UserTable, options: FitOptions) -> tuple[str, ...]:
    needed = [SEX] if SEX in options.by else []
    needed += [_AGE_COLUMN] if AGE in options.by else []
    needed += [] if options.level else ["level"]
    missing = [name for name in (*needed, *options.quantities) if name not in table.columns]
    found = options.quantities or [q for q in DEFAULT_QUANTITIES if q in table.columns]
    if options.contrast is None and _FLAGS not in table.columns:
        named = [q for q in options.quantities if is_attenuation(q)]
        if named:
            raise UsageError(
                f"{options.cohort.name}: expected a column {_FLAGS}, which says which scans show "
                f"contrast agent, to fit {', '.join(named)}",
                hint="Say with --contrast whether all scans are without or with contrast agent.",
            )
        found = [q for q in found if not is_attenuation(q)]
    if missing or not found:
        raise UsageError(
            f"{options.cohort.name}: expected columns "
            f"{', '.join(missing or DEFAULT_QUANTITIES)}, found {', '.join(table.columns)}",
            hint="results.csv of bodycomp analyze has them; --level says the level of all rows.",
        )
    return tuple(found)


def _people(
    table: UserTable, quantities: Sequence[str], options: FitOptions
) -> tuple[list[Person], tuple[str, ...]]:
    """Return one row for each person and level, and what was left out."""
    seen: set[tuple[str, str]] = set()
    people: list[Person] = []
    dropped: Counter[str] = Counter()
    who = next((name for name in _WHO if name in table.columns), None)
    for row in table.rows:
        cells, at = row.cells, f"{options.cohort.name} line {row.line}"
        level = options.level or cells["level"]
        if cells.get("status", "found") != "found":
            dropped["rows without a measured level"] += 1
            continue
        if who is not None and cells[who] and (cells[who], level) in seen:
            dropped[f"further rows of one {who} at one level"] += 1
            continue
        sex, age = cells.get(SEX, "").upper(), _number(cells, _AGE_COLUMN, at)
        if (SEX in options.by and sex not in SEXES) or (AGE in options.by and age is None):
            dropped["rows without sex or age"] += 1
            continue
        if age is not None and not AGE_YEARS[0] <= age <= AGE_YEARS[1]:
            low, high = AGE_YEARS
            raise UsageError(
                f"{at}, column {_AGE_COLUMN}: expected {low:g}..{high:g}, found {age:g}"
            )
        if who is not None:
            seen.add((cells[who], level))
        stated = _AGENT_FLAG if options.contrast == AGENT else ""
        flags = frozenset(f.strip() for f in cells.get(_FLAGS, stated).split(";")) - {""}
        numbers = {name: _number(cells, name, at) for name in quantities}
        values = {name: value for name, value in numbers.items() if value is not None}
        people.append(Person(level, sex, age, flags, values))
    flagged = sum(bool(person.flags - {_AGENT_FLAG, "model_caution"}) for person in people)
    notes = [f"left out: {count} {what}" for what, count in dropped.items()]
    notes += [f"{flagged} of {len(people)} rows have quality flags"] if flagged else []
    return people, tuple(notes)


def _number(cells: Mapping[str, str], column: str, at: str) -> float | None:
    cell = cells.get(column, "")
    if not cell:
        return None
    try:
        number = float(cell.replace(",", "."))
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise UsageError(f"{at}, column {column}: expected a number, found {cell!r}")
    return number


def _stratum(
    quantity: str, level: str, sex: str, people: Sequence[Person], options: FitOptions
) -> Stratum | str:
    """Return the curve of one quantity in one group, or why there is none."""
    shift = _SHIFT_HU if quantity.endswith("_hu") else 0.0
    own = [p for p in people if p.values.get(quantity, -shift) > -shift]
    if is_attenuation(quantity):
        own = [p for p in own if (_AGENT_FLAG in p.flags) == (options.contrast == AGENT)]
    where = f"{quantity} at {level}" + (f", sex {sex}" if sex else "")
    if len(own) < options.min_n:
        return f"{where}: {len(own)} people"
    values = np.array([p.values[quantity] for p in own])
    ages = np.array([p.age_years for p in own], np.float64) if AGE in options.by else None
    if np.ptp(values) == 0:
        return f"{where}: all values are the same"
    fitted = fit_lms(ages, values, shift)
    if ages is None:
        return Stratum(quantity, level, sex, n=len(own), curve=fitted.curve([0.0]))
    grid = _grid(ages)
    curve = fitted.curve(grid)
    return Stratum(quantity, level, sex, grid[0], grid[-1] + 1, n=len(own), curve=curve)


def _grid(ages: NDArray[np.float64]) -> list[float]:
    """Return whole years between the tenth youngest and the tenth oldest person."""
    ordered = np.sort(ages)
    first, last = np.floor(ordered[_EDGE - 1]), np.floor(ordered[-_EDGE])
    return [float(age) for age in np.arange(first, last + 1)]


def _reference(
    strata: tuple[Stratum, ...], people: Sequence[Person], table: UserTable, options: FitOptions
) -> ReferenceTable:
    known = [person.age_years for person in people if person.age_years is not None]
    contrast = ""
    if any(is_attenuation(each.quantity) for each in strata):
        contrast = options.contrast or NO_AGENT
    words = {NO_AGENT: "without signs of contrast agent", AGENT: "with contrast agent"}
    return ReferenceTable(
        key=options.key,
        title=options.key.replace("_", " "),
        source=f"own people, fitted by bodycomp {__version__}",
        table="LMS by natural splines" + (f", by {' and '.join(options.by)}" if options.by else ""),
        population=options.population.strip(),
        strata=strata,
        n=max(Counter(person.level for person in people).values()),
        ages=f"{min(known):g} to {max(known):g} years" if known else "",
        bmi="; ".join(_bmi(table)),
        scanner=", ".join(_scanners(table)),
        contrast=contrast,
        contrast_words=f"attenuation of scans {words[contrast]}" if contrast else "",
    )


def _scanners(table: UserTable) -> list[str]:
    """Return the scanners, the most frequent first, at most five."""
    names = ("manufacturer", "scanner_model")
    found = Counter(" ".join(row.cells.get(n, "") for n in names).strip() for row in table.rows)
    return [f"{name} ({count})" for name, count in found.most_common(5) if name]


def _bmi(table: UserTable) -> Iterator[str]:
    sizes = [(row.cells.get("height_m"), row.cells.get("weight_kg")) for row in table.rows]
    try:
        found = [
            float(weight) / float(height) ** 2 for height, weight in sizes if height and weight
        ]
    except (ValueError, ZeroDivisionError):
        return
    if found:
        low, middle, high = np.percentile(found, (5, 50, 95))
        yield f"median {middle:.1f} kg/m2 (90 %: {low:.1f} to {high:.1f})"
