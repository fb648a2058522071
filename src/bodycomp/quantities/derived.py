"""What is derived from areas and attenuation, as one table; columns and documents follow from it.

Unless it says "outline", an area in a formula is that inside the tissue's HU range, as in the
papers from which indices and cut-offs are taken (muscle -29..150 HU, fat -190..-30 HU).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MUSCLE_KEY: Final = "muscle"
SAT_KEY: Final = "subcutaneous_fat"
VAT_KEY: Final = "visceral_fat"


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
