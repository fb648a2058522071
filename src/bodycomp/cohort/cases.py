"""The cohort as a cases table: which scan goes with which truth, for evaluation and preparation."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bodycomp.cohort.habits import habit_of
from bodycomp.cohort.patient import DICOM_FOLDER, TRUTH_FOLDER
from bodycomp.cohort.study import MAIN_SERIES
from bodycomp.cohort.truth import LABELS_NAME, PatientTruth
from bodycomp.storage import atomic_file

CASES_NAME: Final = "cases.csv"
LEVELS_NAME: Final = "levels.csv"


def write_cases(cohort: Path, truths: Iterable[PatientTruth]) -> None:
    """Write ``cases.csv`` and ``levels.csv``, the heights of all levels of all patients."""
    truths = tuple(truths)
    _write(cohort / CASES_NAME, [_case(truth) for truth in truths])
    _write(
        cohort / LEVELS_NAME,
        [
            {"patient": truth.patient, "level": level, "z_mm": z_mm}
            for truth in truths
            for level, z_mm in truth.level_z_mm.items()
        ],
    )


def _case(truth: PatientTruth) -> dict[str, object]:
    person, scan = truth.parameters, truth.scan
    habit = habit_of(person["index"])
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
        "manufacturer": habit.manufacturer,
        "scanner": habit.model,
        "slice_thickness_mm": round(scan["slice_thickness_mm"], 3),
    }


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
