"""Files -> groups that belong together; series that identifiers of their own split are refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bodycomp.dicom.candidate import Refusal, RefusalKind
from bodycomp.dicom.file_header import FileHeader
from bodycomp.dicom.geometry import header_heights_mm, largest_allowed_gap_mm
from bodycomp.dicom.qualify import Defect, find_defect, refusal_of
from bodycomp.dicom.series_identity import IDENTITY, by_series

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


_UIDS: Final = {name: field for name, field in IDENTITY.items() if name != "PatientID"}
_SHARED: Final = (
    ("study_uid", "frame_of_reference_uid"),
    ("study_uid", "series_uid"),
    ("series_uid", "frame_of_reference_uid"),
    ("study_uid",),
    (),
)
"""What images of one series may still share; tried in this order."""


def refuse_split_series(
    groups: Sequence[Group], min_slices: int
) -> tuple[list[Group], list[Refusal]]:
    """Return the other groups, and one refusal for the groups that look like one series.

    These are too small, and agree in patient, series number, pixel grid and at least one UID; in
    a stated Patient ID alone if none of them could be a series by itself.
    """
    largest = max(min_slices, 2)
    small = [g for g in groups if g.defect is None and len(g.headers) < largest]
    refusals: list[Refusal] = []
    for shared in _SHARED if min_slices > 1 else _SHARED[:-1]:
        for members in _alike(small, shared):
            refusals.append(_refusal(members))
            gone = set(map(id, members))
            small = [group for group in small if id(group) not in gone]
    kept = set(map(id, small))
    others = [
        g for g in groups if g.defect is not None or len(g.headers) >= largest or id(g) in kept
    ]
    return others, refusals


def _alike(groups: Sequence[Group], shared: Sequence[str]) -> list[list[Group]]:
    """Return two groups or more that agree in what is shared."""
    buckets: dict[Hashable, dict[int, Group]] = defaultdict(dict)
    for group in groups:
        first = group.headers[0]
        needed = [getattr(first, name) for name in shared] or [first.patient_id]
        if all(needed):
            key = (first.patient_id, *needed, first.series_number)
            buckets[key][id(first)] = group
    return [
        [bucket[id(first)] for first in same]
        for bucket in buckets.values()
        for same in by_grid([group.headers[0] for group in bucket.values()])
        if len(same) > 1
    ]


def _refusal(groups: Sequence[Group]) -> Refusal:
    headers: list[FileHeader] = [header for group in groups for header in group.headers]
    found = {name: len({getattr(h, field) for h in headers}) for name, field in _UIDS.items()}
    names = [name for name, count in found.items() if count > 1]
    who = "patient" if "StudyInstanceUID" in names else "study"
    reason = (
        f"expected one {' and one '.join(names)} for the images of a series, found "
        f"{' and '.join(str(found[name]) for name in names)} in {len(headers)} images of one "
        f"{who}, series number and pixel grid; give images of one series the same"
    )
    return refusal_of(headers, (RefusalKind.SPLIT_UIDS, reason))
