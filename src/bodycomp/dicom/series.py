"""Find, group and qualify CT series; a refusal is a value with a reason."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from bodycomp.dicom.candidate import CandidateSeries, Refusal, RefusalKind, SliceFile
from bodycomp.dicom.doubts import find_doubts
from bodycomp.dicom.file_header import FileHeader, ScannerInfo, read_headers
from bodycomp.dicom.file_list import list_files
from bodycomp.dicom.geometry import (
    MIN_SLICES,
    heights_mm,
    is_tilted,
    sideways_mm,
    spacing_note,
)
from bodycomp.dicom.grouping import (
    Group,
    drop_copies,
    group_files,
    repeated_positions,
    sort_by_height,
    split_acquisitions,
    split_at_gaps,
)
from bodycomp.dicom.qualify import Defect
from bodycomp.dicom.twins import drop_twins, slice_file
from bodycomp.errors import SeriesError

__all__ = [
    "CandidateSeries",
    "Refusal",
    "RefusalKind",
    "ScannerInfo",
    "SeriesSearch",
    "SliceFile",
    "find_series",
]

_LOG: Final = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the number of files read and of all files."""


@dataclass(frozen=True, slots=True)
class SeriesSearch:
    """What a search found, in an order that does not depend on file names or their order.

    Attributes:
        candidates: Series that can be read, by study, series number and UID.
        refusals: Images that are not analysed, in the same order.
        file_count: Files that were opened.
        not_dicom_count: Files that are not DICOM images, such as reports in text or DICOMDIR.
        unreadable_count: Files that claim to be DICOM but cannot be read: a slice lost each.
    """

    candidates: tuple[CandidateSeries, ...]
    refusals: tuple[Refusal, ...]
    file_count: int
    not_dicom_count: int
    unreadable_count: int


def folder_name(path: Path) -> str:
    """Return the name of a file's folder."""
    return str(path.parent)


def find_series(
    inputs: Sequence[Path],
    *,
    progress: Progress | None = None,
    folder_of: Callable[[Path], str] = folder_name,
) -> SeriesSearch:
    """Search files and folders, at any depth and under any file names, for axial CT series.

    Every file is opened, none is read as far as its pixels. Hidden folders are left out. A
    DICOMDIR that is given as a file stands for the files that it lists.

    Args:
        inputs: Files and folders.
        progress: Told how many files are done, and how many there are.
        folder_of: File -> the name of its folder, which tells images with blank UIDs apart and
            goes into their digests.

    Raises:
        InputNotFoundError: An input is not there.
    """
    paths = list_files(inputs)
    headers: list[FileHeader] = []
    bombs: list[Refusal] = []
    unreadable = image_files = 0
    for count, path in enumerate(paths, start=1):
        try:
            found = read_headers(path)
        except SeriesError as error:
            bombs.append(Refusal("1 file", RefusalKind.TOO_LARGE, error.message, "", "", 1))
            found = ()
        except Exception as error:
            unreadable += 1
            _LOG.warning("one file cannot be read (%s); left out", type(error).__name__)
            found = ()
        images = [header for header in found if header.modality or header.series_uid]
        headers += [replace(header, folder=folder_of(path)) for header in images]
        image_files += bool(images)
        if progress is not None:
            progress(count, len(paths))
    return _search(headers, bombs, _Counts(len(paths), image_files, unreadable))


@dataclass(frozen=True, slots=True)
class _Counts:
    """Files opened, files with images, and damaged files."""

    files: int
    images: int
    unreadable: int


def _search(headers: list[FileHeader], bombs: Sequence[Refusal], counts: _Counts) -> SeriesSearch:
    candidates: list[CandidateSeries] = []
    refusals = list(bombs)
    for group in group_files(headers):
        for outcome in _qualify(group):
            if isinstance(outcome, Refusal):
                refusals.append(outcome)
            else:
                candidates.append(outcome)
    _LOG.info(
        "%d series to analyse, %d refused, in %d files",
        len(candidates),
        len(refusals),
        counts.files,
    )
    candidates.sort(key=lambda c: (c.study_uid, c.series_number or 0, c.series_uid, c.key))
    refusals.sort(key=lambda r: (r.study_uid, r.what, r.series_uid, r.reason))
    return SeriesSearch(
        tuple(candidates),
        tuple(refusals),
        file_count=counts.files,
        not_dicom_count=counts.files - counts.images - counts.unreadable - len(bombs),
        unreadable_count=counts.unreadable,
    )


