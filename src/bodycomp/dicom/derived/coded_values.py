"""Measurements, derived quantities and flags -> coded values, for reports in DICOM and in FHIR.

A code of DICOM or SNOMED CT is used where one says exactly this, else one of our own scheme.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    LEVEL_CONCEPTS,
    OWN_SCHEME,
    CodedConcept,
    Tissue,
)
from bodycomp.dicom.derived.measured import MeasuredSeries
from bodycomp.quantities import QUANTITIES
from bodycomp.results import LevelResult, Measurement, QualityFlag, Quantity

OWN_SCHEME_UID: Final = "2.25.80144141297762140797317774798983626235"
"""UID of our coding scheme, from a random UUID (PS3.5 B.2)."""


def concept(code: Code) -> CodedConcept:
    """Return a code of pydicom's dictionary as a plain value."""
    return CodedConcept(code.value, code.scheme_designator, code.meaning)


_HU: Final = concept(codes.UCUM.HounsfieldUnit)
_CM2: Final = concept(codes.UCUM.SquareCentimeter)
_MEAN: Final = concept(codes.SCT.Mean)
_AREA: Final = concept(codes.SCT.Area)
_ATTENUATION: Final = concept(codes.DCM.AttenuationCoefficient)

_IN_RANGE_AREA: Final = CodedConcept("RANGE-AREA", OWN_SCHEME, "Area inside the tissue's HU range")
_IN_RANGE_MEAN: Final = CodedConcept(
    "RANGE-MEAN", OWN_SCHEME, "Mean HU inside the tissue's HU range"
)
_PI90_LOW: Final = CodedConcept(
    "PI90-LOW", OWN_SCHEME, "Lower end of the 90 % interval of the area"
)
_PI90_HIGH: Final = CodedConcept(
    "PI90-HIGH", OWN_SCHEME, "Upper end of the 90 % interval of the area"
)

_TISSUE_VALUES: Final[Mapping[str, tuple[CodedConcept, CodedConcept, CodedConcept | None]]] = {
    "mean_hu": (_ATTENUATION, _HU, _MEAN),
    "median_hu": (_ATTENUATION, _HU, concept(codes.SCT.Median)),
    "sd_hu": (_ATTENUATION, _HU, concept(codes.SCT.StandardDeviation)),
    "iqr_hu": (concept(codes.IBSI.IntensityHistogramInterquartileRange), _HU, None),
    "hu_range_area_cm2": (_IN_RANGE_AREA, _CM2, None),
    "hu_range_mean_hu": (_IN_RANGE_MEAN, _HU, None),
    "area_pi90_low_cm2": (_PI90_LOW, _CM2, None),
    "area_pi90_high_cm2": (_PI90_HIGH, _CM2, None),
    "volume_ml": (concept(codes.SCT.Volume), concept(codes.UCUM.CubicCentimeter), None),
}
"""Field of a measurement -> name (CID 218), unit and derivation (CID 7464)."""

_STANDARD_NAMES: Final = {
    "waist_circumference_cm": CodedConcept("276361009", "SCT", "Waist circumference"),
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
    "psoas_right_cm2": "PSOAS-RIGHT",
    "psoas_left_cm2": "PSOAS-LEFT",
    "psoas_muscle_index_cm2_m2": "PMI",
    "body_area_cm2": "BODY-AREA",
    "aortic_hu": "AORTIC-HU",
    "trabecular_hu": "TRABECULAR-HU",
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
    "numbering_uncertain": ("NUMBERING", "Numbering of the vertebra is uncertain"),
}
"""Flag -> code value and meaning."""

MEASUREMENT_GROUP: Final = concept(codes.DCM.MeasurementGroup)
QUALITY_FINDING: Final = concept(codes.DCM.QualityFinding)
REPORT_TITLE: Final = concept(codes.DCM.ImagingMeasurementReport)
ALGORITHM_FAMILY: Final = concept(codes.DCM.ArtificialIntelligence)
ALGORITHM_PARAMETERS: Final = concept(codes.DCM.AlgorithmParameters)


