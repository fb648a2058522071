"""DICOM Segmentation objects: binary, fractional and label maps (PS3.3 A.51 and A.94)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from highdicom.seg import Segmentation, SegmentationTypeValues, segread
from numpy.typing import NDArray

from bodycomp.dicom.reference import DicomKind, SeriesReference, reading, reference_of
from bodycomp.errors import ImageError, SeriesError
from bodycomp.imaging.grid import Grid
from bodycomp.imaging.volume import slice_normal

FRACTION: Final = 0.5
"""Share or probability from which a pixel of a fractional segmentation counts."""


@dataclass(frozen=True, eq=False)
class SegFrame:
    """One plane of a segmentation.

    Attributes:
        segment: Number of the segment that the plane shows, None for a label map.
        labels: (column, row, 1), non-zero where the segment is; in a label map the keys of
            ``SegFile.segments``.
    """

    segment: int | None
    labels: NDArray[np.uint8] | NDArray[np.uint16] = field(repr=False)
    grid: Grid


@dataclass(frozen=True, eq=False)
class SegFile:
    """A segmentation with its frames in stored order.

    Attributes:
        segments: Number in the frames -> segment number and label. They differ in a label map
            alone, whose background need not be 0: a segment 0 takes the background's place.
    """

    reference: SeriesReference
    segments: Mapping[int, tuple[int, str]]
    frames: tuple[SegFrame, ...]
    notes: tuple[str, ...] = ()


def read_seg(path: Path) -> SegFile:
    """Read a segmentation; a fractional one counts from ``FRACTION`` of its maximum.

    Raises:
        SeriesError: Damaged or without an attribute that is needed, not a SEG, a segment number
            that is repeated, or frames without a position in the patient.
    """
    with reading(path, DicomKind.SEG):
        return _seg_file(segread(path), path)


def _seg_file(seg: Segmentation, path: Path) -> SegFile:
    pixels = seg.pixel_array.reshape(-1, int(seg.Rows), int(seg.Columns))
    kind = seg.segmentation_type
    notes: tuple[str, ...] = ()
    if kind is SegmentationTypeValues.FRACTIONAL:
        pixels = (pixels >= FRACTION * int(seg.MaximumFractionalValue)).astype(np.uint8)
        notes = (f"fractional segments count from {FRACTION:.0%}",)
    is_map = kind is SegmentationTypeValues.LABELMAP
    names = _names(seg, path)
    background = int(seg.get("PixelPaddingValue") or 0) if is_map else 0
    if background:
        pixels = _with_background_0(pixels, background, is_segment_0=0 in names)
    shared = seg.SharedFunctionalGroupsSequence[0]
    groups = seg.PerFrameFunctionalGroupsSequence
    frames = tuple(
        SegFrame(
            segment=None if is_map else _segment_number(group, shared),
            labels=image.T[:, :, None],
            grid=_frame_grid(group, shared, image.shape, path),
        )
        for image, group in zip(pixels, groups, strict=True)
    )
    swapped = {background: 0, 0: background}
    segments = {
        swapped.get(number, number): (number, name)
        for number, name in names.items()
        if not (is_map and number == background)  # a map may describe its background
    }
    return SegFile(reference_of(seg), segments, frames, notes)


def _names(seg: Segmentation, path: Path) -> dict[int, str]:
    """Return segment number -> label."""
    names: dict[int, str] = {}
    for item in seg.SegmentSequence:
        number, name = int(item.SegmentNumber), str(item.SegmentLabel)
        if number in names:
            raise SeriesError(
                f"{path.name}: expected a SegmentNumber of its own for every segment, found "
                f"{number} for {names[number]!r} and for {name!r}",
                hint="Which pixels belong to which cannot be known; export it again.",
            )
        names[number] = name
    return names


def _with_background_0(
    pixels: NDArray[Any], background: int, *, is_segment_0: bool
) -> NDArray[Any]:
    """Return a label map whose background is 0 (PS3.3 C.8.20.2: Pixel Padding Value).

    The numbers 0 and ``background`` change places where 0 is a segment.
    """
    was_0, was_background = pixels == 0, pixels == background
    turned = np.where(was_background, 0, pixels)
    if is_segment_0:
        turned[was_0] = background
    return turned.astype(pixels.dtype)


def _group(name: str, frame: Any, shared: Any) -> Any:
    """Return a functional group's item, of the frame or of all frames (PS3.3 C.7.6.16)."""
    items = frame.get(f"{name}Sequence") or shared.get(f"{name}Sequence")
    return items[0] if items else None


def _segment_number(frame: Any, shared: Any) -> int:
    return int(_group("SegmentIdentification", frame, shared).ReferencedSegmentNumber)


def _frame_grid(frame: Any, shared: Any, shape: tuple[int, ...], path: Path) -> Grid:
    position = _group("PlanePosition", frame, shared)
    orientation = _group("PlaneOrientation", frame, shared)
    measures = _group("PixelMeasures", frame, shared)
    if position is None or orientation is None or measures is None:
        raise SeriesError(
            f"{path.name}: expected frames with position, orientation and pixel spacing in the "
            "patient, found some without",
            hint="Segmentations of slides and pictures have no place in a CT scan.",
        )
    cosines = [float(x) for x in orientation.ImageOrientationPatient]
    row_mm, column_mm = (float(x) for x in measures.PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = np.array(cosines[:3]) * column_mm
    affine[:3, 1] = np.array(cosines[3:]) * row_mm
    affine[:3, 2] = slice_normal(cosines)
    affine[:3, 3] = [float(x) for x in position.ImagePositionPatient]
    try:
        return Grid((shape[1], shape[0], 1), affine)
    except ImageError as error:
        raise SeriesError(f"{path.name}: {error.message}") from error
