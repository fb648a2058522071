"""Slices that were counted in another way than the options say, by all cases together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bodycomp.annotation.level_marks import slice_of_number, ways_of_counting
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.preparation.level_evidence import LevelEvidence, from_other_end

ALL_CASES: Final = "all cases"
FEWEST_CASES: Final = 3
MOSTLY: Final = 0.8
APART_MM: Final = 15.0
"""Slices that lie nearer to each other tell nothing of the end that was counted from."""
CLEAR_STRAIN: Final = 20.0
"""Twice the natural logarithm of a likelihood ratio of 20,000."""


@dataclass(frozen=True, slots=True)
class LevelWarning:
    """What looks wrong with levels.

    Attributes:
        where: Row of the cases table, or ``ALL_CASES``.
        message: What was expected and found, and which other way of counting fits.
    """

    where: str
    message: str


def level_warnings(
    evidence: Mapping[str, Sequence[LevelEvidence]],
    options: LevelOptions,
    one_off: Sequence[str] = (),
) -> tuple[LevelWarning, ...]:
    """Return what looks wrong with levels that were marked by numbers of slices.

    Args:
        evidence: Row of the cases table -> its levels.
        options: How slices were counted.
        one_off: Rows that were refused because only another first number explains theirs.
    """
    unsure = {
        where: [level for level in levels if not _is_annotated(level, options)]
        for where, levels in evidence.items()
    }
    cases = [levels for levels in evidence.values() if levels]
    of_all = (
        _one_off(one_off, options),
        _off_annotated(cases, options) or _strained(unsure.values(), options),
    )
    return (
        *(LevelWarning(ALL_CASES, message) for message in of_all if message),
        *(
            LevelWarning(where, _counted_from_other_end(level, options))
            for where, levels in unsure.items()
            for level in levels
            if level.contradiction and level.other_fits
        ),
    )


def _counted_from_other_end(level: LevelEvidence, options: LevelOptions) -> str:
    other_end = from_other_end(options).from_end
    instance = ", whose InstanceNumber it is," if level.is_instance else ""
    return (
        f"{level.level} on slice {level.number} from the {options.from_end} (z = {level.z_mm:.1f} "
        f"mm) lies {level.contradiction}; from the {other_end} it is slice {level.other_index} of "
        f"0..{level.slices - 1} from the feet{instance} at z = {level.other_z_mm:.1f} mm, which "
        f"fits. Were slices counted from the {other_end} (--levels-from {other_end})?"
    )


def _one_off(rows: Sequence[str], options: LevelOptions) -> str:
    if not rows:
        return ""
    first, other = options.first_slice, 1 - options.first_slice
    return (
        f"slices are counted from {first}, and only counting from {other} explains the numbers of "
        f"{', '.join(rows)}: all other levels are then one slice off. Were slices counted from "
        f"{other} (--levels-first-slice {other})?"
    )


def _off_annotated(cases: Iterable[Sequence[LevelEvidence]], options: LevelOptions) -> str:
    """Say which way of counting puts levels on the slices that were annotated, if another does."""
    compared = [levels for levels in cases if levels[0].annotated is not None]
    count = len(compared)
    (_, own), *others = [
        (way, sum(any(_is_annotated(level, way) for level in levels) for levels in compared))
        for way in ways_of_counting(options)
    ]
    if count < FEWEST_CASES or own > (1 - MOSTLY) * count:
        return ""
    way, hits = max(others, key=lambda each: each[1])
    if hits >= MOSTLY * count:
        return (
            f"levels lie on the annotated slice in {hits} of {count} cases if slices are counted "
            f"from {way.first_slice} at the {way.from_end}, and in {own} of {count} as given. Were "
            f"they (--levels-from {way.from_end} --levels-first-slice {way.first_slice})?"
        )
    shift, hits = Counter(_shift(levels) for levels in compared).most_common(1)[0]
    if hits < MOSTLY * count:
        return ""
    side = "above" if shift > 0 else "below"
    return (
        f"levels lie {abs(shift)} {'slice' if abs(shift) == 1 else 'slices'} {side} the annotated "
        f"slice in {hits} of {count} cases. Were slices counted in another way?"
    )


def _is_annotated(level: LevelEvidence, way: LevelOptions) -> bool:
    index = slice_of_number(level.number, level.slices, way)
    first, last = level.annotated or (1, 0)
    return index is not None and first <= index <= last


def _shift(levels: Sequence[LevelEvidence]) -> int:
    """Return how many slices the nearest level lies above the annotated slice."""
    away = [level.slice_index - (level.annotated or (0, 0))[0] for level in levels]
    return min(away, key=abs)


def _strained(cases: Iterable[Sequence[LevelEvidence]], options: LevelOptions) -> str:
    """Say if landmarks of all cases together speak for the other end."""
    strains = [
        (level.strain, level.other_strain)
        for levels in cases
        for level in levels[:1]
        if level.strain is not None
        and level.other_strain is not None
        and abs(level.z_mm - level.other_z_mm) >= APART_MM
    ]
    count, better = len(strains), sum(other < own for own, other in strains)
    if count < FEWEST_CASES or better < MOSTLY * count:
        return ""
    if sum(own - other for own, other in strains) < CLEAR_STRAIN:
        return ""
    other_end = from_other_end(options).from_end
    return (
        f"levels fit lungs and iliac crests better in {better} of {count} cases if slices are "
        f"counted from the {other_end}. Were they (--levels-from {other_end})?"
    )