@dataclass(frozen=True, slots=True)
class CodedValue:
    """A number with the code of what it is and its UCUM unit.

    Attributes:
        key: Name in ``results.json``.
        value: None where it could not be measured; ``reason`` says why.
        derivation: What was made of several values, such as their mean; None for a single one.
    """

    key: str
    name: CodedConcept
    value: float | None
    unit: CodedConcept
    derivation: CodedConcept | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class CodedGroup:
    """What belongs together in a report: a tissue at a level, or a level as a whole.

    Attributes:
        title, tracking_uid: What names the group; the UID is the same in every run.
        site: Vertebra of the level, or a code of our own for a level that is none.
        tissue: What was measured; None for a level as a whole, which has the flags.
    """

    level: LevelResult
    title: str
    tracking_uid: str
    site: CodedConcept
    tissue: Tissue | None
    values: tuple[CodedValue, ...]
    flags: tuple[QualityFlag, ...] = ()


def tissue_groups(measured: MeasuredSeries, level: LevelResult) -> Iterator[CodedGroup]:
    """Yield the measurements of each tissue at a level; one that occurs nowhere has area 0."""
    for tissue in measured.result.tissues:
        if tissue.key in level.measurements:
            yield CodedGroup(
                level,
                f"{tissue.title} at {level.choice.level}",
                measured.tracking_uid(level, tissue.key),
                level_site(level.choice.level),
                tissue,
                tuple(_tissue_values(level.measurements[tissue.key], len(level.slice_indices))),
            )


def level_group(measured: MeasuredSeries, level: LevelResult) -> CodedGroup:
    """Return what belongs to a level as a whole: derived quantities and flags."""
    return CodedGroup(
        level,
        f"Body composition at {level.choice.level}",
        measured.tracking_uid(level, "level"),
        level_site(level.choice.level),
        None,
        tuple(_quantity_values(level.quantities)),
        level.flags,
    )


def _tissue_values(found: Measurement, slices: int) -> Iterator[CodedValue]:
    """Yield the area and all else that there is of a tissue; an area over a range is a mean."""
    yield CodedValue("area_cm2", _AREA, found.area_cm2, _CM2, _MEAN if slices > 1 else None)
    for field, (name, unit, derivation) in _TISSUE_VALUES.items():
        value = getattr(found, field)
        if value is not None:
            yield CodedValue(field, name, value, unit, derivation)


def _quantity_values(quantities: Mapping[str, Quantity]) -> Iterator[CodedValue]:
    """Yield the derived quantities in the order of their table."""
    for kind in QUANTITIES:
        if found := quantities.get(kind.key):
            unit = _unit(kind.unit)
            name = quantity_code(kind.key)
            yield CodedValue(kind.key, name, found.value, unit, reason=found.reason)


def quantity_code(key: str) -> CodedConcept:
    """Return the code of a derived quantity.

    >>> quantity_code("skeletal_muscle_index_cm2_m2").value
    'SMI'
    """
    if key in _STANDARD_NAMES:
        return _STANDARD_NAMES[key]
    title = next(kind.title for kind in QUANTITIES if kind.key == key)
    return CodedConcept(_OWN_VALUES[key], OWN_SCHEME, title)


def column_code(column: str) -> tuple[Tissue | None, CodedConcept, CodedConcept]:
    """Return tissue, code and unit of a column of results that is in a report.

    Raises:
        KeyError: None is.

    >>> column_code("muscle_area_cm2")[1].meaning
    'Area'
    """
    for kind in QUANTITIES:
        if kind.key == column:
            return None, quantity_code(column), _unit(kind.unit)
    for tissue in ABDOMINAL_TISSUES:
        field = column.removeprefix(f"{tissue.key}_")
        if field == "area_cm2":
            return tissue, _AREA, _CM2
        if field in _TISSUE_VALUES:
            return tissue, *_TISSUE_VALUES[field][:2]
    raise KeyError(column)


def flag_code(key: str) -> CodedConcept:
    """Return the code of a flag.

    >>> flag_code("noise").value
    'NOISE'
    """
    value, meaning = _FLAG_VALUES[key]
    return CodedConcept(value, OWN_SCHEME, meaning)


def level_site(level: str) -> CodedConcept:
    """Return the vertebra of a level, or a code of our own for a level that is none."""
    if level in LEVEL_CONCEPTS:
        return LEVEL_CONCEPTS[level]
    return CodedConcept(f"LEVEL-{level}", OWN_SCHEME, f"Level {level}")


def _unit(ucum: str) -> CodedConcept:
    for unit in (_HU, _CM2, concept(codes.UCUM.NoUnits), concept(codes.UCUM.Centimeter)):
        if unit.value == ucum:
            return unit
    return CodedConcept(ucum, "UCUM", ucum)
