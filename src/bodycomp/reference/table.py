"""A reference: what was measured in whom, and the file that holds it, published or fitted."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bodycomp.errors import InputNotFoundError, UsageError
from bodycomp.json_file import from_plain, to_plain, write_json
from bodycomp.quantities import quantities_for

REFERENCE_SCHEMA: Final = "bodycomp.reference"
REFERENCE_SCHEMA_VERSION: Final = 1
COLUMN_PREFIX: Final = "ref_"
"""How columns of comparisons begin."""

NO_AGENT: Final = "none"
AGENT: Final = "agent"
EITHER: Final = "either"
CONTRASTS: Final = (NO_AGENT, AGENT, EITHER)

_HINT: Final = "Name a file that 'bodycomp reference fit' wrote."


@dataclass(frozen=True, slots=True)
class Curve:
    """Percentiles by the LMS method (Cole and Green, Stat Med 11:1305, 1992), linear between ages.

    Attributes:
        ages: Years, ascending.
        l, m, s: Power, median and coefficient of variation at each age, of value + ``shift``.
        shift: Added to values that may be 0 and less, such as HU, in their unit.
        low, high: Percentile, such as ``5`` -> ends of its 95 % confidence interval at each age.
    """

    ages: tuple[float, ...]
    l: tuple[float, ...]  # noqa: E741 - L, M and S as in the literature
    m: tuple[float, ...]
    s: tuple[float, ...]
    shift: float = 0.0
    low: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    high: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = (self.l, self.m, self.s, *self.low.values(), *self.high.values())
        _expect(len(self.ages) > 0, "ages of a curve", self.ages)
        _expect(all(len(row) == len(self.ages) for row in rows), "a value for each age", self.ages)
        _expect(all(map(math.isfinite, (*self.ages, *sum(rows, ())))), "finite numbers", rows)
        _expect(tuple(sorted(set(self.ages))) == self.ages, "ascending ages", self.ages)
        _expect(min(*self.m, *self.s) > 0, "M and S above 0", (self.m, self.s))


@dataclass(frozen=True, slots=True)
class Stratum:
    """One quantity at one level in people of one sex, age and body mass index.

    It has a limit, or a mean with its standard deviation, or a curve over age.

    Attributes:
        quantity: Column of the value that is compared.
        sex: ``F`` or ``M``; empty for both.
        age_from, age_below: Years; None is open.
        bmi_from, bmi_below: kg/m2, likewise.
        n: People, if it is stated.
    """

    quantity: str
    level: str
    sex: str = ""
    age_from: float | None = None
    age_below: float | None = None
    bmi_from: float | None = None
    bmi_below: float | None = None
    n: int | None = None
    limit: float | None = None
    mean: float | None = None
    sd: float | None = None
    curve: Curve | None = None

    def __post_init__(self) -> None:
        _expect(self.sex in ("", "F", "M"), "sex F, M or none", self.sex)
        given = [self.limit is not None, self.mean is not None, self.curve is not None]
        _expect(sum(given) == 1, "a limit, a mean or a curve", self.quantity)
        _expect((self.mean is None) == (self.sd is None), "a mean with its SD", self.quantity)
        _expect(self.sd is None or self.sd > 0, "an SD above 0", self.sd)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceTable:
    """Reference values of one population.

    Attributes:
        key: Short name in columns, such as ``tonnesen_2023``.
        title: Name for people.
        source, table: Citation, and where in it the values stand; how own curves were fitted.
        population, n, ages, bmi: Who they are, as it is stated; empty where it is not.
        scanner, contrast_words: How they were scanned, likewise.
        contrast: ``none``, ``agent`` or ``either`` where that is known; attenuation is compared
            only then.
        limit_key, limit_words: What limits are, in a column's name and for people.
        note: What else is to be known of them.
    """

    key: str
    title: str
    source: str
    population: str
    strata: tuple[Stratum, ...] = field(repr=False)
    table: str = ""
    n: int | None = None
    ages: str = ""
    bmi: str = ""
    scanner: str = ""
    contrast: str = ""
    contrast_words: str = ""
    limit_key: str = ""
    limit_words: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        _expect(bool(re.fullmatch(r"[a-z][a-z0-9_]*", self.key)), "a key of a..z, 0..9", self.key)
        _expect(self.contrast in ("", *CONTRASTS), "contrast none, agent or either", self.contrast)
        _expect(bool(self.strata), "strata", self.strata)
        for quantity in self.quantities:
            kinds = {each.limit is None for each in self.strata if each.quantity == quantity}
            _expect(len(kinds) == 1, "limits or distributions of a quantity", quantity)
        has_limits = any(each.limit is not None for each in self.strata)
        _expect(
            not has_limits or bool(self.limit_key and self.limit_words), "limit words", self.key
        )

    @property
    def quantities(self) -> tuple[str, ...]:
        """Columns of the values that it has, in its order."""
        return tuple(dict.fromkeys(each.quantity for each in self.strata))

    def has_limits(self, quantity: str) -> bool:
        """Whether it has limits of a quantity, rather than distributions."""
        return any(e.limit is not None for e in self.strata if e.quantity == quantity)

    def columns(self, quantity: str) -> tuple[str, ...]:
        """Return the columns of a comparison: below the limit; or z-score and percentile."""
        start = f"{COLUMN_PREFIX}{self.key}_{quantity}"
        if self.has_limits(quantity):
            return (f"{start}_below_{self.limit_key}",)
        return (f"{start}_z", f"{start}_percentile")


def _expect(holds: bool, what: str, found: object) -> None:
    if not holds:
        raise ValueError(f"expected {what}, found {found!r}")


def reference_columns(tables: Sequence[ReferenceTable], tissues: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of all comparisons that a model with these tissue keys can give."""
    return tuple(
        column
        for table in tables
        for quantity in table.quantities
        if is_measured(quantity, tissues)
        for column in table.columns(quantity)
    )


