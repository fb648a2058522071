"""Groups of images -> stacks that can be read, and refusals with reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from bodycomp.dicom.acquisitions import divider_values, split_acquisitions
from bodycomp.dicom.candidate import CandidateSeries, Refusal, RefusalKind
from bodycomp.dicom.duplicates import (
    drop_duplicates,
    repeated_positions,
    slice_file,
)
from bodycomp.dicom.file_header import FileHeader
from bodycomp.dicom.geometry import spacing_note, stacking_of
from bodycomp.dicom.grouping import Group, split_at_gaps
from bodycomp.dicom.qualify import ranking_penalties, refusal_of
from bodycomp.dicom.series_identity import IDENTITY
from bodycomp.imaging.volume import tilt_note, too_few_slices
from bodycomp.subject import subject_from


def qualify(group: Group, min_slices: int) -> list[CandidateSeries | Refusal]:
    """Turn one group into candidates of ``min_slices`` or more, and refusals."""
    headers = list(group.headers)
    if group.defect is not None:
        return [refusal_of(headers, group.defect)]
    if len(headers) > 1 and len(repeated_positions(headers)) == len(headers) - 1:
        headers, _ = drop_duplicates(headers)  # all in one place
        if len(headers) > 1:
            reason = f"all {len(headers)} images claim one position"
            return [refusal_of(headers, (RefusalKind.CONSTANT_POSITION, reason))]
    few = too_few_slices(len(headers), min_slices)
    if few is not None:
        return [refusal_of(headers, (RefusalKind.TOO_FEW, few))]
    acquisitions = split_acquisitions(headers)
    several = len(acquisitions) > 1
    note = [f"one of {len(acquisitions)} overlapping acquisitions in its series"] if several else []
    outcomes: list[CandidateSeries | Refusal] = []
    for acquisition, shared in acquisitions:
        ends = f"slices left out where acquisitions share their ends: {shared}"
        notes = [*note, *([ends] if shared else [])]
        outcomes += _qualify_acquisition(acquisition, notes, min_slices)
    return outcomes


def _qualify_acquisition(
    headers: Sequence[FileHeader], notes: list[str], min_slices: int
) -> list[CandidateSeries | Refusal]:
    kept, copies = drop_duplicates(headers)
    if copies:
        notes = [*notes, f"duplicate slices left out, of equal place and pixels: {copies}"]
    if repeated := repeated_positions(kept):
        defect = RefusalKind.DUPLICATE_POSITIONS, _why_repeated(repeated, kept)
        return [refusal_of(kept, defect)]
    stacks = split_at_gaps(kept)
    if len(stacks) > 1:
        notes = [*notes, "apart from other slices of its series"]
    return [_qualify_stack(stack, notes, min_slices) for stack in stacks]


def _why_repeated(repeated: Sequence[FileHeader], headers: Sequence[FileHeader]) -> str:
    reason = (
        f"{len(repeated)} of {len(headers)} slices lie where another one lies already, with other "
        "pixels"
    )
    uids = Counter(header.sop_instance_uid for header in headers)
    if any(uids[header.sop_instance_uid] > 1 for header in repeated if header.sop_instance_uid):
        reason += ", and share its SOPInstanceUID"
    return "; ".join((reason, *_missing(headers)))


def _missing(headers: Sequence[FileHeader]) -> list[str]:
    """Return notes on identifiers that only a part of the images has."""
    missing = {
        name: sum(not getattr(header, field) for header in headers)
        for name, field in IDENTITY.items()
    }
    return [
        f"{name} is missing in {count} of {len(headers)} slices"
        for name, count in missing.items()
        if 0 < count < len(headers)
    ]


def _repeated_uids(headers: Sequence[FileHeader]) -> list[str]:
    uids = Counter((h.sop_instance_uid, h.frame_number) for h in headers if h.sop_instance_uid)
    count = sum(number for number in uids.values() if number > 1)
    note = (
        f"SOPInstanceUID repeats in {count} of {len(headers)} slices, which are kept because their "
        "places differ"
    )
    return [note] if count else []


def _qualify_stack(
    stack: list[FileHeader], notes: list[str], min_slices: int
) -> CandidateSeries | Refusal:
    """Apply the rules that need a whole stack, sorted from feet to head."""
    few = too_few_slices(len(stack), min_slices)
    if few is not None:
        return refusal_of(stack, (RefusalKind.TOO_FEW, few))
    first = stack[0]
    a, b, c, d, e, f = orientation = first.orientation or ()
    positions = np.array([header.position_mm for header in stack])
    stacking = stacking_of(positions.tolist(), orientation)
    if stacking.fault:
        return refusal_of(stack, (RefusalKind.SHEAR, stacking.fault))
    notes = [*notes, *_repeated_uids(stack), *_missing(stack)]
    if stacking.direction is not None:
        notes.append(tilt_note(orientation))
    along_mm = np.linalg.norm(positions - positions[0], axis=1)
    if (uneven := spacing_note(along_mm)) is not None:
        notes.append(uneven)
    row_mm, column_mm = first.pixel_spacing_mm or ()
    penalties = tuple(
        dict.fromkeys(penalty for header in stack for penalty in ranking_penalties(header))
    )
    shared = {name: _stated(stack, name) for name in (*IDENTITY.values(), "series_number")}
    subject = subject_from(
        *(
            _stated(stack, f"patient_{name}")
            for name in ("height_m", "weight_kg", "sex", "age_years")
        )
    )
    return CandidateSeries(
        slices=tuple(slice_file(header, _filled(header, shared)) for header in stack),
        orientation=(a, b, c, d, e, f),
        pixel_spacing_mm=(row_mm, column_mm),
        shape=(first.rows, first.columns),
        slice_spacing_mm=float(np.median(np.diff(along_mm))) if len(stack) > 1 else None,
        coverage_mm=float(along_mm[-1]),
        stack_direction=stacking.direction,
        acquisition_number=first.acquisition_number,
        folder=first.folder,
        description=first.description,
        image_type=first.image_type,
        acquisition=first.acquisition,
        subject=subject,
        study_date=first.study_date,
        notes=(*notes, *penalties),
        penalties=penalties,
        region=first.region,
        marks=_marks(first),
        **shared,
    )


def _stated(headers: Sequence[FileHeader], name: str) -> Any:
    """Return the value of an attribute from the first image that states it."""
    values = (getattr(header, name) for header in headers)
    return next((value for value in values if value), getattr(headers[0], name))


def _filled(header: FileHeader, shared: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, shared[field])
        for name, field in IDENTITY.items()
        if shared[field] and not getattr(header, field)
    )


def _marks(header: FileHeader) -> tuple[str, ...]:
    place = () if header.series_uid else (header.folder, header.series_number, header.description)
    grid = (header.frame_of_reference_uid, header.rows, header.columns, header.orientation)
    return (*divider_values(header), *map(str, (*place, *grid)))
