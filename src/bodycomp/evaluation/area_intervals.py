"""Intervals of areas, calibrated on the cases of an evaluation for a model's card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bodycomp.agreement.conformal import conformal_bounds
from bodycomp.evaluation.document import EvaluationDocument
from bodycomp.networks.area_intervals import (
    ALL,
    COVERAGE,
    FLAGGED,
    GROUPS,
    UNFLAGGED,
    AreaBounds,
    error_scale,
)

SECTION: Final = "area_intervals"
FEWEST_PATIENTS: Final = 20
"""Of a group. 19 make bounds finite, which are then the largest errors of both signs."""


@dataclass(frozen=True, slots=True)
class AreaCase:
    """A tissue's area in a case, measured and true, and whether a flag touches it."""

    patient: str
    tissue: str
    area_cm2: float
    true_area_cm2: float
    is_flagged: bool | None = None


def add_intervals(
    document: EvaluationDocument, cases: Sequence[AreaCase], stage: str, slice_selection: str = ""
) -> None:
    """Note the intervals that cases give; those of whole scans take the place of those of slices.

    Args:
        document: What is noted in; its data of the stage say which split the cases are.
        cases: Of patients that are known.
        stage: Of the evaluation.
        slice_selection: Short digest of the model that placed the levels; empty if people did.
    """
    data = document.data[stage]
    if (
        not cases
        or data.get("split") == "train"
        or (SECTION in document.sections and not slice_selection)
    ):
        return
    tissues: dict[str, Any] = {}
    too_few: dict[str, int] = {}
    for tissue in dict.fromkeys(case.tissue for case in cases):
        own = [case for case in cases if case.tissue == tissue]
        found = {group: _bounds(own, _is_in(group)) for group in GROUPS}
        if found[ALL] is None:
            too_few[tissue] = len({case.patient for case in own})
            continue
        tissues[tissue] = {
            group: {"low": b.low, "high": b.high, "patients": b.patients, "cases": b.cases}
            for group, b in found.items()
            if b is not None
        }
    split = f", split {data['split']}" if data.get("split") else ""
    document.sections[SECTION] = {
        "coverage": COVERAGE,
        "source": f"{data['kind']}{split}",
        "slice_selection": slice_selection,
        "tissues": tissues,
        "too_few_patients": too_few,
    }


def _is_in(group: str) -> Callable[[AreaCase], bool]:
    wanted = {FLAGGED: True, UNFLAGGED: False}.get(group)
    return lambda case: group == ALL or case.is_flagged is wanted


def _bounds(cases: Sequence[AreaCase], is_in: Callable[[AreaCase], bool]) -> AreaBounds | None:
    """Return the bounds of some cases; None of too few patients."""
    errors: dict[str, list[float]] = {}
    for case in filter(is_in, cases):
        error_cm2 = case.true_area_cm2 - case.area_cm2
        errors.setdefault(case.patient, []).append(error_cm2 / error_scale(case.area_cm2))
    if len(errors) < FEWEST_PATIENTS:
        return None
    low, high = conformal_bounds([np.array(own) for own in errors.values()], COVERAGE)
    return AreaBounds(low, high, len(errors), sum(map(len, errors.values())))
