"""Measurements, derived quantities and flags -> coded items of a structured report (TID 1500).

A code of DICOM or SNOMED CT is used where one says exactly this, else one of our own scheme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from highdicom.sr import (
    CodedConcept,
    Measurement,
    QualitativeEvaluation,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from bodycomp.quantities import QUANTITIES
from bodycomp.results import Measurement as Measured
from bodycomp.results import QualityFlag, Quantity

OWN_SCHEME: Final = "99BODYCOMP"
"""Designator of our coding scheme; private ones begin with 99 (PS3.3 section 8.2)."""

HU: Final = codes.UCUM.HounsfieldUnit
CM2: Final = codes.UCUM.SquareCentimeter
_ATTENUATION: Final = codes.DCM.AttenuationCoefficient

_IN_RANGE_AREA: Final = Code("RANGE-AREA", OWN_SCHEME, "Area inside the tissue's HU range")
_IN_RANGE_MEAN: Final = Code("RANGE-MEAN", OWN_SCHEME, "Mean HU inside the tissue's HU range")

_PI90_LOW: Final = Code("PI90-LOW", OWN_SCHEME, "Lower end of the 90 % interval of the area")
_PI90_HIGH: Final = Code("PI90-HIGH", OWN_SCHEME, "Upper end of the 90 % interval of the area")

_TISSUE_ITEMS: Final[Mapping[str, tuple[Code, Code, Code | None]]] = {
    "mean_hu": (_ATTENUATION, HU, codes.SCT.Mean),
    "median_hu": (_ATTENUATION, HU, codes.SCT.Median),
    "sd_hu": (_ATTENUATION, HU, codes.SCT.StandardDeviation),
    "iqr_hu": (codes.IBSI.IntensityHistogramInterquartileRange, HU, None),
    "hu_range_area_cm2": (_IN_RANGE_AREA, CM2, None),
    "hu_range_mean_hu": (_IN_RANGE_MEAN, HU, None),
    "area_pi90_low_cm2": (_PI90_LOW, CM2, None),
    "area_pi90_high_cm2": (_PI90_HIGH, CM2, None),
    "volume_ml": (codes.SCT.Volume, codes.UCUM.CubicCentimeter, None),
}
"""Field of a measurement -> name (CID 218), unit and derivation (CID 7464)."""

_STANDARD_NAMES: Final = {
    "waist_circumference_cm": Code("276361009", "SCT", "Waist circumference"),
}
_OWN_VALUES: Final = {
    "skeletal_muscle_index_cm2_m2": "SMI",
    "subcutaneous_fat_index_cm2_m2": "SATI",
    "visceral_fat_index_cm2_m2": "VATI",
    "visceral_to_subcutaneous_ratio": "VAT-SAT-RATIO",
    "low_attenuation_muscle_area_cm2": "LAMA",
    "normal_attenuation_muscle_area_cm2": "NAMA",
    "intermuscular_fat_area_cm2": "IMAT",
    "skeletal_muscle_gauge_cm2_hu_m2": "SMG",
    "body_area_cm2": "BODY-AREA",
    "aortic_hu": "AORTIC-HU",
    "noise_hu": "NOISE-HU",
    "metal_area_cm2": "METAL-AREA",
    "outside_body_area_cm2": "OUTSIDE-AREA",
    "cut_off_area_cm2": "CUT-OFF-AREA",
}
"""Quantities for which no standard code was found -> code value, which stays for ever."""

_FLAG_VALUES: Final = {
    "tissue_at_edge": ("TISSUE-AT-EDGE", "Tissue at the edge of the field of view"),
    "body_cut_off": ("BODY-CUT-OFF", "Body outside the field of view"),
    "labels_outside_body": ("LABELS-OUTSIDE", "Labels outside the trunk"),
    "metal": ("METAL", "Metal"),
    "unusual_density": ("UNUSUAL-DENSITY", "Unusual density of a tissue"),
    "noise": ("NOISE", "Noise"),
    "sharp_kernel": ("SHARP-KERNEL", "Sharp convolution kernel"),
    "thick_slices": ("THICK-SLICES", "Thick slices"),
    "tube_voltage": ("TUBE-VOLTAGE", "Tube voltage other than 120 kVp"),
    "contrast_agent": ("CONTRAST-AGENT", "Contrast agent"),
    "model_caution": ("MODEL-CAUTION", "Caution that the model asks for"),
    "members_disagree": ("MEMBERS-DISAGREE", "Members of the ensemble disagree"),
}
"""Flag -> code value and meaning."""


def tissue_items(found: Measured, slices: int) -> list[Measurement]:
    """Return the area and all else that there is of a tissue; an area over a range is a mean."""
    over_range = codes.SCT.Mean if slices > 1 else None
    items = [_item(codes.SCT.Area, found.area_cm2, CM2, over_range)]
    for field, (name, unit, derivation) in _TISSUE_ITEMS.items():
        value = getattr(found, field)
        if value is not None:
            items.append(_item(name, value, unit, derivation))
    return items


def quantity_items(quantities: Mapping[str, Quantity]) -> list[Measurement]:
    """Return the derived quantities that have a value, in the order of their table."""
    return [
        _item(quantity_code(kind.key), value, _unit(kind.unit), None)
        for kind in QUANTITIES
        if (value := quantities.get(kind.key, Quantity(None)).value) is not None
    ]


def quantity_code(key: str) -> Code:
    """Return the code of a derived quantity.

    >>> quantity_code("skeletal_muscle_index_cm2_m2").value
    'SMI'
    """
    if key in _STANDARD_NAMES:
        return _STANDARD_NAMES[key]
    title = next(kind.title for kind in QUANTITIES if kind.key == key)
    return Code(_OWN_VALUES[key], OWN_SCHEME, title)


def flag_items(flags: Sequence[QualityFlag]) -> list[QualitativeEvaluation]:
    """Return each flag as a quality finding."""
    return [QualitativeEvaluation(codes.DCM.QualityFinding, flag_code(flag.key)) for flag in flags]


def flag_code(key: str) -> Code:
    """Return the code of a flag.

    >>> flag_code("noise").value
    'NOISE'
    """
    value, meaning = _FLAG_VALUES[key]
    return Code(value, OWN_SCHEME, meaning)


def flag_comments(flags: Sequence[QualityFlag]) -> list[TextContentItem]:
    """Return what each flag says, with its numbers, as a comment."""
    return [
        TextContentItem(codes.DCM.Comment, flag.message, RelationshipTypeValues.CONTAINS)
        for flag in flags
    ]


def own_scheme() -> Dataset:
    """Return the item of Coding Scheme Identification Sequence (PS3.3 C.12.1.1.1) of our codes."""
    item = Dataset()
    item.CodingSchemeDesignator = OWN_SCHEME
    item.CodingSchemeName = "bodycomp measurements"
    item.CodingSchemeResponsibleOrganization = "bodycomp"
    return item


def _unit(ucum: str) -> Code:
    for unit in (HU, CM2, codes.UCUM.NoUnits, codes.UCUM.Centimeter):
        if unit.value == ucum:
            return Code(unit.value, unit.scheme_designator, unit.meaning)
    return Code(ucum, "UCUM", ucum)


def _item(name: Code, value: float, unit: Code, derivation: Code | None) -> Measurement:
    return Measurement(
        name=CodedConcept.from_code(name),
        value=float(value),
        unit=CodedConcept.from_code(unit),
        derivation=derivation,
    )
