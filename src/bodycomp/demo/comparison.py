"""The demo's results against the truth of the phantom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bodycomp.analysis.loading import load_segmenter
from bodycomp.analysis.pipeline import Segmenter
from bodycomp.anatomy import ABDOMINAL_TISSUES, DEFAULT_LEVEL
from bodycomp.annotation.grid import place_label_map
from bodycomp.cohort import PatientTruth
from bodycomp.cohort.patient import DICOM_FOLDER, TRUTH_FOLDER
from bodycomp.cohort.truth import LABELS_NAME
from bodycomp.dicom.read import read_volume
from bodycomp.dicom.series import find_series
from bodycomp.evaluation import dice, pearson
from bodycomp.nifti import read_nifti_labels
from bodycomp.study import StudyReport

NEAR_MM = 10.0


@dataclass(frozen=True, slots=True)
class PatientComparison:
    """One patient against the truth.

    Attributes:
        patient: Name in the cohort.
        status: What the analysis said of L3.
        level_error_mm: Found minus true position of L3; None unless found.
        dice: Tissue key -> overlap on the slice at the true L3.
        area_cm2: Tissue key -> area at the L3 that was found; empty unless found.
        true_area_cm2: Tissue key -> true area at the true L3.
        preview: Picture of the patient, None if there is none.
    """

    patient: str
    status: str
    level_error_mm: float | None
    dice: dict[str, float | None]
    area_cm2: dict[str, float]
    true_area_cm2: dict[str, float]
    preview: Path | None


@dataclass(frozen=True, slots=True)
class TissueAgreement:
    """One tissue over all patients: Dice at the true L3, areas at the found against the true L3."""

    tissue: str
    mean_dice: float | None
    smallest_dice: float | None
    area_correlation: float | None
    mean_area_error_cm2: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """All patients together."""

    patients: tuple[PatientComparison, ...]
    found: int
    near: int
    median_error_mm: float | None
    tissues: tuple[TissueAgreement, ...]


def compare(
    cohort: Path, truths: Sequence[PatientTruth], report: StudyReport, models_dir: Path
) -> Agreement:
    """Compare what was measured from DICOM with the truth of the same patients."""
    segmenter = load_segmenter(models_dir)
    found_by_study = {series.study_uid: series for series in report.analysed}
    patients = []
    for truth in truths:
        series = found_by_study.get(truth.study_uid)
        rows = [] if series is None else [r for r in series.rows if r["level"] == DEFAULT_LEVEL]
        row = rows[0] if rows else {}
        z_mm = row.get("level_z_mm")
        patients.append(
            PatientComparison(
                patient=truth.patient,
                status=str(row.get("status", "refused")),
                level_error_mm=(
                    float(z_mm) - truth.level_z_mm[DEFAULT_LEVEL]
                    if isinstance(z_mm, float)
                    else None
                ),
                dice=_dice_at_true_level(cohort, truth, segmenter),
                area_cm2={
                    tissue.key: float(area)
                    for tissue in ABDOMINAL_TISSUES
                    if isinstance(area := row.get(f"{tissue.key}_area_cm2"), float)
                },
                true_area_cm2=dict(truth.area_cm2),
                preview=next(series.folder.glob("*.png"), None) if series else None,
            )
        )
    return summarise(patients)


def summarise(patients: Sequence[PatientComparison]) -> Agreement:
    """Put the patients together; patients whose L3 was not found count against ``near``."""
    errors = [p.level_error_mm for p in patients if p.level_error_mm is not None]
    return Agreement(
        patients=tuple(patients),
        found=len(errors),
        near=sum(abs(error) <= NEAR_MM for error in errors),
        median_error_mm=median(abs(error) for error in errors) if errors else None,
        tissues=tuple(_tissue_agreement(tissue.key, patients) for tissue in ABDOMINAL_TISSUES),
    )


def _tissue_agreement(key: str, patients: Sequence[PatientComparison]) -> TissueAgreement:
    overlaps = [value for p in patients if (value := p.dice[key]) is not None]
    measured = [p for p in patients if key in p.area_cm2]
    found = [p.area_cm2[key] for p in measured]
    true = [p.true_area_cm2[key] for p in measured]
    return TissueAgreement(
        tissue=key,
        mean_dice=sum(overlaps) / len(overlaps) if overlaps else None,
        smallest_dice=min(overlaps, default=None),
        area_correlation=pearson(found, true),
        mean_area_error_cm2=(sum(found) - sum(true)) / len(found) if found else None,
    )


def _dice_at_true_level(
    cohort: Path, truth: PatientTruth, segmenter: Segmenter
) -> dict[str, float | None]:
    """Segment the slice at the true L3 of the main series, read back from its DICOM files."""
    search = find_series([cohort / DICOM_FOLDER / truth.patient])
    main = next(s for s in search.candidates if s.series_uid == truth.series_uid)
    volume = read_volume(main)
    path = cohort / TRUTH_FOLDER / truth.patient / LABELS_NAME
    labels = place_label_map(read_nifti_labels(path), volume, path.name, cropped=False)
    mask = segmenter(volume, [truth.level_slice])[truth.level_slice]
    real = labels[truth.level_slice]
    return {tissue.key: dice(mask, real, tissue.label) for tissue in ABDOMINAL_TISSUES}