def _qualify(group: Group) -> list[CandidateSeries | Refusal]:
    """Turn one group into candidates and refusals."""
    kept, copies = drop_copies(group.headers)
    if group.defect is not None:
        return [_refusal(kept, group.defect)]
    notes = [f"{copies} files repeat an image of the series and were left out"] if copies else []
    if len(kept) < MIN_SLICES:
        return [_too_few(kept)]
    if repeated_positions(kept) == len(kept) - 1:  # all in one place
        reason = f"all {len(kept)} images claim one position"
        return [_refusal(kept, (RefusalKind.CONSTANT_POSITION, reason))]
    acquisitions = split_acquisitions(kept)
    if len(acquisitions) > 1:
        notes.append(f"one of {len(acquisitions)} overlapping acquisitions in its series")
    outcomes: list[CandidateSeries | Refusal] = []
    for acquisition, twins in map(drop_twins, acquisitions):
        twin_note = [f"{twins} slices are in it twice and were left out"] if twins else []
        if repeated := repeated_positions(acquisition):
            reason = f"{repeated} of {len(acquisition)} slices lie where another one lies already"
            outcomes.append(_refusal(acquisition, (RefusalKind.DUPLICATE_POSITIONS, reason)))
            continue
        stacks = split_at_gaps(sort_by_height(acquisition))
        gap_note = ["apart from other slices of its series"] if len(stacks) > 1 else []
        outcomes += [_qualify_stack(stack, [*notes, *twin_note, *gap_note]) for stack in stacks]
    return outcomes


def _qualify_stack(stack: list[FileHeader], notes: list[str]) -> CandidateSeries | Refusal:
    """Apply the rules that need a whole stack, sorted from feet to head."""
    if len(stack) < MIN_SLICES:
        return _too_few(stack)
    slices = tuple(slice_file(header) for header in stack)
    orientation = stack[0].orientation or ()
    positions = [item.position_mm for item in slices]
    aside_mm, degrees = sideways_mm(positions, orientation)
    if is_tilted(aside_mm, degrees):
        reason = (
            f"slices are stacked at {degrees:.1f} degrees to their normal ({aside_mm:.0f} mm "
            "sideways), as with a tilted gantry"
        )
        return _refusal(stack, (RefusalKind.TILT, reason))
    heights = heights_mm(positions, orientation)
    uneven = spacing_note(heights)
    first = stack[0]
    a, b, c, d, e, f = orientation
    row_mm, column_mm = first.pixel_spacing_mm or ()
    doubts = find_doubts(first)
    return CandidateSeries(
        slices=slices,
        orientation=(a, b, c, d, e, f),
        pixel_spacing_mm=(row_mm, column_mm),
        shape=(first.rows, first.columns),
        slice_spacing_mm=float(np.median(np.diff(heights))),
        coverage_mm=float(heights[-1] - heights[0]),
        study_uid=first.study_uid,
        series_uid=first.series_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        patient_id=first.patient_id,
        series_number=first.series_number,
        acquisition_number=first.acquisition_number,
        folder=first.folder,
        description=first.description,
        image_type=first.image_type,
        scanner=first.scanner,
        notes=(*notes, *([uneven] if uneven else []), *doubts),
        doubts=doubts,
        region=first.region,
        patient_sex=first.patient_sex,
        patient_height_m=first.patient_height_m,
        patient_weight_kg=first.patient_weight_kg,
    )


def _too_few(headers: Sequence[FileHeader]) -> Refusal:
    reason = f"expected at least {MIN_SLICES} slices, found {len(headers)}"
    return _refusal(headers, (RefusalKind.TOO_FEW, reason))


def _refusal(headers: Sequence[FileHeader], defect: Defect) -> Refusal:
    first = headers[0]
    number = "?" if first.series_number is None else str(first.series_number)
    images = "1 image" if len(headers) == 1 else f"{len(headers)} images"
    kind, reason = defect
    return Refusal(
        what=f"series {number}, {images}",
        kind=kind,
        reason=reason,
        study_uid=first.study_uid,
        series_uid=first.series_uid,
        file_count=len(headers),
        series_number=first.series_number,
        description=first.description,
        patient_id=first.patient_id,
    )
