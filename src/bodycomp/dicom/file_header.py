"""One DICOM image's attributes, read without its pixels, as a frozen value.

Nothing here raises over the content of a file: what is missing or malformed is None or empty, and
``qualify`` decides what follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from bodycomp.dicom.deflated import check_inflated_size
from bodycomp.dicom.frames import FUNCTIONAL_GROUPS, frame_datasets
from bodycomp.dicom.values import (
    age_years,
    integer,
    number,
    numbers,
    positive,
    text,
    unit_vectors,
)
from bodycomp.subject import Acquisition

Reader = Callable[[Dataset, str], Any]


def _stated(keyword: str, read: Reader = text, *, names_somebody: bool = False) -> Any:
    """Declare a field of a header: the attribute that states it, and how it is read."""
    return field(repr=not names_somebody, metadata={"keyword": keyword, "read": read})


def _numbers(count: int) -> Reader:
    return lambda dataset, name: numbers(dataset, name, count)


def _upper(dataset: Dataset, name: str) -> str:
    return text(dataset, name).upper()


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What grouping and qualification need from one image: a file, or one frame of a file.

    Identifying fields are left out of ``repr``, so that no log shows them by accident.

    Attributes:
        frame_number: Place in a file of many frames, from 1 as DICOM counts; None in a file of
            one image.
        frames: Number of frames that share the file without a geometry of their own.
        units: Units of the values, as nuclear medicine states them.
        region: Words that may name the part of the body: body part, protocol, description.
        phase_marks: What tells images of one place apart in time.
        folder: Name of the folder that it lies in; ``series.find_series`` gives it.
    """

    path: Path = field(repr=False)
    transfer_syntax_uid: str
    frames: int
    frame_number: int | None
    region: str = field(repr=False)
    phase_marks: tuple[int | None, float | None]
    acquisition: Acquisition
    sop_class_uid: str = _stated("SOPClassUID")
    sop_instance_uid: str = _stated("SOPInstanceUID", names_somebody=True)
    study_uid: str = _stated("StudyInstanceUID", names_somebody=True)
    series_uid: str = _stated("SeriesInstanceUID", names_somebody=True)
    frame_of_reference_uid: str = _stated("FrameOfReferenceUID", names_somebody=True)
    patient_id: str = _stated("PatientID", names_somebody=True)
    patient_sex: str = _stated("PatientSex", _upper, names_somebody=True)
    patient_age_years: float | None = _stated("PatientAge", age_years, names_somebody=True)
    patient_height_m: float | None = _stated("PatientSize", number, names_somebody=True)
    patient_weight_kg: float | None = _stated("PatientWeight", number, names_somebody=True)
    modality: str = _stated("Modality")
    image_type: tuple[str, ...] = _stated("ImageType", lambda d, n: tuple(_upper(d, n).split("\\")))
    series_number: int | None = _stated("SeriesNumber", integer)
    description: str = _stated("SeriesDescription")
    acquisition_number: int | None = _stated("AcquisitionNumber", integer)
    instance_number: int | None = _stated("InstanceNumber", integer)
    position_mm: tuple[float, ...] | None = _stated("ImagePositionPatient", _numbers(3))
    orientation: tuple[float, ...] | None = _stated(
        "ImageOrientationPatient", lambda d, n: unit_vectors(numbers(d, n, 6))
    )
    pixel_spacing_mm: tuple[float, ...] | None = _stated(
        "PixelSpacing", lambda d, n: positive(numbers(d, n, 2))
    )
    rows: int = _stated("Rows", lambda d, n: integer(d, n) or 0)
    columns: int = _stated("Columns", lambda d, n: integer(d, n) or 0)
    samples_per_pixel: int = _stated("SamplesPerPixel", lambda d, n: integer(d, n) or 1)
    photometric: str = _stated("PhotometricInterpretation")
    bits_stored: int = _stated("BitsStored", lambda d, n: integer(d, n) or 0)
    slope_hu: float | None = _stated("RescaleSlope", number)
    intercept_hu: float | None = _stated("RescaleIntercept", number)
    rescale_type: str = _stated("RescaleType", _upper)
    is_lossy: bool = _stated("LossyImageCompression", lambda d, n: text(d, n) == "01")
    units: str = _stated("Units", _upper)
    study_date: str = _stated("StudyDate", names_somebody=True)
    folder: str = field(default="", repr=False)


_STATED: Final = {f.name: f.metadata for f in fields(FileHeader) if f.metadata}
_ACQUISITION: Final[Mapping[str, tuple[str, Reader]]] = {
    "kvp": ("KVP", number),
    "kernel": ("ConvolutionKernel", text),
    "slice_thickness_mm": ("SliceThickness", number),
    "contrast_agent": ("ContrastBolusAgent", text),
    "exposure_mas": ("Exposure", number),
    "manufacturer": ("Manufacturer", text),
    "scanner_model": ("ManufacturerModelName", text),
}
_REGION: Final = ("BodyPartExamined", "ProtocolName", "SeriesDescription")
_PHASES: Final = ("TemporalPositionIdentifier", "NominalPercentageOfCardiacPhase")
_TAGS: Final = [
    *(stated["keyword"] for stated in _STATED.values()),
    *(keyword for keyword, _ in _ACQUISITION.values()),
    *("PatientBirthDate", "NumberOfFrames", *_REGION[:2], *_PHASES, *FUNCTIONAL_GROUPS),
]


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
    """
    dataset = open_dicom(path, pixels=False)
    if dataset is None:
        return ()
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    frames = frame_datasets(dataset)
    if frames is None:
        return (_header(path, dataset, syntax, None),)
    return tuple(_header(path, frame, syntax, n) for n, frame in enumerate(frames, start=1))


def _header(path: Path, dataset: Dataset, syntax: str, frame_number: int | None) -> FileHeader:
    made = {name: read(dataset, keyword) for name, (keyword, read) in _ACQUISITION.items()}
    values = {name: how["read"](dataset, how["keyword"]) for name, how in _STATED.items()}
    position, phase = _PHASES
    return FileHeader(
        path=path,
        transfer_syntax_uid=syntax,
        frames=1 if frame_number else integer(dataset, "NumberOfFrames") or 1,
        frame_number=frame_number,
        region=" ".join(text(dataset, name) for name in _REGION),
        phase_marks=(integer(dataset, position), number(dataset, phase)),
        acquisition=Acquisition(**made),
        **values,
    )
