"""Files -> groups that belong together: one series, one defect or none, one pixel grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bodycomp.dicom.file_header import FileHeader
from bodycomp.dicom.geometry import header_heights_mm, largest_allowed_gap_mm
from bodycomp.dicom.qualify import Defect, find_defect
from bodycomp.dicom.series_identity import by_series

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
    """Group by series, defect, size and orientation."""
    result: list[Group] = []
    for series in by_series(sorted(headers, key=stable_order)):
        by_defect: dict[Defect | None, list[FileHeader]] = {}
        for header in series:
            by_defect.setdefault(find_defect(header), []).append(header)
        for defect, members in by_defect.items():
            grids = by_grid(members) if defect is None else [members]
            result += [Group(tuple(same), defect) for same in grids]
    return result


def by_grid(headers: Sequence[FileHeader]) -> list[list[FileHeader]]:
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
    """Whether two images have one size, orientation and pixel spacing within rounding."""
    return (
        (one.rows, one.columns) == (other.rows, other.columns)
        and np.allclose(one.orientation or 0, other.orientation or 0, rtol=0, atol=_SAME_COSINE)
        and np.allclose(
            one.pixel_spacing_mm or 0, other.pixel_spacing_mm or 0, rtol=_SAME_SPACING, atol=0
        )
    )


def split_at_gaps(headers: Sequence[FileHeader]) -> list[list[FileHeader]]:
    """Split slices, sorted by height, where more are missing than can be bridged."""
    gaps = np.diff(header_heights_mm(headers))
    if not gaps.size:
        return [list(headers)]
    ends = [*(np.flatnonzero(gaps > largest_allowed_gap_mm(gaps)) + 1), len(headers)]
    starts = [0, *ends[:-1]]
    return [list(headers[start:end]) for start, end in zip(starts, ends, strict=True)]
