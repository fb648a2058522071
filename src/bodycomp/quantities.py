"""Derived quantities and published cut-offs as tables, from which columns and documents follow.

Unless it says "outline", an area in a formula is that inside the tissue's HU range, as in the
papers from which indices and cut-offs are taken (muscle -29..150 HU, fat -190..-30 HU).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MUSCLE_KEY: Final = "muscle"
SAT_KEY: Final = "subcutaneous_fat"
VAT_KEY: Final = "visceral_fat"
TRABECULAR_KEY: Final = "trabecular_hu"
PSOAS_KEYS: Final = ("psoas_right_cm2", "psoas_left_cm2", "psoas_muscle_index_cm2_m2")


@dataclass(frozen=True, slots=True)
class QuantityKind:
    """One derived quantity: column, title, UCUM unit, formula, source and tissues that it needs."""

    key: str
    title: str
    unit: str
    formula: str
    source: str
    tissues: tuple[str, ...] = ()


_OWN: Final = "rule of bodycomp"

QUANTITIES: Final = (
    QuantityKind(
        "skeletal_muscle_index_cm2_m2",
        "Skeletal muscle index",
        "cm2/m2",
        "muscle area / height squared",
        "Prado et al., Lancet Oncol 9:629, 2008",
        (MUSCLE_KEY,),
    ),
    QuantityKind(
        "subcutaneous_fat_index_cm2_m2",
        "Subcutaneous fat index",
        "cm2/m2",
        "subcutaneous fat area / height squared",
        "Ebadi et al., Br J Cancer 117:148, 2017",
        (SAT_KEY,),
    ),
    QuantityKind(
        "visceral_fat_index_cm2_m2",
        "Visceral fat index",
        "cm2/m2",
        "visceral fat area / height squared",
        "Ebadi et al., Br J Cancer 117:148, 2017",
        (VAT_KEY,),
    ),
    QuantityKind(
        "visceral_to_subcutaneous_ratio",
        "Visceral to subcutaneous fat",
        "1",
        "visceral fat area / subcutaneous fat area",
        "Fujioka et al., Metabolism 36:54, 1987",
        (SAT_KEY, VAT_KEY),
    ),
    QuantityKind(
        "low_attenuation_muscle_area_cm2",
        "Low-attenuation muscle",
        "cm2",
        "area of muscle pixels of -29..29 HU",
        "Aubrey et al., Acta Physiol 210:489, 2014",
        (MUSCLE_KEY,),
    ),
    QuantityKind(
        "normal_attenuation_muscle_area_cm2",
        "Normal-attenuation muscle",
        "cm2",
        "area of muscle pixels of 30..150 HU",
        "Aubrey et al., Acta Physiol 210:489, 2014",
        (MUSCLE_KEY,),
    ),
    QuantityKind(
        "intermuscular_fat_area_cm2",
        "Fat within and between muscles",
        "cm2",
        "area of pixels of -190..-30 HU that are labelled muscle, or are labelled nothing and lie "
        "in gaps of at most 10 mm between muscle pixels (closing by a disc of 5 mm)",
        _OWN + "; HU range of Mourtzakis et al., Appl Physiol Nutr Metab 33, 2008",
        (MUSCLE_KEY,),
    ),
    QuantityKind(
        "skeletal_muscle_gauge_cm2_hu_m2",
        "Skeletal muscle gauge",
        "cm2.[hnsf'U]/m2",
        "skeletal muscle index x mean HU of muscle inside its range",
        "Shachar et al., Clin Cancer Res 23:658, 2017",
        (MUSCLE_KEY,),
    ),
    QuantityKind(
        PSOAS_KEYS[0],
        "Right psoas",
        "cm2",
        "area of psoas on the patient's right of the middle between the trunk's sides",
        _OWN,
        ("psoas",),
    ),
    QuantityKind(
        PSOAS_KEYS[1],
        "Left psoas",
        "cm2",
        "area of psoas on the patient's left of the middle between the trunk's sides",
        _OWN,
        ("psoas",),
    ),
    QuantityKind(
        PSOAS_KEYS[2],
        "Psoas muscle index",
        "cm2/m2",
        "psoas area of both sides / height squared",
        "Hamaguchi et al., Nutrition 32:1200, 2016",
        ("psoas",),
    ),
    QuantityKind(
        "body_area_cm2",
        "Area inside the skin",
        "cm2",
        "area of the trunk on the level's slice: matter above -300 HU without sheets thinner than "
        "6 mm, the piece that holds most of the labels, its holes filled",
        _OWN,
    ),
    QuantityKind(
        "waist_circumference_cm",
        "Waist circumference",
        "cm",
        "length of a taut tape around the trunk on the level's slice: perimeter of its convex hull",
        _OWN,
    ),
    QuantityKind(
        "aortic_hu",
        "Density of the aorta",
        "[hnsf'U]",
        "median of a round, even region of 12 to 30 mm in front of the vertebral body that is at "
        "least 20 HU denser than muscle, on the level's slice",
        _OWN,
        (MUSCLE_KEY,),
    ),
    QuantityKind(
        TRABECULAR_KEY,
        "Trabecular attenuation of the vertebra",
        "[hnsf'U]",
        "at L1 to L4, mean of the front of the vertebral body, 5 mm away from its edge and ahead "
        "of the basivertebral vein, over the more even half of five slices within 5 mm of the "
        "level",
        _OWN + "; after Pickhardt et al., Ann Intern Med 158:588, 2013",
        (MUSCLE_KEY,),
    ),
    QuantityKind(
        "noise_hu",
        "Noise",
        "[hnsf'U]",
        "most frequent standard deviation in squares of 6 mm over soft tissue (0..100 HU) of the "
        "level's slice",
        "after Christianson et al., AJR 205:W93, 2015",
    ),
    QuantityKind(
        "metal_area_cm2",
        "Metal",
        "cm2",
        "area of trunk pixels of at least 2500 HU on the level's slice",
        _OWN,
    ),
    QuantityKind(
        "outside_body_area_cm2",
        "Labels outside the trunk",
        "cm2",
        "area of labelled pixels outside the trunk, such as arms and table, on the level's slice",
        _OWN,
    ),
    QuantityKind(
        "cut_off_area_cm2",
        "Body outside the field of view",
        "cm2",
        "area outside the field of view of the ellipse through the skin that is seen, on the "
        "level's slice; 0 if the trunk does not touch the edge",
        _OWN + "; ellipse by Halir and Flusser, WSCG 1998",
    ),
)


def quantities_for(tissues: tuple[str, ...]) -> tuple[QuantityKind, ...]:
    """Return the quantities that a model with these tissue keys can give."""
    return tuple(kind for kind in QUANTITIES if set(kind.tissues) <= set(tissues))


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
    CutOff(
        "low_trabecular_attenuation_sensitive_pickhardt_2013",
        TRABECULAR_KEY,
        ("L1",),
        "<=",
        (Limit(160.0),),
        "Pickhardt et al., Ann Intern Med 158:588, 2013",
        "1867 adults with CT and DXA within six months, USA; 90 % sensitive for osteoporosis by "
        "DXA",
    ),
    CutOff(
        "low_trabecular_attenuation_specific_pickhardt_2013",
        TRABECULAR_KEY,
        ("L1",),
        "<=",
        (Limit(110.0),),
        "Pickhardt et al., Ann Intern Med 158:588, 2013",
        "1867 adults with CT and DXA within six months, USA; more than 90 % specific for "
        "osteoporosis by DXA",
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
