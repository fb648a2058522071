"""Published cut-offs as one table; columns and documents follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bodycomp.quantities.derived import quantities_for


@dataclass(frozen=True, slots=True)
class Limit:
    """Where a cut-off lies for some people.

    Attributes:
        value: The limit, in the unit of the quantity.
        sex: ``F`` or ``M``; empty for both.
        bmi_from, bmi_below: Range of body mass index in kg/m2; None is open.
    """

    value: float
    sex: str = ""
    bmi_from: float | None = None
    bmi_below: float | None = None


@dataclass(frozen=True, slots=True)
class CutOff:
    """A published cut-off; a statement about a number, never a diagnosis.

    Attributes:
        key: Column and JSON name.
        quantity: Column of the value that is compared.
        levels: Vertebral levels where the cut-off was found; elsewhere it is not applied.
        relation: ``<``, ``<=``, ``>`` or ``>=``: how values that meet it compare with the limit.
        limits: Whom which limit applies to.
        source: Citation.
        people: In whom it was found.
    """

    key: str
    quantity: str
    levels: tuple[str, ...]
    relation: str
    limits: tuple[Limit, ...]
    source: str
    people: str


CUT_OFFS: Final = (
    CutOff(
        "low_muscle_index_prado_2008",
        "skeletal_muscle_index_cm2_m2",
        ("L3",),
        "<=",
        (Limit(38.5, "F"), Limit(52.4, "M")),
        "Prado et al., Lancet Oncol 9:629, 2008",
        "obese people (BMI of at least 30) with lung or gastrointestinal cancer, Canada",
    ),
    CutOff(
        "low_muscle_index_martin_2013",
        "skeletal_muscle_index_cm2_m2",
        ("L3",),
        "<",
        (Limit(41.0, "F"), Limit(43.0, "M", None, 25.0), Limit(53.0, "M", 25.0)),
        "Martin et al., J Clin Oncol 31:1539, 2013",
        "people with lung or gastrointestinal cancer, Canada",
    ),
    CutOff(
        "low_muscle_attenuation_martin_2013",
        "muscle_hu_range_mean_hu",
        ("L3",),
        "<",
        (Limit(41.0, "", None, 25.0), Limit(33.0, "", 25.0)),
        "Martin et al., J Clin Oncol 31:1539, 2013",
        "people with lung or gastrointestinal cancer, Canada",
    ),
    CutOff(
        "low_muscle_index_derstine_2018",
        "skeletal_muscle_index_cm2_m2",
        ("L3",),
        "<",
        (Limit(34.4, "F"), Limit(45.4, "M")),
        "Derstine et al., Sci Rep 8:11369, 2018",
        "healthy kidney donor candidates of 18 to 40 years, USA (two standard deviations below)",
    ),
    CutOff(
        "high_visceral_fat_area_doyle_2013",
        "visceral_fat_hu_range_area_cm2",
        ("L3", "L4"),
        ">=",
        (Limit(80.1, "F"), Limit(163.8, "M")),
        "Doyle et al., Nutr Res 33:171, 2013",
        "people before resection of gastrointestinal cancer, Ireland, between L3 and L4",
    ),
)


def cut_offs_for(tissues: tuple[str, ...]) -> tuple[CutOff, ...]:
    """Return the cut-offs whose quantity a model with these tissue keys can give."""
    known = {kind.key for kind in quantities_for(tissues)}
    return tuple(
        cut_off
        for cut_off in CUT_OFFS
        if cut_off.quantity in known or any(cut_off.quantity.startswith(key) for key in tissues)
    )
