"""How well a measurement repeats: what ships, a group's own file, a model's card, articles."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from bodycomp.agreement.conformal import conformal_bounds
from bodycomp.comparison.published import DETECTABLE, tissue_and_kind
from bodycomp.errors import InputNotFoundError, UsageError
from bodycomp.json_file import from_plain, to_plain, write_json
from bodycomp.networks.area_intervals import COVERAGE, error_scale
from bodycomp.tables import Cell

REPEATABILITY_SCHEMA: Final = "bodycomp.repeatability"
REPEATABILITY_SCHEMA_VERSION: Final = 1
_HINT: Final = "docs/compare.md shows what such a file holds."
CONFIDENCE: Final = 0.95
Z95: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
_Z_CARD: Final = NormalDist().inv_cdf((1 + COVERAGE) / 2)

INDEX_OF: Final[Mapping[str, str]] = {
    "skeletal_muscle_index_cm2_m2": "muscle_hu_range_area_cm2",
    "subcutaneous_fat_index_cm2_m2": "subcutaneous_fat_hu_range_area_cm2",
    "visceral_fat_index_cm2_m2": "visceral_fat_hu_range_area_cm2",
}
"""Index -> the area that is divided by height squared."""


@dataclass(frozen=True, slots=True)
class Repeatability:
    """How far apart two measurements of an unchanged person are in 95 % of cases.

    Attributes:
        title: What was measured, for people; it stands beside every limit that is made of it.
        source: How it was measured.
        people: How many were measured twice.
        models: Role -> short digest of the model that it holds for; empty for any model.
        root_area: Column of an area -> limit as a multiple of the root of the sum of both areas in
            cm2, each plus 1: errors of contours grow with their length.
        absolute: Column -> limit in its unit.

    Raises:
        ValueError: A limit is not above 0.
    """

    title: str
    source: str
    people: int
    models: Mapping[str, str] = field(default_factory=dict)
    root_area: Mapping[str, float] = field(default_factory=dict)
    absolute: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for limit in (*self.root_area.values(), *self.absolute.values()):
            if not (math.isfinite(limit) and limit > 0):
                raise ValueError(f"expected limits above 0, found {limit}")

    def is_for(self, cells: Mapping[str, Cell]) -> bool:
        """Whether it holds for a row of results, by the models that made it."""
        return all(cells.get(f"{role}_model") == digest for role, digest in self.models.items())

    def limit(self, quantity: str, earlier: float, later: float) -> float | None:
        """Return the smallest detectable change of a quantity between two values."""
        if quantity in self.root_area:
            return self.root_area[quantity] * math.hypot(error_scale(earlier), error_scale(later))
        return self.absolute.get(quantity)


@dataclass(frozen=True, slots=True)
class Detectable:
    """A smallest detectable change (95 %), in the unit of the quantity, and where it is from."""

    limit: float
    source: str


def limit_of(errors: Sequence[float]) -> float:
    """Return what the errors of 95 % of new people stay below, whatever their distribution is.

    ``errors`` are those of changes, one of each person; at least 19, else the limit is infinite.

    >>> limit_of([float(n) for n in range(-20, 20)])
    19.0
    """
    sizes = [np.array([abs(error)]) for error in errors]
    return conformal_bounds(sizes, 2 * CONFIDENCE - 1)[1]  # its upper tail is half of the rest


def read_repeatability(path: Path) -> Repeatability:
    """Read a file of repeatability.

    Raises:
        InputNotFoundError: It is not there.
        UsageError: It is none, damaged, or of a newer version.
    """
    if not path.is_file():
        raise InputNotFoundError(f"expected a file of repeatability, found nothing at {path}")
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        schema = (document["schema"], document["schema_version"])
        found: Repeatability = from_plain(Repeatability, document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path.name}: expected {REPEATABILITY_SCHEMA} {REPEATABILITY_SCHEMA_VERSION}, found "
            f"none that can be used ({error})",
            hint=_HINT,
        ) from error
    if schema != (REPEATABILITY_SCHEMA, REPEATABILITY_SCHEMA_VERSION):
        raise UsageError(
            f"{path.name}: expected {REPEATABILITY_SCHEMA} {REPEATABILITY_SCHEMA_VERSION}, found "
            f"{schema[0]} {schema[1]}",
            hint=_HINT,
        )
    return found


def write_repeatability(path: Path, found: Repeatability) -> None:
    """Write a file of repeatability; it appears whole or not at all."""
    head = {"schema": REPEATABILITY_SCHEMA, "schema_version": REPEATABILITY_SCHEMA_VERSION}
    write_json(path, head | to_plain(found))


def shipped_repeatability() -> tuple[Repeatability, ...]:
    """Return what ships, measured with the default models."""
    folder = Path(__file__).parent / "measured"
    return tuple(read_repeatability(path) for path in sorted(folder.glob("*.json")))


def detectable(
    quantity: str,
    earlier: Mapping[str, Cell],
    later: Mapping[str, Cell],
    known: Sequence[Repeatability],
) -> tuple[Detectable, ...]:
    """Return every limit that there is for a quantity of two rows, the one to go by first.

    That is the first of ``known`` that holds for the models of both rows; then the intervals of the
    model's card; then articles. An index has those of its area.
    """
    area = INDEX_OF.get(quantity)
    if area is not None:
        heights = earlier.get("height_m"), later.get("height_m")
        if not all(isinstance(each, float) and each > 0 for each in heights):
            return ()
        square = min(float(str(each)) for each in heights) ** 2
        found = detectable(area, earlier, later, known)
        return tuple(Detectable(each.limit / square, each.source) for each in found)
    values = earlier.get(quantity), later.get(quantity)
    first, second = (float(each) if isinstance(each, int | float) else math.nan for each in values)
    if not (math.isfinite(first) and math.isfinite(second)):
        return ()
    found = tuple(
        Detectable(limit, each.title)
        for each in known
        if each.is_for(earlier) and each.is_for(later)
        if (limit := each.limit(quantity, first, second)) is not None
    )
    return (*found, *_of_card(quantity, earlier, later), *_of_articles(quantity, earlier, later))


def _of_card(
    quantity: str, earlier: Mapping[str, Cell], later: Mapping[str, Cell]
) -> tuple[Detectable, ...]:
    """Return the limit that 90 % intervals of areas give, if errors of both scans are independent.

    What both have in common cancels, so that half their width counts, not their place.
    """
    if not quantity.endswith("_area_cm2") or quantity.endswith("_hu_range_area_cm2"):
        return ()
    start = quantity.removesuffix("_cm2")
    half = []
    for cells in (earlier, later):
        low, high = cells.get(f"{start}_pi90_low_cm2"), cells.get(f"{start}_pi90_high_cm2")
        if not (isinstance(low, float) and isinstance(high, float)):
            return ()
        half.append((high - low) / 2)
    words = "90 % intervals of the model's card, errors of both scans taken as independent"
    limit = Z95 / _Z_CARD * math.hypot(*half)
    return (Detectable(limit, words),) if limit > 0 else ()


def _of_articles(
    quantity: str, earlier: Mapping[str, Cell], later: Mapping[str, Cell]
) -> tuple[Detectable, ...]:
    levels = {earlier.get("level"), later.get("level")}
    return tuple(
        Detectable(each.value, each.source)
        for each in DETECTABLE
        if (each.tissue, each.kind) == tissue_and_kind(quantity) and levels == {each.level}
    )
