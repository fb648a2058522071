"""Files -> groups that belong together, and groups -> stacks of slices in order."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from bodycomp.dicom.file_header import FileHeader
from bodycomp.dicom.geometry import SAME_POSITION_MM, heights_mm, largest_allowed_gap_mm
from bodycomp.dicom.qualify import Defect, find_defect

_SAME_COSINE: Final = 0.01  # about half a degree
_SAME_SPACING: Final = 1e-3  # relative


@dataclass(frozen=True, slots=True)
class Group:
    """Files of one series that share a defect, or have none and one pixel grid."""

    headers: tuple[FileHeader, ...]
    defect: Defect | None


def stable_order(header: FileHeader) -> tuple[str, int, float, str]:
    """Return a sort key that does not depend on the order in which files were found."""
    number = float(header.instance_number or 0)
    return (header.sop_instance_uid, header.frame_number or 0, number, str(header.path))


def group_files(headers: Iterable[FileHeader]) -> list[Group]:
    """Group by patient, study, series, frame of reference, defect, size and orientation."""
    groups: dict[Hashable, list[FileHeader]] = {}
    defects: dict[Hashable, Defect | None] = {}
    for header in sorted(headers, key=stable_order):
        defect = find_defect(header)
        key: Hashable = (*_series_key(header), defect)
        groups.setdefault(key, []).append(header)
        defects[key] = defect
    result: list[Group] = []
    for key, members in groups.items():
        if defects[key] is None:
            result += [Group(tuple(same), None) for same in _same_grid(members)]
        else:
            result.append(Group(tuple(members), defects[key]))
    return result


def _series_key(header: FileHeader) -> tuple[Hashable, ...]:
    key = (header.patient_id, header.study_uid, header.series_uid, header.frame_of_reference_uid)
    if header.series_uid:
        return key
    # De-identification left the UID blank: nothing but the folder keeps two patients apart.
    return (*key, header.folder, header.series_number, header.description)


def _same_grid(headers: Sequence[FileHeader]) -> list[list[FileHeader]]:
    """Split by size, orientation and pixel spacing, the latter two within rounding."""
    grids: list[list[FileHeader]] = []
    for header in headers:
        for grid in grids:
            if _is_same_grid(grid[0], header):
                grid.append(header)
                break
        else:
            grids.append([header])
    return grids


def _is_same_grid(one: FileHeader, other: FileHeader) -> bool:
    return (
        (one.rows, one.columns) == (other.rows, other.columns)
        and np.allclose(one.orientation or 0, other.orientation or 0, rtol=0, atol=_SAME_COSINE)
        and np.allclose(
            one.pixel_spacing_mm or 0, other.pixel_spacing_mm or 0, rtol=_SAME_SPACING, atol=0
        )
    )


def drop_copies(headers: Sequence[FileHeader]) -> tuple[list[FileHeader], int]:
    """Keep one image per SOP Instance UID and frame; return them and how many were dropped."""
    kept: dict[Hashable, FileHeader] = {}
    for header in sorted(headers, key=stable_order):
        kept.setdefault((header.sop_instance_uid or header.path, header.frame_number), header)
    return list(kept.values()), len(headers) - len(kept)


def sort_by_height(headers: Sequence[FileHeader]) -> list[FileHeader]:
    """Return the slices from feet to head."""
    heights = _heights(headers)
    return [headers[index] for index in np.argsort(heights, kind="stable")]


def repeated_positions(headers: Sequence[FileHeader]) -> int:
    """Return how many slices lie where another one lies already."""
    gaps = np.diff(np.sort(_heights(headers)))
    return int(np.sum(gaps < SAME_POSITION_MM))


def split_acquisitions(headers: Sequence[FileHeader]) -> list[list[FileHeader]]:
    """Split slices that cover the same stretch of the body more than once.

    Acquisition, phase in time, kVp, kernel and ImageType are tried in this order; slices that do
    not overlap stay together, because step-and-shoot scanners count every rotation as an
    acquisition.
    """
    parts = [list(headers)]
    for attribute in _DIVIDERS:
        parts = [piece for part in parts for piece in _split_by(part, attribute)]
    return parts


_DIVIDERS: Final[tuple[Callable[[FileHeader], Hashable], ...]] = (
    lambda header: header.acquisition_number,
    lambda header: header.phase_marks,
    lambda header: header.scanner.kvp,
    lambda header: header.scanner.kernel,
    lambda header: header.image_type,
)


def _split_by(
    headers: list[FileHeader], attribute: Callable[[FileHeader], Hashable]
) -> list[list[FileHeader]]:
    pieces: dict[Hashable, list[FileHeader]] = {}
    for header in headers:
        pieces.setdefault(attribute(header), []).append(header)
    ranges = sorted((h.min(), h.max()) for h in map(_heights, pieces.values()))
    overlap = any(upper[0] < lower[1] + SAME_POSITION_MM for lower, upper in pairwise(ranges))
    return list(pieces.values()) if overlap else [headers]


def split_at_gaps(headers: Sequence[FileHeader]) -> list[list[FileHeader]]:
    """Split slices, sorted by height, where more are missing than can be bridged."""
    gaps = np.diff(_heights(headers))
    if not gaps.size:
        return [list(headers)]
    ends = [*(np.flatnonzero(gaps > largest_allowed_gap_mm(gaps)) + 1), len(headers)]
    starts = [0, *ends[:-1]]
    return [list(headers[start:end]) for start, end in zip(starts, ends, strict=True)]


def _heights(headers: Sequence[FileHeader]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    orientation = headers[0].orientation or ()
    return heights_mm([header.position_mm or () for header in headers], orientation)
