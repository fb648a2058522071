"""The attributes of a CT Image Storage object that all images of one series share (PS3.3 A.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage
from pydicom.valuerep import format_number_as_ds

from bodycomp.dicom.header import PixelFormat, SeriesHeader

# Fixed, so that a new version of bodycomp or pydicom does not change the bytes.
IMPLEMENTATION_CLASS_UID: Final = "1.2.826.0.1.3680043.8.498.20261123.1"
IMPLEMENTATION_VERSION: Final = "BODYCOMP_CT_1"


@dataclass(frozen=True, eq=False)
class Stack:
    """Images in writing order (instance number 1 first) with their geometry.

    Attributes:
        hu: (image, row, column).
        positions_mm: (image, 3) LPS positions of pixel (0, 0).
        pixel_spacing_mm: Distance between rows, distance between columns.
        thickness_mm: Slice thickness unless the header gives one; None when unknown.
    """

    hu: NDArray[Any]
    positions_mm: NDArray[np.float64]
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, float]
    thickness_mm: float | None


def series_dataset(stack: Stack, header: SeriesHeader) -> FileDataset:
    """Return a dataset with everything that all images of the series share."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    dataset = FileDataset("", {}, preamble=b"\0" * 128, file_meta=meta)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = CTImageStorage
    _set_patient_and_study(dataset, header)
    _set_series(dataset, header)
    _set_image_format(dataset, stack, header.pixels)
    thickness_mm = header.slice_thickness_mm
    dataset.SliceThickness = _optional(stack.thickness_mm if thickness_mm is None else thickness_mm)
    return dataset


def _set_patient_and_study(dataset: Dataset, header: SeriesHeader) -> None:
    dataset.PatientName = header.patient_name
    dataset.PatientID = header.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = header.patient_sex
    if header.patient_age_years is not None:
        dataset.PatientAge = f"{header.patient_age_years:03d}Y"
    if header.patient_height_m is not None:
        dataset.PatientSize = decimal_string(header.patient_height_m)
    if header.patient_weight_kg is not None:
        dataset.PatientWeight = decimal_string(header.patient_weight_kg)
    for kind in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{kind}Date", header.date)
        setattr(dataset, f"{kind}Time", header.time)
    dataset.StudyInstanceUID = header.uid("study")
    dataset.StudyID = "1"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = header.study_description


def _set_series(dataset: Dataset, header: SeriesHeader) -> None:
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = header.uid("series")
    dataset.SeriesNumber = header.series_number
    dataset.SeriesDescription = header.series_description
    dataset.ProtocolName = header.protocol_name
    if header.body_part:
        dataset.BodyPartExamined = header.body_part
    else:
        dataset.Laterality = ""  # Type 2C: wanted where the body part leaves it open
    dataset.PatientPosition = header.patient_position
    dataset.FrameOfReferenceUID = header.uid("frame")
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = header.manufacturer
    dataset.ManufacturerModelName = header.model
    dataset.ImageType = list(header.image_type)
    # The values of a projection are not HU; US says "unspecified" (PS3.3 C.11.1.1.2).
    dataset.RescaleType = "US" if "LOCALIZER" in header.image_type else "HU"
    dataset.AcquisitionNumber = header.acquisition_number
    dataset.KVP = _optional(header.kvp)
    dataset.GantryDetectorTilt = "0"
    if header.exposure_mas is not None:
        dataset.Exposure = header.exposure_mas
    if header.kernel:
        kernel = header.kernel
        dataset.ConvolutionKernel = kernel if isinstance(kernel, str) else list(kernel)
    if header.contrast_agent is not None:
        dataset.ContrastBolusAgent = header.contrast_agent


def _set_image_format(dataset: Dataset, stack: Stack, pixels: PixelFormat) -> None:
    dataset.ImageOrientationPatient = [decimal_string(cosine) for cosine in stack.orientation]
    dataset.PixelSpacing = [decimal_string(spacing) for spacing in stack.pixel_spacing_mm]
    dataset.Rows, dataset.Columns = (int(n) for n in stack.hu.shape[1:])
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 16
    dataset.BitsStored = pixels.bits_stored
    dataset.HighBit = pixels.bits_stored - 1
    dataset.PixelRepresentation = int(pixels.signed)
    if pixels.padding is not None:
        dataset.add_new("PixelPaddingValue", "SS" if pixels.signed else "US", pixels.padding)
    dataset.RescaleIntercept = decimal_string(pixels.intercept_hu)
    dataset.RescaleSlope = decimal_string(pixels.slope_hu)
    dataset.WindowCenter = "40"
    dataset.WindowWidth = "400"


def decimal_string(value: float) -> str:
    """Return a decimal string of at most 16 characters; rounding noise below 1e-9 is dropped."""
    return str(format_number_as_ds(round(float(value), 9) + 0.0)).removesuffix(".0")


def _optional(value: float | None) -> str | None:
    return None if value is None else decimal_string(value)
