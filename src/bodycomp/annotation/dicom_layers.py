"""DICOM SEG and RTSTRUCT -> layers on a scan's grid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.annotation.contours import fill_contours, fill_region
from bodycomp.annotation.grid import (
    TOLERANCE_VOXELS,
    align_grid,
    pixel_positions,
    slice_heights_mm,
)
from bodycomp.annotation.labels import Layer, Structure, Wanted, everything
from bodycomp.dicom.reference import SeriesReference, read_reference
from bodycomp.dicom.rtstruct import Region, StructureSet, read_structure_set
from bodycomp.dicom.seg import SegFile, SegFrame, read_seg
from bodycomp.errors import SeriesError
from bodycomp.imaging.label_map import values_in
from bodycomp.reading.kinds import Kind, dicom_file, kind_of
from bodycomp.scan import Scan

_CONTOUR_TOLERANCE: Final = 2 * TOLERANCE_VOXELS
"""How far a contour may lie from its slice, as a share of the distance of slices."""


def seg_layers(path: Path, scan: Scan, wanted: Wanted = everything) -> Iterator[Layer]:
    """Yield one layer for every segment that has pixels, or the layer of a label map."""
    file = dicom_file(path)
    seg = read_seg(file)
    notes = (*seg.notes, *check_reference(seg.reference, scan, file.name))
    by_segment: dict[int | None, list[SegFrame]] = defaultdict(list)
    for frame in seg.frames:
        if frame.labels.any():
            by_segment[frame.segment].append(frame)
    for number, frames in by_segment.items():
        segment = None if number is None else _structure(number, seg)
        if segment is None:
            labels = _place(frames, scan, file.name)
            structures = {value: _structure(value, seg) for value in values_in(labels)}
            yield Layer(labels, structures, notes)
        elif wanted(segment):
            labels = _place(frames, scan, file.name)
            yield Layer((labels > 0).astype(np.uint8), {1: segment}, notes)


def rtstruct_layers(path: Path, scan: Scan, wanted: Wanted = everything) -> Iterator[Layer]:
    """Yield one layer for every region that has closed contours.

    Contours are matched to slices by the height of their plane.
    """
    file = dicom_file(path)
    found: StructureSet = read_structure_set(file)
    notes = (*found.notes, *check_reference(found.reference, scan, file.name))
    for region in found.regions:
        structure = Structure(region.number, region.name)
        if region.contours and wanted(structure):
            mask, filled = _fill(region, scan, file.name)
            if mask.any():  # a contour may enclose no pixel's centre
                yield Layer(mask.astype(np.uint8), {1: structure}, (*notes, *filled))


def _structure(number: int, seg: SegFile) -> Structure:
    return Structure(*seg.segments.get(number, (number, "")))


def _place(frames: list[SegFrame], scan: Scan, where: str) -> NDArray[np.uint16]:
    target = np.zeros(scan.volume.hu.shape, np.uint16)
    for frame in frames:
        labels = frame.labels.astype(np.uint16)
        align_grid(frame.grid, scan.volume, where, cropped=True).add(labels, target)
    return target


def _fill(region: Region, scan: Scan, where: str) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Return the (slice, row, column) mask of a region, and what was left out or united."""
    by_slice = _by_slice(region, scan, where)
    shape = scan.volume.slice_shape
    mask = np.zeros(scan.volume.hu.shape, np.bool_)
    repeated, united = 0, 0
    for index, contours in by_slice.items():
        if region.even_odd:
            mask[index] = fill_contours(contours, shape)
            continue
        try:
            filled = fill_region(contours, shape)
        except SeriesError as error:
            raise SeriesError(
                f"{where}: {error.message}; ROI {region.name or region.number!r}, slice {index} "
                "from the feet (counted from 0), z = "
                f"{scan.volume.slice_z_mm[index]:.2f} mm",
                hint=error.hint,
            ) from error
        mask[index] = filled.mask
        repeated, united = repeated + filled.repeated, united + filled.united
    notes = []
    if repeated:
        notes.append(f"contours that are stored more than once, and count once: {repeated}")
    if united:
        notes.append(f"contours that overlap another in part, and were united: {united}")
    return mask, tuple(notes)


def _by_slice(region: Region, scan: Scan, where: str) -> dict[int, list[NDArray[np.float64]]]:
    """Return slice -> (point, 2) rows and columns of its contours, in pixels."""
    by_slice: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    heights = slice_heights_mm(scan.volume)
    spacing = float(np.median(np.diff(heights))) if len(heights) > 1 else 1.0
    lost: list[float] = []
    for contour in region.contours:
        rows, columns, at_mm = pixel_positions(contour.points_mm, scan.volume)
        nearest = int(np.argmin(np.abs(heights - at_mm.mean())))
        off_mm = np.abs(at_mm - heights[nearest]).max()
        named = contour.sop_instance_uid
        elsewhere = named in scan.sop_instance_uids and named != scan.sop_instance_uids[nearest]
        if off_mm > _CONTOUR_TOLERANCE * spacing or (named and elsewhere):
            lost.append(float(contour.points_mm[:, 2].mean()))
        else:
            by_slice[nearest].append(np.column_stack([rows, columns]))
    if lost:
        raise SeriesError(
            f"{where}: expected contours on the slices of the scan, which lie {spacing:.2f} mm "
            f"apart from z = {scan.volume.slice_z_mm[0]:.2f} to "
            f"{scan.volume.slice_z_mm[-1]:.2f} mm; found {len(lost)} of {len(region.contours)} "
            f"contours of {region.name!r} elsewhere, the first at z = {lost[0]:.2f} mm",
            hint="Choose the series that the contours were drawn on.",
        )
    return by_slice


def referenced_series(path: Path) -> SeriesReference | None:
    """Return the series that a SEG or RTSTRUCT names, None for any other annotation."""
    if kind_of(path) not in (Kind.SEG, Kind.RTSTRUCT):
        return None
    return read_reference(dicom_file(path))


def check_reference(reference: SeriesReference, scan: Scan, where: str) -> tuple[str, ...]:
    """Check that an annotation belongs to a scan; return a note where it names another series.

    Series of one frame of reference share the patient's position (PS3.3 C.7.4.1), so that a mask
    drawn on another reconstruction is good where it lies on this one's grid.

    Raises:
        SeriesError: Another frame of reference, or another series and no frame to go by.
    """
    frames = reference.frame_of_reference_uid, scan.frame_of_reference_uid
    if all(frames) and frames[0] != frames[1]:
        raise SeriesError(
            f"{where}: expected the scan's frame of reference, found another one "
            "(FrameOfReferenceUID differs)",
            hint=_which(reference),
        )
    series = reference.series_uid, scan.series_uid
    if not all(series) or series[0] == series[1]:
        return ()
    if not all(frames):
        raise SeriesError(
            f"{where}: expected an annotation of this series, found one of another series",
            hint=_which(reference),
        )
    return ("the annotation names another series of the same frame of reference",)


def _which(reference: SeriesReference) -> str:
    if not reference.series_uid:
        return "Choose the series that it was drawn on."
    return "Choose the series that it was drawn on; the file names its SeriesInstanceUID."
