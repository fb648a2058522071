"""Annotations in every format that `bodycomp.annotation` reads, written by independent tools.

highdicom writes SEG, contourpy and pydicom RTSTRUCT, nibabel NIfTI, SimpleITK NRRD, pynrrd the
fields of ``.seg.nrrd``, Pillow PNG. All take labels of a volume as (slice, row, column).
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import contourpy
import nibabel as nib
import nrrd
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.annotation.labels import LabelMapping
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume
from bodycomp.phantom import Torso, sample_patient, sample_scan
from bodycomp.reading.read_scan import read_scan
from bodycomp.scan import Scan

CONTOUR_DATA = Tag("ContourData")

TISSUES = LabelMapping.parse(
    [
        *(f"{tissue.label}={tissue.key}" for tissue in ABDOMINAL_TISSUES),
        *(f"{tissue.key}={tissue.key}" for tissue in ABDOMINAL_TISSUES),
    ]
)
TISSUE_NAMES = {tissue.label: tissue.key for tissue in ABDOMINAL_TISSUES}
TOTALSEGMENTATOR_L1_TO_L5 = {"L1": 31, "L2": 30, "L3": 29, "L4": 28, "L5": 27}


def simpleitk() -> ModuleType:
    """SimpleITK, whose SWIG wrapper warns while it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("SimpleITK")


def small_phantom(
    slices: int = 12, matrix: int = 128, seed: int = 5
) -> tuple[Volume, NDArray[np.uint8]]:
    """A phantom about L3 on coarse pixels, 5 mm apart, with its true labels."""
    return deepcopy(_rendered(slices, matrix, seed))


@cache
def _rendered(slices: int, matrix: int, seed: int) -> tuple[Volume, NDArray[np.uint8]]:
    patient = sample_patient(seed, 0)
    scan = sample_scan(patient)
    torso = Torso(patient)
    start = float(torso.level_z_mm["L3"]) - 2.5 * slices
    scan = replace(
        scan,
        matrix=(matrix, matrix),
        pixel_spacing_mm=round(scan.pixel_spacing_mm * 512 / matrix, 4),
        slice_spacing_mm=5.0,
        slice_thickness_mm=5.0,
        z_start_mm=round(start, 1),
        z_end_mm=round(start, 1) + 5.0 * (slices - 1),
    )
    return torso.render(scan)


@dataclass(frozen=True, eq=False)
class Case:
    """A scan as a folder of DICOM images, with its true labels."""

    folder: Path
    scan: Scan
    labels: NDArray[np.uint8]


def dicom_case(folder: Path, volume: Volume, labels: NDArray[np.uint8]) -> Case:
    """Write a volume as DICOM, numbered from the head as most scanners do, and read it."""
    header = SeriesHeader(
        seed="case", patient_sex="F", manufacturer="Tests", contrast_agent="Some agent"
    )
    write_ct_series(folder, volume, header)
    scan = read_scan(folder)
    np.testing.assert_array_equal(scan.volume.hu, volume.hu)
    return Case(folder, scan, labels)


def index_to_lps(volume: Volume) -> NDArray[np.float64]:
    """(4, 4) from (column, row, slice) to millimetres, for evenly spaced slices."""
    x, y = np.array(volume.orientation[:3]), np.array(volume.orientation[3:])
    row_mm, column_mm = volume.pixel_spacing_mm
    normal = np.cross(x, y)
    normal = normal if normal[2] > 0 else -normal
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = x * column_mm, y * row_mm
    way = np.array(volume.stack_direction or normal)
    affine[:3, 2] = way * float(np.diff(volume.slice_z_mm).mean()) / way[2]
    affine[:3, 3] = (*volume.first_pixel_mm[:2], volume.slice_z_mm[0])
    return affine


def every_layout(
    array: NDArray[Any], affine: NDArray[np.float64]
) -> list[tuple[str, NDArray[Any], NDArray[np.float64]]]:
    """Voxels (column, row, slice) and their affine in all 48 orders and directions of the axes."""
    layouts = []
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            data, turned = array, affine.copy()
            for axis in np.flatnonzero(flips):
                data = np.flip(data, axis)
                turned[:, 3] += turned[:, axis] * (data.shape[axis] - 1)
                turned[:, axis] *= -1
            name = "".join("xyz"[axis].upper() if flips[axis] else "xyz"[axis] for axis in order)
            layouts.append((name, data.transpose(order), turned[:, [*order, 3]]))
    return layouts


