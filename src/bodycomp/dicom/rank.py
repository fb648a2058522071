"""Which of several series of a study to measure: one stated rule, and its reasons in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bodycomp.dicom.candidate import CandidateSeries
from bodycomp.imaging.volume import obliquity_degrees
from bodycomp.subject import NO_CONTRAST_WORDS

_BEST_THICKNESS_MM: Final = (3.0, 5.0)
_COVERAGE_STEP_MM: Final = 50.0
_OBLIQUITY_STEP_DEGREES: Final = 5.0
_LUMBAR_REGION: Final = re.compile(
    r"abd|pelv|beck|bauch|lumb|lend|l-?spine|lws|torso|trunk|rumpf|whole|ganz|liver|leber|kidney"
    r"|niere|renal|urin|colon|aort|bowel|\bcap\b|\btap\b|\bctap\b",
    re.IGNORECASE,
)
_OTHER_REGION: Final = re.compile(
    r"head|brain|skull|sch[aä]del|kopf|hals|neck|chest|thora|lung|heart|herz|card|coron|shoulder"
    r"|extrem|knee|knie|foot|hand|ankle|sinus|orbit|temporal|c-?spine|t-?spine|hws|bws",
    re.IGNORECASE,
)
_PHASES: Final = (
    ("unenhanced", re.compile(r"\bnativ|\bnon[\s_-]?contr|unenh|\bw/?o\b|without", re.IGNORECASE)),
    ("arterial", re.compile(r"\barter|\bart\b|angio|\bcta\b", re.IGNORECASE)),
    ("venous", re.compile(r"\bven|portal|\bpv\b", re.IGNORECASE)),
    ("delayed", re.compile(r"delay|late\b|excret|sp[aä]t", re.IGNORECASE)),
)
_PHASE_ORDER: Final = ("unenhanced", "venous", "not stated", "delayed", "arterial")


def names_other_region(region: str) -> bool:
    """Whether the words of a header name parts of the body, but none that holds lumbar spine.

    >>> names_other_region("CHEST"), names_other_region("Chest/Abdomen"), names_other_region("")
    (True, False, False)
    """
    return bool(_OTHER_REGION.search(region)) and not _LUMBAR_REGION.search(region)


def contrast_phase(series: CandidateSeries) -> str:
    """Return unenhanced, arterial, venous, delayed or "not stated", as the header has it."""
    for phase, words in _PHASES:
        if words.search(series.region):
            return phase
    agent = series.acquisition.contrast_agent.strip().casefold()
    return "unenhanced" if agent in NO_CONTRAST_WORDS else "not stated"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One comparison of the rule.

    Attributes:
        key: A smaller value is better.
        words: What a series has in it, for people; nothing identifying.
    """

    key: Callable[[CandidateSeries], float]
    words: Callable[[CandidateSeries], str]


def _thickness_mm(series: CandidateSeries) -> float:
    return series.acquisition.slice_thickness_mm or series.slice_spacing_mm or 0.0


def _beside_best_thickness_mm(series: CandidateSeries) -> float:
    low, high = _BEST_THICKNESS_MM
    thickness_mm = _thickness_mm(series)
    return round(max(low - thickness_mm, thickness_mm - high, 0.0), 2)


RULE: Final = (
    Criterion(lambda s: len(s.penalties), lambda s: ", ".join(s.penalties) or "nothing against it"),
    Criterion(
        lambda s: names_other_region(s.region),
        lambda s: (
            "names another part of the body"
            if names_other_region(s.region)
            else "may hold the level"
        ),
    ),
    Criterion(
        lambda s: -round(s.coverage_mm / _COVERAGE_STEP_MM),
        lambda s: f"covers {s.coverage_mm / 10:.0f} cm",
    ),
    Criterion(
        lambda s: round(obliquity_degrees(s.orientation) / _OBLIQUITY_STEP_DEGREES),
        lambda s: f"{obliquity_degrees(s.orientation):.0f} degrees from axial",
    ),
    Criterion(
        lambda s: s.acquisition.sharp_kernel,
        lambda s: "sharp kernel" if s.acquisition.sharp_kernel else "soft or unknown kernel",
    ),
    Criterion(_beside_best_thickness_mm, lambda s: f"slices of {_thickness_mm(s):.3g} mm"),
    Criterion(
        lambda s: _PHASE_ORDER.index(contrast_phase(s)),
        lambda s: f"contrast phase {contrast_phase(s)}",
    ),
    Criterion(lambda s: -len(s), lambda s: f"{len(s)} slices"),
)
"""Compared in this order:

1. no ranking penalty: derived, lossy, dual-energy, named as a map;
2. not named after a part of the body without lumbar spine;
3. coverage in steps of 5 cm, more is better, so that the level is in it;
4. axial in steps of 5 degrees;
5. soft kernel rather than sharp;
6. slices of 3 to 5 mm, then the nearest;
7. contrast phase: contrast medium raises the HU of muscle, an arterial phase unevenly;
8. more slices; then the smaller series number.
"""


def rank_series(candidates: Iterable[CandidateSeries]) -> tuple[CandidateSeries, ...]:
    """Order candidates by ``RULE``, best first."""
    return tuple(sorted(candidates, key=_rank))


def why_behind(series: CandidateSeries, better: CandidateSeries) -> str:
    """Return the first comparison of the rule in which ``better`` is better, in words."""
    for criterion in RULE:
        if criterion.key(better) < criterion.key(series):
            return f"{criterion.words(series)}, against {criterion.words(better)}"
    return "alike in everything that is compared; the smaller series number is taken"


def by_study(candidates: Sequence[CandidateSeries]) -> tuple[tuple[CandidateSeries, ...], ...]:
    """Return each study's candidates, best first; studies in the order in which they appear."""
    studies: dict[str, list[CandidateSeries]] = {}
    for candidate in candidates:
        studies.setdefault(candidate.study_key, []).append(candidate)
    return tuple(rank_series(members) for members in studies.values())


def preferred(candidates: Sequence[CandidateSeries]) -> tuple[CandidateSeries, ...]:
    """Return the best candidate of every study, in the order in which studies first appear."""
    return tuple(members[0] for members in by_study(candidates))


def _rank(series: CandidateSeries) -> tuple[tuple[float, ...], int, str]:
    compared = tuple(criterion.key(series) for criterion in RULE)
    return (compared, series.series_number or 0, series.key)
