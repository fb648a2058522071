"""What is true of a phantom patient, as a file beside the study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.errors import InputNotFoundError
from bodycomp.imaging.volume import Volume
from bodycomp.json_file import write_json

TRUTH_NAME = "truth.json"
LABELS_NAME = "labels.nii.gz"


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
    paths = sorted((cohort / "truth").glob(f"*/{TRUTH_NAME}"))
    if not paths:
        raise InputNotFoundError(
            f"expected truth/*/{TRUTH_NAME} in {cohort}, found none",
            hint="Name a folder made by 'bodycomp phantom'.",
        )
    return tuple(PatientTruth(**json.loads(path.read_text())) for path in paths)
