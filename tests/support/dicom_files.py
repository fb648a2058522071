"""DICOM files as scanners, archives and faulty programs leave them, made from clean ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from pydicom.tag import Tag
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRBigEndian, RLELossless, generate_uid

_PER_FRAME = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
    "RescaleSlope", "RescaleIntercept", "RescaleType", "KVP",
)  # fmt: skip


def edit(path: Path, **attributes: object) -> None:
    """Set (or with None delete) attributes of a file in place."""
    dataset = pydicom.dcmread(path)
    for name, value in attributes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.save_as(path)


def put_raw(path: Path, keyword: str, value: bytes) -> None:
    """Store the bytes of an attribute, whether they follow the standard or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        dataset = pydicom.dcmread(path)
        tag = Tag(keyword)
        padded = value + b"\0" * (len(value) % 2)
        dataset[tag] = RawDataElement(tag, dictionary_VR(tag), len(padded), padded, 0, False, True)
        dataset.save_as(path, enforce_file_format=False)


def store(path: Path, change: Callable[[np.ndarray], np.ndarray], **attributes: object) -> None:
    """Replace the stored pixels of a file by what ``change`` makes of them."""
    dataset = pydicom.dcmread(path)
    edit(path, PixelData=change(dataset.pixel_array).tobytes(), **attributes)


def as_big_endian(path: Path) -> None:
    dataset = pydicom.dcmread(path)
    plain = Dataset()
    for element in dataset:
        plain.add(element)
    plain.PixelData = dataset.pixel_array.astype(">i2").tobytes()
    plain.file_meta = dataset.file_meta
    plain.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pydicom.dcmwrite(path, plain, little_endian=False, implicit_vr=False, enforce_file_format=True)


def dicomdir(files: Sequence[Path], folder: Path) -> Path:
    """Write a disc: the files under eight-letter names, and the DICOMDIR that lists them."""
    for path in files:
        edit(path, PatientID="P1")
    disc = FileSet()
    for path in files:
        disc.add(path)
    disc.write(folder)
    disc._stage["t"].cleanup()  # else it warns when it is collected
    return folder / "DICOMDIR"


def enhanced(files: Sequence[Path], target: Path, *, compressed: bool = False) -> Dataset:
    """Join single-frame files into one enhanced multi-frame file, frames in the order given."""
    singles = [pydicom.dcmread(path) for path in files]
    joined = pydicom.dcmread(files[0])
    for name in _PER_FRAME:
        delattr(joined, name)
    kernel = joined.pop("ConvolutionKernel", None)
    joined.SOPClassUID = joined.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    joined.SOPInstanceUID = joined.file_meta.MediaStorageSOPInstanceUID = generate_uid(
        entropy_srcs=["enhanced", str(joined.SeriesInstanceUID)]
    )
    joined.NumberOfFrames = len(singles)
    first = singles[0]
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=first.ImageOrientationPatient)]
    shared.PixelMeasuresSequence = [
        _item(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness)
    ]
    shared.CTXRayDetailsSequence = [_item(KVP=first.KVP)]
    if kernel is not None:
        shared.CTReconstructionSequence = [_item(ConvolutionKernel=kernel.value)]
    joined.SharedFunctionalGroupsSequence = [shared]
    joined.PerFrameFunctionalGroupsSequence = [_frame(single) for single in singles]
    joined.PixelData = b"".join(single.PixelData for single in singles)
    if compressed:
        joined.compress(RLELossless, generate_instance_uid=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    joined.save_as(target)
    return joined


def _frame(single: Dataset) -> Dataset:
    frame = Dataset()
    frame.PlanePositionSequence = [_item(ImagePositionPatient=single.ImagePositionPatient)]
    frame.PixelValueTransformationSequence = [
        _item(RescaleSlope=single.RescaleSlope, RescaleIntercept=single.RescaleIntercept,
              RescaleType="HU")
    ]  # fmt: skip
    frame.FrameContentSequence = [_item(FrameAcquisitionNumber=single.AcquisitionNumber)]
    return frame


def _item(**attributes: object) -> Dataset:
    item = Dataset()
    for name, value in attributes.items():
        setattr(item, name, value)
    return item
