"""Whether levels that were marked by slice numbers lie where the scans show them.

Numbers do not say from which end slices were counted, nor from 0 or 1. Lungs and iliac crests do,
as far as the two ways lie apart, and so does a slice that somebody annotated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import DEFAULT_LEVEL
from bodycomp.annotation.level_marks import LevelMarks, slice_of_number, ways_of_counting
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.level_names import vertebra_rank
from bodycomp.preparation.landmarks import Landmarks, find_landmarks
from bodycomp.scan import Scan

MOST_ANNOTATED: Final = 5
"""Of a longer stretch of annotated slices the middle says nothing of a level."""

ALL_CASES: Final = "all cases"
FEWEST_CASES: Final = 3
MOSTLY: Final = 0.8
APART_MM: Final = 15.0
"""Slices that lie nearer to each other say nothing of the end that was counted from."""
CLEAR_STRAIN: Final = 20.0
"""Twice the natural logarithm of a likelihood ratio of 20,000."""

_LARGEST_DEVIATION_SD: Final = 3.0


@dataclass(frozen=True, slots=True)
class LevelEvidence:
    """One level that was marked by a number, as its file states it.

    ``slice_index`` counts from 0 at the feet, ``other_index`` is the slice of this number from the
    other end; ``is_instance`` says that its InstanceNumber is the number. Strains are squared
    deviations from where landmarks put the level, in standard deviations; None where no landmark is
    seen or the level is no vertebra. ``contradiction`` says in words how they contradict the slice,
    ``other_fits`` that they agree with the other one. ``annotated`` are the first and last slice in
    the middle of a few annotated ones.
    """

    level: str
    number: int
    slices: int
    slice_index: int
    z_mm: float
    other_index: int
    other_z_mm: float
    is_instance: bool = False
    strain: float | None = None
    other_strain: float | None = None
    contradiction: str = ""
    other_fits: bool = False
    annotated: tuple[int, int] | None = None


def stored_evidence(values: Mapping[str, Any]) -> LevelEvidence:
    """Rebuild from ``asdict`` by way of JSON."""
    middle = values["annotated"]
    return LevelEvidence(**{**values, "annotated": tuple(middle) if middle else None})


@dataclass(frozen=True, slots=True)
class _Deviation:
    """How far a level lies from where one landmark puts it."""

    deviation_mm: float
    slack_mm: float
    sd_mm: float
    words: str

    @property
    def is_too_large(self) -> bool:
        return abs(self.deviation_mm) > self.slack_mm


def level_evidence(
    scan: Scan,
    marks: LevelMarks,
    options: LevelOptions,
    annotated: NDArray[np.bool_] | None = None,
) -> tuple[LevelEvidence, ...]:
    """Return what the scan shows of every level that was marked by a number.

    ``annotated`` says of every slice whether somebody annotated it; None if that is not known.
    """
    if not marks.slice_numbers:
        return ()
    landmarks = find_landmarks(scan.volume)
    middle = _middle(annotated) if annotated is not None else None
    return tuple(
        replace(_evidence(scan, level, number, options, landmarks), annotated=middle)
        for level, number in marks.slice_numbers.items()
    )


def from_other_end(options: LevelOptions) -> LevelOptions:
    """Return options that count slices from the other end of the body."""
    return replace(options, from_end="head" if options.from_end == "feet" else "feet")


def _evidence(
    scan: Scan, level: str, number: int, options: LevelOptions, landmarks: Landmarks
) -> LevelEvidence:
    slices, z_mm = len(scan.volume), scan.volume.slice_z_mm
    index = slice_of_number(number, slices, options) or 0
    other = slices - 1 - index
    found = LevelEvidence(
        level, number, slices, index, float(z_mm[index]), other, float(z_mm[other])
    )
    own, others = (list(_deviations(level, z, landmarks)) for z in (found.z_mm, found.other_z_mm))
    if not own:
        return found
    wrong = [each.words for each in own if each.is_too_large]
    return replace(
        found,
        is_instance=bool(scan.instance_numbers) and scan.instance_numbers[other] == number,
        strain=_strain(own),
        other_strain=_strain(others),
        contradiction=" and ".join(wrong),
        other_fits=not any(each.is_too_large for each in others),
    )


def _deviations(level: str, z_mm: float, landmarks: Landmarks) -> Iterator[_Deviation]:
    """Yield how far a vertebra lies from where each landmark puts it.

    In 60 phantom patients L3 lies 49 mm (standard deviation 10) above the iliac crest and 136 mm
    (13) below the lungs, in two people 53 and 195 mm: breath moves lungs by several cm.
    """
    rank, l3 = vertebra_rank(level), vertebra_rank(DEFAULT_LEVEL)
    if rank is None or l3 is None:
        return
    steps = l3 - rank
    if landmarks.crest_mm is not None:
        above_mm, usual_mm = z_mm - landmarks.crest_mm, 50.0 + 32.0 * steps
        slack_mm = 50.0 + 9.0 * abs(steps)
        words = _in_words(above_mm, usual_mm, slack_mm, "above", "below", "iliac crests")
        yield _Deviation(above_mm - usual_mm, slack_mm, 20.0, words)
    if landmarks.lung_edge_mm is not None:
        below_mm, usual_mm = landmarks.lung_edge_mm - z_mm, 155.0 - 32.0 * steps
        slack_mm = 90.0 + 9.0 * abs(steps)
        words = _in_words(below_mm, usual_mm, slack_mm, "below", "above", "lower end of the lungs")
        yield _Deviation(below_mm - usual_mm, slack_mm, 40.0, words)


def _in_words(
    found_mm: float, usual_mm: float, slack_mm: float, side: str, other: str, landmark: str
) -> str:
    low, high = usual_mm - slack_mm, usual_mm + slack_mm
    return (
        f"{abs(found_mm):.0f} mm {side if found_mm >= 0 else other} the {landmark} "
        f"({low:.0f} to {high:.0f} mm {side} expected)"
    )


def _strain(deviations: list[_Deviation]) -> float:
    shares = (abs(each.deviation_mm) / each.sd_mm for each in deviations)
    return sum(min(share, _LARGEST_DEVIATION_SD) ** 2 for share in shares)


def _middle(annotated: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Return the middle one or two of a few annotated slices that follow one another."""
    found = np.flatnonzero(annotated)
    if not 0 < len(found) <= MOST_ANNOTATED or found[-1] - found[0] != len(found) - 1:
        return None
    return int(found[(len(found) - 1) // 2]), int(found[len(found) // 2])


@dataclass(frozen=True, slots=True)
class LevelWarning:
    """What looks wrong with the levels of a row of the cases table, or of ``ALL_CASES``."""

    where: str
    message: str


def level_warnings(
    evidence: Mapping[str, Sequence[LevelEvidence]],
    options: LevelOptions,
    one_off: Sequence[str] = (),
) -> tuple[LevelWarning, ...]:
    """Return what looks wrong with levels that were marked by numbers of slices.

    ``evidence`` maps rows of the cases table to their levels; ``one_off`` are rows that were
    refused because only another first number explains theirs.
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
