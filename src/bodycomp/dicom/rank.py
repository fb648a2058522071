"""Which of several series of a study to measure: one simple rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from bodycomp.dicom.candidate import CandidateSeries

_BEST_THICKNESS_MM: Final = (3.0, 5.0)
_COVERAGE_STEP_MM: Final = 50.0
_SHARP_NAMES: Final = frozenset(
    {"BONE", "BONEPLUS", "LUNG", "EDGE", "DETAIL", "CHEST", "ULTRA", "D", "E", "L", "YA", "YB",
     "YC", "YD"}
)  # fmt: skip


def is_sharp_kernel(kernel: str) -> bool:
    """Whether a convolution kernel is made for bone or lung and therefore noisy.

    Known are the names of GE and Philips, the number in Siemens' (50 and up, as in B70f, Br64)
    and in Canon's (FC30 and up). An unknown kernel counts as soft.

    >>> is_sharp_kernel("B70f"), is_sharp_kernel("STANDARD"), is_sharp_kernel("FC51")
    (True, False, True)
    """
    name = kernel.split("\\", maxsplit=1)[0].strip().upper()
    if canon := re.fullmatch(r"FC(\d+)\w*", name):
        return int(canon[1]) >= 30
    if siemens := re.match(r"[A-Z][A-Z]?(\d{2})", name):
        return int(siemens[1]) >= 50
    return name in _SHARP_NAMES


def rank_series(candidates: Iterable[CandidateSeries]) -> tuple[CandidateSeries, ...]:
    """Order candidates, best first.

    Compared in this order: reconstructed by the scanner rather than derived; coverage in steps of
    5 cm, more is better; slice thickness, 3 to 5 mm is best and then the nearest; soft kernel
    rather than sharp; more slices; series number.
    """
    return tuple(sorted(candidates, key=_rank))


def preferred(candidates: Sequence[CandidateSeries]) -> tuple[CandidateSeries, ...]:
    """Return the best candidate of every study, in the order in which studies first appear."""
    studies: dict[str, list[CandidateSeries]] = {}
    for candidate in candidates:
        studies.setdefault(candidate.study_key, []).append(candidate)
    return tuple(rank_series(members)[0] for members in studies.values())


def _rank(series: CandidateSeries) -> tuple[bool, int, float, bool, int, int, str]:
    thickness_mm = series.scanner.slice_thickness_mm or series.slice_spacing_mm
    low, high = _BEST_THICKNESS_MM
    return (
        not series.is_original,
        -round(series.coverage_mm / _COVERAGE_STEP_MM),
        round(max(low - thickness_mm, thickness_mm - high, 0.0), 2),
        is_sharp_kernel(series.scanner.kernel),
        -len(series),
        series.series_number or 0,
        series.key,
    )
