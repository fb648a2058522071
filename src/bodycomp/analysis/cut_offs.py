"""Whether a measured value meets a published cut-off, or why that cannot be told."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Final

from bodycomp.quantities import CutOff, Limit
from bodycomp.results import CutOffOutcome
from bodycomp.subject import Subject

_RELATIONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def apply_cut_off(
    cut_off: CutOff, value: float | None, level: str, subject: Subject
) -> CutOffOutcome:
    """Compare a value with the limit that holds for this person at this level.

    >>> from bodycomp.quantities import CUT_OFFS
    >>> apply_cut_off(CUT_OFFS[0], 50.0, "L3", Subject(sex="M"))
    CutOffOutcome(met=True, limit=52.4, reason='')
    >>> apply_cut_off(CUT_OFFS[0], 50.0, "L3", Subject()).reason
    'the cut-off depends on sex, which is not known'
    """
    if level not in cut_off.levels:
        found = " and ".join(cut_off.levels)
        return CutOffOutcome(None, reason=f"the cut-off was found at {found}, not at {level}")
    if value is None:
        return CutOffOutcome(None, reason=f"{cut_off.quantity} was not measured")
    needed = _missing(cut_off, subject)
    if needed:
        return CutOffOutcome(None, reason=f"the cut-off depends on {needed}, which is not known")
    limit = next(limit.value for limit in cut_off.limits if _holds(limit, subject))
    return CutOffOutcome(_RELATIONS[cut_off.relation](value, limit), limit)


def _missing(cut_off: CutOff, subject: Subject) -> str:
    """Return what must be known of the subject and is not; empty if one limit holds."""
    if any(_holds(limit, subject) for limit in cut_off.limits):
        return ""
    if not subject.sex and all(limit.sex for limit in cut_off.limits):
        return "sex"
    return "body mass index (height and weight)"


def _holds(limit: Limit, subject: Subject) -> bool:
    """Whether a limit is the one for this subject."""
    if limit.sex and limit.sex != subject.sex:
        return False
    if limit.bmi_from is None and limit.bmi_below is None:
        return True
    bmi = subject.bmi_kg_m2
    if bmi is None:
        return False
    return (limit.bmi_from is None or bmi >= limit.bmi_from) and (
        limit.bmi_below is None or bmi < limit.bmi_below
    )
