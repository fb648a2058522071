"""One DICOM file's attributes, read without its pixels, as a frozen value.

Nothing here raises over the content of a file: what is missing or malformed is None or empty, and
``qualify`` decides what follows from it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

_TAGS: Final = [
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID",
    "FrameOfReferenceUID", "PatientID", "PatientSex", "StudyDate", "Modality", "ImageType",
    "SeriesNumber", "SeriesDescription", "AcquisitionNumber", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns",
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "BitsStored",
    "RescaleSlope", "RescaleIntercept", "RescaleType",
    "Manufacturer", "ManufacturerModelName", "KVP", "ConvolutionKernel", "SliceThickness",
    "ContrastBolusAgent", "Exposure", "ReconstructionDiameter",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScannerInfo:
    """How a series was made, as its files say; empty or None where they do not.

    Attributes:
        kernel: Convolution kernel; several values are joined by a backslash.
        contrast_agent: Text of Contrast/Bolus Agent; empty means that none is stated.
        study_date: ``YYYYMMDD``; identifying, so it leaves only on request.
    """

    manufacturer: str = ""
    model: str = ""
    kvp: float | None = None
    kernel: str = ""
    exposure_mas: float | None = None
    slice_thickness_mm: float | None = None
    reconstruction_diameter_mm: float | None = None
    contrast_agent: str = ""
    study_date: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What grouping and qualification need from one file.

    Identifying fields are left out of ``repr``, so that no log shows them by accident.
    """

    path: Path = field(repr=False)
    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    frame_of_reference_uid: str = field(repr=False)
    patient_id: str = field(repr=False)
    patient_sex: str = field(repr=False)
    transfer_syntax_uid: str
    modality: str
    image_type: tuple[str, ...]
    series_number: int | None
    description: str
    acquisition_number: int | None
    instance_number: int | None
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, ...] | None
    rows: int
    columns: int
    samples_per_pixel: int
    photometric: str
    frames: int
    bits_stored: int
    slope_hu: float | None
    intercept_hu: float | None
    rescale_type: str
    scanner: ScannerInfo


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Silence pydicom's warnings about values that break the standard: they quote the values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=UserWarning)
        yield


def open_dicom(path: Path, *, pixels: bool) -> FileDataset | None:
    """Return the dataset of a DICOM file, None for any other file.

    Files without the part 10 header (bare datasets, as old archives write them) are accepted if
    they start with an element of group 0008. Without ``pixels`` only the attributes of
    ``FileHeader`` are read.

    Raises:
        OSError: The file cannot be read.
        Exception: The file claims to be DICOM but is damaged; pydicom raises many types.
    """
    options: dict[str, Any] = {} if pixels else {"stop_before_pixels": True, "specific_tags": _TAGS}
    with path.open("rb") as stream:
        start = stream.read(132)
    if start[128:] == b"DICM":
        return pydicom.dcmread(path, **options)
    if start[:2] != b"\x08\x00" or start[3:4] != b"\x00" or len(start) < 132:
        return None
    try:
        dataset = pydicom.dcmread(path, force=True, **options)
    except Exception:  # not DICOM after all; pydicom raises any type
        return None
    if "Modality" not in dataset or "SOPClassUID" not in dataset:
        return None
    implicit = dataset.original_encoding[0]
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def read_header(path: Path) -> FileHeader | None:
    """Return the header of a DICOM file, None for any other file.

    Raises:
        Exception: As for ``open_dicom``.
    """
    with quiet_pydicom():
        dataset = open_dicom(path, pixels=False)
        return None if dataset is None else _header(path, dataset)


def _header(path: Path, dataset: FileDataset) -> FileHeader:
    return FileHeader(
        path=path,
        sop_class_uid=_text(dataset, "SOPClassUID"),
        sop_instance_uid=_text(dataset, "SOPInstanceUID"),
        study_uid=_text(dataset, "StudyInstanceUID"),
        series_uid=_text(dataset, "SeriesInstanceUID"),
        frame_of_reference_uid=_text(dataset, "FrameOfReferenceUID"),
        patient_id=_text(dataset, "PatientID"),
        patient_sex=_text(dataset, "PatientSex").upper(),
        transfer_syntax_uid=str(dataset.file_meta.get("TransferSyntaxUID", "")),
        modality=_text(dataset, "Modality"),
        image_type=tuple(_text(dataset, "ImageType").upper().split("\\")),
        series_number=_integer(dataset, "SeriesNumber"),
        description=_text(dataset, "SeriesDescription"),
        acquisition_number=_integer(dataset, "AcquisitionNumber"),
        instance_number=_integer(dataset, "InstanceNumber"),
        position_mm=_numbers(dataset, "ImagePositionPatient", 3),
        orientation=_unit_vectors(_numbers(dataset, "ImageOrientationPatient", 6)),
        pixel_spacing_mm=_positive(_numbers(dataset, "PixelSpacing", 2)),
        rows=_integer(dataset, "Rows") or 0,
        columns=_integer(dataset, "Columns") or 0,
        samples_per_pixel=_integer(dataset, "SamplesPerPixel") or 1,
        photometric=_text(dataset, "PhotometricInterpretation"),
        frames=_integer(dataset, "NumberOfFrames") or 1,
        bits_stored=_integer(dataset, "BitsStored") or 0,
        slope_hu=_number(dataset, "RescaleSlope"),
        intercept_hu=_number(dataset, "RescaleIntercept"),
        rescale_type=_text(dataset, "RescaleType").upper(),
        scanner=_scanner(dataset),
    )


def _scanner(dataset: FileDataset) -> ScannerInfo:
    return ScannerInfo(
        manufacturer=_text(dataset, "Manufacturer"),
        model=_text(dataset, "ManufacturerModelName"),
        kvp=_number(dataset, "KVP"),
        kernel=_text(dataset, "ConvolutionKernel"),
        exposure_mas=_number(dataset, "Exposure"),
        slice_thickness_mm=_number(dataset, "SliceThickness"),
        reconstruction_diameter_mm=_number(dataset, "ReconstructionDiameter"),
        contrast_agent=_text(dataset, "ContrastBolusAgent"),
        study_date=_text(dataset, "StudyDate"),
    )


def _value(dataset: FileDataset, name: str) -> Any:
    try:
        return dataset.get(name)
    except Exception:  # a malformed value is a missing one, and pydicom raises any type
        return None


def _text(dataset: FileDataset, name: str) -> str:
    value = _value(dataset, name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip(" \0")
    values = value if hasattr(value, "__iter__") else [value]
    return "\\".join(str(item).strip(" \0") for item in values)


def _numbers(dataset: FileDataset, name: str, count: int) -> tuple[float, ...] | None:
    value = _value(dataset, name)
    values = [value] if count == 1 else value
    try:
        numbers = tuple(float(item) for item in values)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.all(np.isfinite(numbers)) else None


def _number(dataset: FileDataset, name: str) -> float | None:
    numbers = _numbers(dataset, name, 1)
    return numbers[0] if numbers else None


def _integer(dataset: FileDataset, name: str) -> int | None:
    number = _number(dataset, name)
    return None if number is None else int(number)


def _positive(numbers: tuple[float, ...] | None) -> tuple[float, ...] | None:
    return numbers if numbers is not None and min(numbers) > 0 else None


def _unit_vectors(cosines: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """Return the cosines if they are two perpendicular unit vectors within rounding, else None."""
    if cosines is None:
        return None
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    perpendicular = abs(float(row @ column)) < 1e-2
    return cosines if perpendicular and np.allclose(lengths, 1.0, atol=1e-2) else None
