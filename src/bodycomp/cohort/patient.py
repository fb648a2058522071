"""One phantom patient: rendered, written as DICOM with its truth, and cut into samples."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from bodycomp.anatomy import DEFAULT_LEVEL
from bodycomp.cohort.samples import level_samples, mask_samples
from bodycomp.cohort.study import study_header, write_study
from bodycomp.cohort.truth import LABELS_NAME, PatientTruth, tissue_areas_cm2, write_truth
from bodycomp.data.samples import LevelSample, MaskSample
from bodycomp.nifti import write_nifti_labels
from bodycomp.phantom import Torso, sample_patient, sample_scan

DICOM_FOLDER = "dicom"
TRUTH_FOLDER = "truth"


@dataclass(frozen=True, slots=True)
class PatientTask:
    """Which patient to make, and where."""

    seed: int
    index: int
    split: str
    cohort: Path
    dicom: bool

    @property
    def name(self) -> str:
        """Name of the patient in the cohort."""
        return f"patient-{self.index:04d}"


@dataclass(frozen=True, eq=False)
class PatientSamples:
    """What the training sets and the cohort's tables take from one patient."""

    truth: PatientTruth
    row: dict[str, object]
    masks: list[MaskSample]
    levels: list[LevelSample]
    dicom_files: int


def make_patient(task: PatientTask) -> PatientSamples:
    """Render a patient, write study and truth, and return the samples of its split.

    Patients of the test split give samples too: they make the optional test sets.
    """
    patient = sample_patient(task.seed, task.index)
    scan = sample_scan(patient)
    torso = Torso(patient)
    volume, labels = torso.render(scan)
    level_z_mm = {name: round(float(z), 3) for name, z in torso.level_z_mm.items()}
    header = study_header(task.name, patient, scan)
    files = 0
    if task.dicom:
        files = write_study(task.cohort / DICOM_FOLDER / task.name, volume, header, task.index)
    at_level = volume.nearest_slice(level_z_mm[DEFAULT_LEVEL])
    truth = PatientTruth(
        patient=task.name,
        split=task.split,
        study_uid=header.uid("study"),
        series_uid=header.uid("series"),
        level_z_mm=level_z_mm,
        area_cm2=tissue_areas_cm2(labels[at_level], volume),
        level_slice=at_level,
        parameters=asdict(patient),
        scan=asdict(scan),
    )
    folder = task.cohort / TRUTH_FOLDER / task.name
    folder.mkdir(parents=True)
    write_truth(folder, truth)
    write_nifti_labels(folder / LABELS_NAME, volume, labels)
    return PatientSamples(
        truth=truth,
        row=_row(truth, len(volume), patient.weight_kg),
        masks=mask_samples(volume, labels, level_z_mm),
        levels=level_samples(volume, level_z_mm, thin_far=task.split == "train"),
        dicom_files=files,
    )


def _row(truth: PatientTruth, slices: int, weight_kg: float) -> dict[str, object]:
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
