"""One DICOM image's attributes, read without its pixels, as a frozen value.

Nothing here raises over the content of a file: what is missing or malformed is None or empty, and
``qualify`` decides what follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from bodycomp.dicom.deflated import check_inflated_size
from bodycomp.dicom.frames import FUNCTIONAL_GROUPS, frame_datasets
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.dicom.values import integer, number, numbers, positive, text, unit_vectors
from bodycomp.subject import Acquisition

_TAGS: Final = [
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID",
    "FrameOfReferenceUID", "PatientID", "PatientSex", "PatientSize", "PatientWeight",
    "StudyDate", "Modality", "ImageType",
    "SeriesNumber", "SeriesDescription", "AcquisitionNumber", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns",
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "BitsStored",
    "RescaleSlope", "RescaleIntercept", "RescaleType",
    "Manufacturer", "ManufacturerModelName", "KVP", "ConvolutionKernel", "SliceThickness",
    "ContrastBolusAgent", "Exposure",
    "BodyPartExamined", "ProtocolName", "LossyImageCompression", "Units",
    "TemporalPositionIdentifier", "NominalPercentageOfCardiacPhase", *FUNCTIONAL_GROUPS,
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What grouping and qualification need from one image: a file, or one frame of a file.

    Identifying fields are left out of ``repr``, so that no log shows them by accident.

    Attributes:
        frame_number: Place in a file of many frames, from 1 as DICOM counts; None in a file of
            one image.
        frames: Number of frames that share the file without a geometry of their own.
        is_lossy: The header says that compression lost detail.
        units: Units of the values, as nuclear medicine states them.
        region: Words that may name the part of the body: body part, protocol, description.
        phase_marks: What tells images of one place apart in time.
        study_date: ``YYYYMMDD``.
        folder: Name of the folder that it lies in; ``series.find_series`` gives it.
    """

    path: Path = field(repr=False)
    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    frame_of_reference_uid: str = field(repr=False)
    patient_id: str = field(repr=False)
    patient_sex: str = field(repr=False)
    patient_height_m: float | None = field(repr=False)
    patient_weight_kg: float | None = field(repr=False)
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
    frame_number: int | None
    bits_stored: int
    slope_hu: float | None
    intercept_hu: float | None
    rescale_type: str
    is_lossy: bool
    units: str
    region: str = field(repr=False)
    phase_marks: tuple[int | None, float | None]
    acquisition: Acquisition
    study_date: str = field(default="", repr=False)
    folder: str = field(default="", repr=False)


def open_dicom(path: Path, *, pixels: bool) -> FileDataset | None:
    """Return the dataset of a DICOM file, None for any other file.

    Files without the part 10 header (bare datasets, as old archives write them) are accepted if
    they start with an element of group 0008. Without ``pixels`` only the attributes of
    ``FileHeader`` are read.

    Raises:
        OSError: The file cannot be read.
        SeriesError: It would inflate to more than images do.
        Exception: The file claims to be DICOM but is damaged; pydicom raises many types.
    """
    options: dict[str, Any] = {} if pixels else {"stop_before_pixels": True, "specific_tags": _TAGS}
    with path.open("rb") as stream:
        start = stream.read(132)
    if start[128:] == b"DICM":
        check_inflated_size(path)
        dataset = pydicom.dcmread(path, **options)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = _syntax_found(dataset)
        return dataset
    if start[:2] != b"\x08\x00" or start[3:4] != b"\x00" or len(start) < 132:
        return None
    try:
        dataset = pydicom.dcmread(path, force=True, **options)
    except Exception:  # not DICOM after all; pydicom raises any type
        return None
    if "Modality" not in dataset or "SOPClassUID" not in dataset:
        return None
    dataset.file_meta.TransferSyntaxUID = _syntax_found(dataset)
    return dataset


def _syntax_found(dataset: FileDataset) -> UID:
    """Return the transfer syntax by which an undeclared dataset turned out to be readable."""
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def read_headers(path: Path) -> tuple[FileHeader, ...]:
    """Return a header for every image of a DICOM file; none for any other file.

    An enhanced multi-frame object has an image per frame, any other object one.

    Raises:
        Exception: As for ``open_dicom``.
    """
    with quiet_pydicom():
        dataset = open_dicom(path, pixels=False)
        if dataset is None:
            return ()
        syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
        frames = frame_datasets(dataset)
        if frames is None:
            return (_header(path, dataset, syntax, None),)
        return tuple(_header(path, frame, syntax, n) for n, frame in enumerate(frames, start=1))


def _header(
    path: Path, dataset: Dataset, transfer_syntax_uid: str, frame_number: int | None
) -> FileHeader:
    region = ("BodyPartExamined", "ProtocolName", "SeriesDescription")
    return FileHeader(
        path=path,
        sop_class_uid=text(dataset, "SOPClassUID"),
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        study_uid=text(dataset, "StudyInstanceUID"),
        series_uid=text(dataset, "SeriesInstanceUID"),
        frame_of_reference_uid=text(dataset, "FrameOfReferenceUID"),
        patient_id=text(dataset, "PatientID"),
        patient_sex=text(dataset, "PatientSex").upper(),
        patient_height_m=number(dataset, "PatientSize"),
        patient_weight_kg=number(dataset, "PatientWeight"),
        transfer_syntax_uid=transfer_syntax_uid,
        modality=text(dataset, "Modality"),
        image_type=tuple(text(dataset, "ImageType").upper().split("\\")),
        series_number=integer(dataset, "SeriesNumber"),
        description=text(dataset, "SeriesDescription"),
        acquisition_number=integer(dataset, "AcquisitionNumber"),
        instance_number=integer(dataset, "InstanceNumber"),
        position_mm=numbers(dataset, "ImagePositionPatient", 3),
        orientation=unit_vectors(numbers(dataset, "ImageOrientationPatient", 6)),
        pixel_spacing_mm=positive(numbers(dataset, "PixelSpacing", 2)),
        rows=integer(dataset, "Rows") or 0,
        columns=integer(dataset, "Columns") or 0,
        samples_per_pixel=integer(dataset, "SamplesPerPixel") or 1,
        photometric=text(dataset, "PhotometricInterpretation"),
        frames=1 if frame_number else integer(dataset, "NumberOfFrames") or 1,
        frame_number=frame_number,
        bits_stored=integer(dataset, "BitsStored") or 0,
        slope_hu=number(dataset, "RescaleSlope"),
        intercept_hu=number(dataset, "RescaleIntercept"),
        rescale_type=text(dataset, "RescaleType").upper(),
        is_lossy=text(dataset, "LossyImageCompression") == "01",
        units=text(dataset, "Units").upper(),
        region=" ".join(text(dataset, name) for name in region),
        phase_marks=(
            integer(dataset, "TemporalPositionIdentifier"),
            number(dataset, "NominalPercentageOfCardiacPhase"),
        ),
        acquisition=_acquisition(dataset),
        study_date=text(dataset, "StudyDate"),
    )


def _acquisition(dataset: Dataset) -> Acquisition:
    return Acquisition(
        kvp=number(dataset, "KVP"),
        kernel=text(dataset, "ConvolutionKernel"),
        slice_thickness_mm=number(dataset, "SliceThickness"),
        contrast_agent=text(dataset, "ContrastBolusAgent"),
        exposure_mas=number(dataset, "Exposure"),
        manufacturer=text(dataset, "Manufacturer"),
        scanner_model=text(dataset, "ManufacturerModelName"),
    )