def save_nifti(path: Path, voxels: NDArray[Any], affine_lps: NDArray[np.float64]) -> Path:
    """Write voxels as stored, by nibabel."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine_lps
    image = nib.Nifti1Image(np.ascontiguousarray(voxels), affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def save_nrrd(path: Path, voxels: NDArray[Any], affine_lps: NDArray[np.float64]) -> Path:
    """Write voxels as stored, by SimpleITK, whose world is LPS as well.

    A grid that mirrors the patient keeps its mirror: ITK stores any orthogonal directions.
    """
    sitk = simpleitk()
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.transpose(2, 1, 0)))
    spacing = np.linalg.norm(affine_lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine_lps[:3, 3].tolist())
    image.SetDirection((affine_lps[:3, :3] / spacing).ravel().tolist())
    sitk.WriteImage(image, str(path), path.suffix == ".nrrd")
    return path


def nifti_map(path: Path, labels: NDArray[Any], volume: Volume) -> Path:
    """One label map as ITK-SNAP saves it."""
    return save_nifti(path, labels.transpose(2, 1, 0), index_to_lps(volume))


def nrrd_map(path: Path, labels: NDArray[Any], volume: Volume) -> Path:
    """One label map without names."""
    return save_nrrd(path, labels.transpose(2, 1, 0), index_to_lps(volume))


def seg_nrrd(
    path: Path,
    layers: Sequence[NDArray[np.uint8]],
    volume: Volume,
    segments: Sequence[tuple[str, int, int]],
    *,
    extent: tuple[slice, slice, slice] = (slice(None),) * 3,
) -> Path:
    """A segmentation as 3D Slicer saves it.

    Args:
        layers: Label arrays that may overlap one another.
        segments: Name, label value and layer of each segment.
        extent: Part of (slice, row, column) that is stored, as Slicer crops to what is drawn.
    """
    affine = index_to_lps(volume)
    starts = [part.start or 0 for part in extent]
    origin = affine[:3, :3] @ np.array(starts[::-1]) + affine[:3, 3]
    cropped = np.stack([layer[extent].transpose(2, 1, 0) for layer in layers])
    overlapping = len(layers) > 1
    no_direction = np.full((1, 3), np.nan)
    directions = affine[:3, :3].T
    header: dict[str, Any] = {
        "space": "left-posterior-superior",
        "space directions": np.vstack([no_direction, directions]) if overlapping else directions,
        "space origin": origin,
        "kinds": ["list"] * overlapping + ["domain"] * 3,
        "encoding": "gzip",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ReferenceImageExtentOffset": " ".join(map(str, starts[::-1])),
    }
    for number, (name, value, layer) in enumerate(segments):
        header[f"Segment{number}_ID"] = f"Segment_{number + 1}"
        header[f"Segment{number}_Name"] = name
        header[f"Segment{number}_LabelValue"] = str(value)
        header[f"Segment{number}_Layer"] = str(layer)
    nrrd.write(str(path), cropped if overlapping else cropped[0], header)
    return path


def dicom_seg(
    path: Path,
    segments: NDArray[Any],
    files: Sequence[Path],
    names: Mapping[int, str] = TISSUE_NAMES,
    *,
    kind: str = "BINARY",
) -> Path:
    """A segmentation of a DICOM series, by highdicom.

    Args:
        segments: (slice, row, column) labels, or with a fourth axis one mask per segment (fractions
            0..1 if ``kind`` is FRACTIONAL).
        files: The slices in the same order.
        names: Segment number, from 1, -> label.
        kind: BINARY, FRACTIONAL or LABELMAP.
    """
    import highdicom as hd  # noqa: PLC0415  # seconds that other tests need not spend
    from pydicom.sr.codedict import codes  # noqa: PLC0415

    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, name in names.items()
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seg = hd.seg.Segmentation(
            source_images=[pydicom.dcmread(file) for file in files],
            pixel_array=segments,
            segmentation_type=hd.seg.SegmentationTypeValues(kind),
            segment_descriptions=descriptions,
            series_instance_uid=generate_uid(),
            series_number=300,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="Tests",
            manufacturer_model_name="Tests",
            software_versions="1",
            device_serial_number="1",
        )
        seg.save_as(path)
    return path


def outlines(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """(point, 2) row and column of the closed lines around a mask, holes included."""
    padded = np.pad(mask, 1).astype(np.float64)
    lines = contourpy.contour_generator(z=padded).lines(0.5)
    return [line[:-1, ::-1] - 1 for line in lines]


def slice_outlines(labels: NDArray[Any], label: int, volume: Volume) -> list[tuple[int, NDArray]]:
    """Slice index and (point, 3) LPS points of every outline of a label."""
    affine = index_to_lps(volume)
    found = []
    for index, plane in enumerate(labels):
        for line in outlines(plane == label):
            points = np.column_stack([line[:, 1], line[:, 0], np.full(len(line), index)])
            found.append((index, points @ affine[:3, :3].T + affine[:3, 3]))
    return found


def rtstruct(
    path: Path,
    regions: Mapping[str, Iterable[tuple[int, NDArray[np.float64]]]],
    files: Sequence[Path],
    *,
    geometric_type: str = "CLOSED_PLANAR",
    decimals: int = 2,
) -> Path:
    """A structure set on a DICOM series, as planning systems write it.

    Args:
        regions: Name -> slice index and (point, 3) LPS points of each contour.
        files: The slices from feet to head.
        decimals: Of a coordinate in mm.
    """
    images = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    dataset = _rtstruct_header(images)
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(regions.items(), start=1):
        dataset.StructureSetROISequence.append(
            _items(
                ROINumber=number,
                ReferencedFrameOfReferenceUID=images[0].FrameOfReferenceUID,
                ROIName=name,
                ROIGenerationAlgorithm="MANUAL",
            )
        )
        region = _items(ReferencedROINumber=number, ROIDisplayColor=[255, 0, 0])
        region.ContourSequence = []
        for index, points in contours:
            image = images[index] if 0 <= index < len(images) else None
            contour = _items(
                ContourGeometricType=geometric_type,
                NumberOfContourPoints=len(points),
            )
            contour[CONTOUR_DATA] = _contour_data(points, decimals)
            if image is not None:
                contour.ContourImageSequence = [_reference(image)]
            region.ContourSequence.append(contour)
        dataset.ROIContourSequence.append(region)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _contour_data(points: NDArray[np.float64], decimals: int) -> RawDataElement:
    """Coordinates as the bytes of the file: pydicom would check each of thousands of numbers."""
    text = "\\".join(f"{value:.{decimals}f}" for value in points.ravel()).encode()
    value = text + b" " * (len(text) % 2)
    return RawDataElement(CONTOUR_DATA, "DS", len(value), value, 0, True, True)


def _rtstruct_header(images: Sequence[Dataset]) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ImplicitVRLittleEndian  # explicit ones hold 64 kB of a contour
    dataset = FileDataset("", {}, preamble=b"\0" * 128, file_meta=meta)
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = "RTSTRUCT"
    dataset.PatientID, dataset.PatientName = images[0].PatientID, images[0].PatientName
    dataset.StudyInstanceUID = images[0].StudyInstanceUID
    dataset.SeriesInstanceUID = generate_uid()
    dataset.StructureSetLabel = "tests"
    series = _items(SeriesInstanceUID=images[0].SeriesInstanceUID)
    series.ContourImageSequence = [_reference(image) for image in images]
    study = _items(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
        ReferencedSOPInstanceUID=images[0].StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )
    frame = _items(FrameOfReferenceUID=images[0].FrameOfReferenceUID)
    frame.RTReferencedStudySequence = [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    return dataset


def _reference(image: Dataset) -> Dataset:
    return _items(
        ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID
    )


def _items(**attributes: object) -> Dataset:
    dataset = Dataset()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def png_folder(
    folder: Path, labels: NDArray[np.uint8], stems: Sequence[str], *, palette: bool = False
) -> Path:
    """One label image per slice, grey or with a palette whose colours mean nothing."""
    folder.mkdir(parents=True)
    for plane, stem in zip(labels, stems, strict=True):
        image = Image.fromarray(plane)
        if palette:
            image = image.convert("P") if image.mode != "P" else image
            image.putpalette([200, 10, 10, 0, 0, 0, 40, 80, 160, 255, 255, 255])
        image.save(folder / f"{stem}.png")
    return folder


def mask_folder(folder: Path, masks: Mapping[str, NDArray[Any]], volume: Volume) -> Path:
    """One binary NIfTI file per structure, as TotalSegmentator writes them."""
    folder.mkdir(parents=True)
    for name, mask in masks.items():
        nifti_map(folder / f"{name}.nii.gz", mask.astype(np.uint8), volume)
    return folder


def markups(
    path: Path, points: Mapping[str, Sequence[float]], *, system: str = "LPS", units: str = "mm"
) -> Path:
    """Slicer markups; positions are LPS and are written in ``system``."""
    sign = np.array([-1, -1, 1]) if system == "RAS" else np.ones(3)
    markup = {
        "type": "Fiducial",
        "coordinateSystem": system,
        "coordinateUnits": units,
        "controlPoints": [
            {
                "id": str(number),
                "label": label,
                "position": (np.array(position) * sign).tolist(),
                "positionStatus": "defined",
            }
            for number, (label, position) in enumerate(points.items(), start=1)
        ],
    }
    path.write_text(json.dumps({"markups": [markup]}))
    return path


def vertebra_labels(
    volume: Volume, levels_z_mm: Mapping[str, float], numbers: Mapping[str, int]
) -> NDArray[np.uint8]:
    """Vertebrae of a supine volume: a body 27 mm high, and processes that hang 20 mm lower.

    A body's middle lies at the level's z; pixels of 1 to 6 mm are fine enough.
    """
    labels = np.zeros(volume.hu.shape, np.uint8)
    row_mm, column_mm = volume.pixel_spacing_mm
    rows, columns = volume.slice_shape
    y = (np.arange(rows) - rows / 2) * row_mm
    x = (np.arange(columns) - columns / 2) * column_mm
    body = (np.abs(y)[:, None] <= 17) & (np.abs(x)[None] <= 24)
    processes = ((y >= 17) & (y <= 65))[:, None] & (np.abs(x)[None] <= 5)
    for level, z_mm in levels_z_mm.items():
        rise = volume.slice_z_mm - z_mm
        for index in np.flatnonzero(np.abs(rise) <= 13.5):
            labels[index, body] = numbers[level]
        for index in np.flatnonzero((rise >= -33.5) & (rise <= 0)):
            labels[index, processes & (labels[index] == 0)] = numbers[level]
    return labels
