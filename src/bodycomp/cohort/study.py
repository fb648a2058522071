"""The DICOM study of a phantom patient, the unwanted included, and what is true of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, DEFAULT_LEVEL, Tissue
from bodycomp.dicom.header import PixelFormat, SeriesHeader, Storage
from bodycomp.dicom.write import write_ct_series, write_localizer
from bodycomp.errors import InputNotFoundError
from bodycomp.imaging.volume import Volume
from bodycomp.json_file import write_json
from bodycomp.phantom import PatientParameters, ScanParameters
from bodycomp.storage import atomic_file

DICOM_FOLDER: Final = "dicom"
MAIN_SERIES: Final = "series-2"
"""Folder of the main series in a study."""

THICK_MM: Final = 4.0
"""Series thinner than this come with a thick companion in some studies."""


@dataclass(frozen=True, slots=True)
class VendorProfile:
    """How one vendor's scanners store a series; the names are invented, the rest is real.

    ``kernels`` go from soft to sharp; ``first_instance`` is the end at which instance 1 lies.
    """

    manufacturer: str
    model: str
    kernels: tuple[str, str, str]
    description: str
    pixels: PixelFormat
    first_instance: Literal["head", "feet"]
    file_name: Callable[[int], str]


VENDORS: Final = (
    VendorProfile(
        "Phantom Medical",
        "Axial 64",
        ("SOFT", "STANDARD", "BONE"),
        "CT ABD PELVIS",
        PixelFormat(intercept_hu=-1024, padding=-2000),
        "head",
        lambda number: f"1-{number:03d}.dcm",
    ),
    VendorProfile(
        "Synthetic Imaging",
        "Spiral 128",
        ("B20f", "B30f", "B50f"),
        "Abdomen  5.0  B30f",
        PixelFormat(intercept_hu=-1024, bits_stored=12, signed=False),
        "head",
        lambda number: f"CT.{number:05d}",
    ),
    VendorProfile(
        "Parametric Systems",
        "Torso 256",
        ("A", "B", "C"),
        "Body Routine",
        PixelFormat(intercept_hu=0, storage=Storage.IMPLICIT),
        "feet",
        lambda number: f"IM{number:04d}",
    ),
)


def vendor_of(patient_index: int) -> VendorProfile:
    """Return the vendor whose scanner measured a patient of the cohort."""
    return VENDORS[patient_index % len(VENDORS)]


def study_header(name: str, patient: PatientParameters, scan: ScanParameters) -> SeriesHeader:
    """Return the header of the patient's main series."""
    vendor = vendor_of(patient.index)
    kernel = vendor.kernels[min(2, int(scan.sharpness * 3))]
    return SeriesHeader(
        seed=f"bodycomp-phantom-{patient.seed}-{patient.index}",
        series_number=2,
        patient_id=name,
        patient_name=f"Phantom^{name}",
        patient_sex=patient.sex,
        patient_age_years=round(patient.age_years),
        patient_weight_kg=round(patient.weight_kg, 1),
        patient_height_m=round(patient.height_mm / 1000, 2),
        study_description="CT abdomen (synthetic)",
        series_description=vendor.description,
        body_part="ABDOMEN",
        manufacturer=vendor.manufacturer,
        model=vendor.model,
        kernel=kernel,
        kvp=float(scan.kvp),
        contrast_agent=None if patient.contrast_phase == "none" else "synthetic",
        slice_thickness_mm=scan.slice_thickness_mm,
        pixels=vendor.pixels,
        first_instance=vendor.first_instance,
        file_name=vendor.file_name,
    )


def write_study(folder: Path, volume: Volume, header: SeriesHeader, index: int) -> int:
    """Write localizer, main series and, in some studies, a companion or a bolus-timing series.

    Returns the number of files.
    """
    write_localizer(
        folder / "series-1",
        coronal_projection(volume),
        replace(header, series_number=1, series_description="Scout"),
        pixel_spacing_mm=(volume.slice_spacing_mm or 1.0, volume.pixel_spacing_mm[1]),
        first_pixel_mm=(*volume.first_pixel_mm[:2], float(volume.slice_z_mm[-1])),
    )
    files = 1 + len(write_ct_series(folder / MAIN_SERIES, volume, header))
    if (volume.slice_spacing_mm or THICK_MM) < THICK_MM:
        thick = thick_companion(volume)
        files += len(
            write_ct_series(
                folder / "series-3",
                thick,
                replace(
                    header,
                    series_number=3,
                    series_description=f"{header.series_description} thick",
                    slice_thickness_mm=thick.slice_spacing_mm,
                ),
            )
        )
    if index % 4 == 3:
        timing = replace(header, series_number=4, series_description="Bolus timing")
        files += len(write_ct_series(folder / "series-4", _middle(volume, slices=3), timing))
    return files


def coronal_projection(volume: Volume) -> NDArray[np.int16]:
    """Return the mean HU from front to back, rows from head to feet, as a scout shows it."""
    mean = volume.hu[::-1].mean(axis=1, dtype=np.float32)
    projection: NDArray[np.int16] = np.rint(mean).astype(np.int16)
    return projection


def thick_companion(volume: Volume) -> Volume:
    """Average neighbouring slices to at least 4 mm; a rest at the head end is dropped."""
    group = int(np.ceil(THICK_MM / (volume.slice_spacing_mm or THICK_MM)))
    count = len(volume) // group
    stacked = volume.hu[: count * group].reshape(count, group, *volume.slice_shape)
    positions = volume.slice_z_mm[: count * group].reshape(count, group).mean(axis=1)
    hu = np.rint(stacked.mean(axis=1, dtype=np.float32)).astype(np.int16)
    return _with_slices(volume, hu, positions)


def _middle(volume: Volume, *, slices: int) -> Volume:
    start = (len(volume) - slices) // 2
    kept = slice(start, start + slices)
    return _with_slices(volume, volume.hu[kept], volume.slice_z_mm[kept])


def _with_slices(volume: Volume, hu: NDArray[Any], slice_z_mm: NDArray[np.float64]) -> Volume:
    """Return the volume with other slices at other heights, in the same place otherwise."""
    x_mm, y_mm, _ = volume.first_pixel_mm
    first_pixel_mm = (x_mm, y_mm, float(slice_z_mm[0]))
    return replace(volume, hu=hu, slice_z_mm=slice_z_mm, first_pixel_mm=first_pixel_mm)


TRUTH_FOLDER: Final = "truth"
TRUTH_NAME: Final = "truth.json"
LABELS_NAME: Final = "labels.nii.gz"
CASES_NAME: Final = "cases.csv"
LEVELS_NAME: Final = "levels.csv"

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class PatientTruth:
    """Truth of one patient and its main series, in the DICOM patient frame.

    Levels are at mid-height of their vertebral bodies; areas are those on the slice nearest to L3,
    ``level_slice``. ``parameters`` and ``scan`` have units in their names.
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


def tissue_areas_cm2(
    labels: NDArray[np.uint8], volume: Volume, tissues: Sequence[Tissue] = ABDOMINAL_TISSUES
) -> dict[str, float]:
    """Return tissue key -> area of a (row, column) mask on the volume's pixel grid."""
    return {
        tissue.key: round(int(tissue.of(labels).sum()) * volume.pixel_area_mm2 / 100, 3)
        for tissue in tissues
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
