"""What changed between two scans of a person: by how much, how fast, and how surely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final

from bodycomp.comparison.alike import PHASE, Difference, differences, effect_alone, is_enhanced
from bodycomp.comparison.published import CORRECTIONS
from bodycomp.comparison.repeatability import Z95, Detectable, Repeatability, detectable
from bodycomp.tables import Cell

DAYS_PER_MONTH: Final = 365.25 / 12
LEAST_DAYS: Final = 28
"""Below this no rate is given: a month is more than was seen."""

COMPARED: Final = (
    *("muscle_hu_range_area_cm2", "skeletal_muscle_index_cm2_m2", "muscle_hu_range_mean_hu"),
    *("subcutaneous_fat_hu_range_area_cm2", "subcutaneous_fat_index_cm2_m2"),
    *("visceral_fat_hu_range_area_cm2", "visceral_fat_index_cm2_m2"),
    *("muscle_area_cm2", "subcutaneous_fat_area_cm2", "visceral_fat_area_cm2"),
    *("muscle_volume_ml", "subcutaneous_fat_volume_ml", "visceral_fat_volume_ml"),
    *("intermuscular_fat_area_cm2", "waist_circumference_cm", "trabecular_hu"),
)
"""Columns that are compared, in the order of tables."""

CORRECTED_QUANTITY: Final = "muscle_hu_range_mean_hu"
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Change:
    """One quantity of two scans, later minus earlier, in its unit.

    Attributes:
        per_month: None of scans less than four weeks apart.
        detectable: Smallest detectable changes, the one to go by first; empty if none is known.
        low, high: 95 % interval of the true change by that one, if the scans were made alike.
        probability: That the true change has the sign of the difference, 0.5..1, under the same
            condition and without any knowledge of the person (flat prior, normal errors).
        explained_by: Differences between the scans that alone can do as much.
        reason: Why there is no probability; empty otherwise.
    """

    quantity: str
    earlier: float
    later: float
    difference: float
    per_month: float | None
    detectable: tuple[Detectable, ...] = ()
    low: float | None = None
    high: float | None = None
    probability: float | None = None
    explained_by: tuple[str, ...] = ()
    reason: str = ""

    @property
    def is_beyond(self) -> bool | None:
        """Whether it is larger than the smallest detectable change; None if none is known."""
        return abs(self.difference) > self.detectable[0].limit if self.detectable else None


@dataclass(frozen=True, slots=True)
class Corrected:
    """Muscle attenuation of an enhanced scan, raw and as a published correction has it."""

    key: str
    raw_hu: float
    corrected_hu: float
    limits: str
    source: str


@dataclass(frozen=True, slots=True)
class PairComparison:
    """Two scans of a person at one level.

    Attributes:
        earlier, later: Places of both among the scans that are compared.
        days: Between them; None if a day is not known.
    """

    earlier: int
    later: int
    days: float | None
    differences: tuple[Difference, ...]
    changes: tuple[Change, ...]

    @property
    def months(self) -> float | None:
        """The same in months of 30.4 days."""
        return None if self.days is None else self.days / DAYS_PER_MONTH


def compare_pair(
    places: tuple[int, int],
    days: float | None,
    earlier: Mapping[str, Cell],
    later: Mapping[str, Cell],
    known: Sequence[Repeatability],
) -> PairComparison:
    """Compare the rows of results of two scans at one level.

    Raises:
        ValueError: They are of two levels, which are never compared.
    """
    if earlier.get("level") != later.get("level"):
        raise ValueError(f"expected one level, found {earlier.get('level')}, {later.get('level')}")
    unlike = differences(earlier, later)
    changes = [
        _change(quantity, days, earlier, later, unlike, detectable(quantity, earlier, later, known))
        for quantity in COMPARED
        if _is_number(earlier.get(quantity)) and _is_number(later.get(quantity))
    ]
    return PairComparison(*places, days, unlike, tuple(changes))


def _change(
    quantity: str,
    days: float | None,
    earlier: Mapping[str, Cell],
    later: Mapping[str, Cell],
    unlike: Sequence[Difference],
    limits: tuple[Detectable, ...],
) -> Change:
    first, second = float(str(earlier[quantity])), float(str(later[quantity]))
    by = second - first
    rate = by / days * DAYS_PER_MONTH if days is not None and days >= LEAST_DAYS else None
    if not limits:
        reason = "how well this quantity repeats is not known for these models"
        return Change(quantity, first, second, by, rate, reason=reason)
    limit = limits[0].limit
    explained = [
        each
        for each in unlike
        if (alone := effect_alone(quantity, each, earlier, later)) is not None and alone >= abs(by)
    ]
    titles = ", ".join(each.title.lower() for each in explained)
    reason = f"{titles} alone can do as much" if explained else ""
    return Change(
        quantity,
        first,
        second,
        by,
        rate,
        limits,
        by - limit,
        by + limit,
        None if explained else _NORMAL.cdf(abs(by) / (limit / Z95)),
        tuple(each.key for each in explained),
        reason,
    )


def corrections(cells: Mapping[str, Cell]) -> tuple[Corrected, ...]:
    """Return muscle attenuation as published corrections for contrast agent have it.

    Empty for scans without agent, or of which that is not known.
    """
    raw, phase = cells.get(CORRECTED_QUANTITY), str(cells.get(PHASE))
    if not _is_number(raw) or not is_enhanced(phase):
        return ()
    value = float(str(raw))
    return tuple(
        Corrected(each.key, value, value + offset, each.limits, each.source)
        for each in CORRECTIONS
        if (offset := each.offset_hu(str(cells.get("level")), phase)) is not None
    )


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float)


@dataclass(frozen=True, eq=False)
class LevelComparison:
    """One level of a person: the scans that have it, and what changed from one to the next.

    Attributes:
        scans: Places among the person's scans of those that are compared, in order of time.
        left_out: Place of a scan -> why it is not compared.
        pairs: Each scan with the one before, and the last with the first.
        corrected: Place of a scan -> its muscle attenuation corrected for agent.
    """

    level: str
    scans: tuple[int, ...]
    left_out: Mapping[int, str] = field(default_factory=dict)
    pairs: tuple[PairComparison, ...] = ()
    corrected: Mapping[int, tuple[Corrected, ...]] = field(default_factory=dict)
