"""Series whose images each have identifiers of their own, which are refused once, by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Final

from bodycomp.dicom.candidate import Refusal, RefusalKind
from bodycomp.dicom.file_header import FileHeader
from bodycomp.dicom.grouping import Group, by_grid
from bodycomp.dicom.series_identity import IDENTITY
from bodycomp.dicom.stacks import refusal_of

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