def is_measured(quantity: str, tissues: Sequence[str]) -> bool:
    """Whether a model with these tissue keys can give a quantity.

    >>> is_measured("muscle_hu_range_mean_hu", ["muscle"]), is_measured("aortic_hu", [])
    (True, False)
    """
    kinds = {kind.key for kind in quantities_for(tuple(tissues))}
    return quantity in kinds or any(quantity.startswith(f"{tissue}_") for tissue in tissues)


def is_attenuation(quantity: str) -> bool:
    """Whether a quantity depends on contrast agent by its nature: mean HU, and what HU divide.

    >>> is_attenuation("muscle_hu_range_mean_hu"), is_attenuation("muscle_hu_range_area_cm2")
    (True, False)
    """
    return quantity.endswith("_hu") or "attenuation" in quantity or "_hu_m2" in quantity


def read_reference(path: Path) -> ReferenceTable:
    """Read a reference, published or fitted.

    Raises:
        InputNotFoundError: It is not there.
        UsageError: It is none, damaged, or of a newer version.
    """
    if not path.is_file():
        raise InputNotFoundError(f"expected a reference, found nothing at {path}", hint=_HINT)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        schema, version = document["schema"], document["schema_version"]
        known = schema == REFERENCE_SCHEMA and 1 <= version <= REFERENCE_SCHEMA_VERSION
        _expect(known, f"{REFERENCE_SCHEMA} {REFERENCE_SCHEMA_VERSION}", f"{schema} {version}")
        return _read(document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path.name}: expected a reference, found none that can be used ({error})", hint=_HINT
        ) from error


def _read(document: Mapping[str, Any]) -> ReferenceTable:
    table: ReferenceTable = from_plain(ReferenceTable, document)
    return table


def write_reference(path: Path, table: ReferenceTable) -> None:
    """Write a reference; it appears whole or not at all."""
    head = {"schema": REFERENCE_SCHEMA, "schema_version": REFERENCE_SCHEMA_VERSION}
    strata = [{k: v for k, v in to_plain(e).items() if v not in (None, "")} for e in table.strata]
    write_json(path, head | to_plain(table) | {"strata": strata})


@functools.cache
def shipped_references() -> tuple[ReferenceTable, ...]:
    """Return the published references that ship, by key."""
    folder = Path(__file__).parent / "tables"
    return tuple(read_reference(path) for path in sorted(folder.glob("*.json")))


def references_with(paths: Sequence[Path]) -> tuple[ReferenceTable, ...]:
    """Return the shipped references and those of files.

    Raises:
        InputNotFoundError: A file is not there.
        UsageError: A file cannot be used, or two have one key.
    """
    tables = (*shipped_references(), *map(read_reference, paths))
    keys = [table.key for table in tables]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(
                f"expected references of different names, found {key!r} twice",
                hint="Fit one of them again with another --name.",
            )
    return tables
