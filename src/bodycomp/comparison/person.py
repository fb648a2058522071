"""All scans of one person, level by level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bodycomp.comparison.change import DAYS_PER_MONTH, LevelComparison, compare_pair, corrections
from bodycomp.comparison.repeatability import Repeatability
from bodycomp.comparison.scans import PersonScan
from bodycomp.results import LevelStatus
from bodycomp.tables import Cell


@dataclass(frozen=True, eq=False)
class PersonComparison:
    """A person's scans, in order of time, and what changed at each level."""

    patient: str
    scans: tuple[PersonScan, ...] = field(repr=False)
    levels: tuple[LevelComparison, ...]

    def month(self, place: int) -> float:
        """Return how many months of 30.4 days after the first scan another one was made."""
        first, other = (self.scans[at].day or 0.0 for at in (0, place))
        return (other - first) / DAYS_PER_MONTH

    @property
    def refused(self) -> str:
        """Why nothing is compared; empty if something is."""
        if any(level.pairs for level in self.levels):
            return ""
        found = [
            "; ".join(lv.level for lv in self.levels if place in lv.scans) or "no level"
            for place in range(len(self.scans))
        ]
        return (
            "expected a level that was measured in two scans, found "
            f"{', then '.join(found)}: values of different levels are not compared, and how much "
            "the level alone does to this person is not known"
        )


def compare_person(
    patient: str,
    scans: Sequence[PersonScan],
    known: Sequence[Repeatability],
    only: Sequence[str] = (),
) -> PersonComparison:
    """Compare a person's scans at every level that they have, or at those named in ``only``."""
    levels = dict.fromkeys(level for scan in scans for level in scan.rows)
    return PersonComparison(
        patient,
        tuple(scans),
        tuple(_level(level, scans, known) for level in levels if not only or level in only),
    )


def _level(
    level: str, scans: Sequence[PersonScan], known: Sequence[Repeatability]
) -> LevelComparison:
    rows = [scan.rows.get(level) for scan in scans]
    left_out = {place: reason for place, row in enumerate(rows) if (reason := _why_not(row))}
    there = tuple(place for place in range(len(scans)) if place not in left_out)
    cells = {place: row for place, row in enumerate(rows) if row is not None}
    pairs = list(pairwise(there))
    if len(there) > 2:
        pairs.append((there[0], there[-1]))
    return LevelComparison(
        level,
        there,
        left_out,
        tuple(
            compare_pair(pair, _days(scans, pair), cells[pair[0]], cells[pair[1]], known)
            for pair in pairs
        ),
        {place: found for place in there if (found := corrections(cells[place]))},
    )


def _why_not(row: Mapping[str, Cell] | None) -> str:
    if row is None:
        return "the level was not looked for"
    if row.get("status") == LevelStatus.FOUND:
        return ""
    return ": ".join(str(row[name]) for name in ("status", "reason") if row.get(name))


def _days(scans: Sequence[PersonScan], pair: tuple[int, int]) -> float | None:
    first, second = scans[pair[0]].day, scans[pair[1]].day
    return None if first is None or second is None else second - first
