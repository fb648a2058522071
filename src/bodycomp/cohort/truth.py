"""What is true of phantom patients: a file beside each study, and the tables of a cohort."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, DEFAULT_LEVEL
from bodycomp.cohort.study import DICOM_FOLDER, MAIN_SERIES, vendor_of
from bodycomp.errors import InputNotFoundError
from bodycomp.imaging.volume import Volume
from bodycomp.json_file import write_json
from bodycomp.storage import atomic_file

TRUTH_FOLDER: Final = "truth"
TRUTH_NAME: Final = "truth.json"
LABELS_NAME: Final = "labels.nii.gz"
CASES_NAME: Final = "cases.csv"
LEVELS_NAME: Final = "levels.csv"

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class PatientTruth:
    """Truth of one patient and its main series.

    Attributes:
        patient: Name of the patient in the cohort, e.g. ``patient-0007``.
        split: Split that the patient belongs to.
        study_uid, series_uid: Of the DICOM study and its main series; empty without DICOM.
        level_z_mm: Level -> mid-height of its vertebral body, DICOM patient frame.
        area_cm2: Tissue key -> area on the slice nearest to L3.
        level_slice: Index of that slice, feet to head.
        parameters: Every parameter of the patient, with units in the names.
        scan: Every parameter of the main series.
    """

    patient: str
    split: str
    study_uid: str
    series_uid: str
    level_z_mm: Mapping[str, float]
    area_cm2: Mapping[str, float]
    level_slice: int
    parameters: Mapping[str, Any]
    scan: Mapping[str, Any]


def tissue_areas_cm2(labels: NDArray[np.uint8], volume: Volume) -> dict[str, float]:
    """Return tissue key -> area of a (row, column) mask on the volume's pixel grid."""
    return {
        tissue.key: round(int((labels == tissue.label).sum()) * volume.pixel_area_mm2 / 100, 3)
        for tissue in ABDOMINAL_TISSUES
    }


def write_truth(folder: Path, truth: PatientTruth) -> None:
    """Write ``truth.json`` into ``folder``."""
    write_json(folder / TRUTH_NAME, asdict(truth))


def read_truth(cohort: Path) -> tuple[PatientTruth, ...]:
    """Read the truth of every patient of a cohort, in the order of their names.

    Raises:
        InputNotFoundError: The folder holds no truth.
    """
    paths = sorted((cohort / TRUTH_FOLDER).glob(f"*/{TRUTH_NAME}"))
    if not paths:
        raise InputNotFoundError(
            f"expected {TRUTH_FOLDER}/*/{TRUTH_NAME} in {cohort}, found none",
            hint="Name a folder made by 'bodycomp phantom'.",
        )
    return tuple(PatientTruth(**json.loads(path.read_text())) for path in paths)


def cohort_row(truth: PatientTruth, slices: int, weight_kg: float) -> Row:
    """Return the patient's row of ``cohort.csv``."""
    person, scan = truth.parameters, truth.scan
    return {
        "patient": truth.patient,
        "split": truth.split,
        "sex": person["sex"],
        "age_years": round(person["age_years"], 1),
        "height_mm": round(person["height_mm"]),
        "weight_kg": round(weight_kg, 1),
        "contrast_phase": person["contrast_phase"],
        "slices": slices,
        "slice_spacing_mm": round(scan["slice_spacing_mm"], 3),
        "l3_z_mm": truth.level_z_mm[DEFAULT_LEVEL],
        **{f"{key}_cm2": area for key, area in truth.area_cm2.items()},
    }


def write_cases(cohort: Path, truths: Sequence[PatientTruth]) -> None:
    """Write ``cases.csv`` and ``levels.csv``, the heights of all levels of all patients."""
    write_rows(cohort / CASES_NAME, [_case(truth) for truth in truths])
    levels: list[Row] = [
        {"patient": truth.patient, "level": level, "z_mm": z_mm}
        for truth in truths
        for level, z_mm in truth.level_z_mm.items()
    ]
    write_rows(cohort / LEVELS_NAME, levels)


def _case(truth: PatientTruth) -> Row:
    person, scan = truth.parameters, truth.scan
    vendor = vendor_of(person["index"])
    return {
        "patient": truth.patient,
        "scan": f"{DICOM_FOLDER}/{truth.patient}/{MAIN_SERIES}",
        "masks": f"{TRUTH_FOLDER}/{truth.patient}/{LABELS_NAME}",
        "levels": LEVELS_NAME,
        "split": truth.split,
        "sex": person["sex"],
        "age_years": round(person["age_years"], 1),
        "bmi_kg_m2": round(person["bmi_kg_m2"], 1),
        "contrast": person["contrast_phase"],
        "manufacturer": vendor.manufacturer,
        "scanner": vendor.model,
        "slice_thickness_mm": round(scan["slice_thickness_mm"], 3),
    }


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a table, whole or not at all."""
    with atomic_file(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
