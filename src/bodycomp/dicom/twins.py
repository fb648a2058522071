"""Slices that a series holds twice under two names, as faulty transfers leave them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bodycomp.dicom.candidate import SliceFile
from bodycomp.dicom.file_header import FileHeader
from bodycomp.dicom.geometry import SAME_POSITION_MM, heights_mm
from bodycomp.dicom.grouping import repeated_positions, sort_by_height
from bodycomp.dicom.pixels import HuReader
from bodycomp.errors import SeriesError


def slice_file(header: FileHeader) -> SliceFile:
    """Return what reading the pixels of one image needs."""
    x, y, z = header.position_mm or ()
    return SliceFile(
        path=header.path,
        sop_class_uid=header.sop_class_uid,
        sop_instance_uid=header.sop_instance_uid,
        instance_number=header.instance_number,
        position_mm=(x, y, z),
        slope_hu=header.slope_hu or 1.0,
        intercept_hu=header.intercept_hu or 0.0,
        frame_number=header.frame_number,
    )


def drop_twins(headers: Sequence[FileHeader]) -> tuple[list[FileHeader], int]:
    """Keep one of slices that lie in one place and have equal pixels; return how many go.

    Pixels are read only where places coincide.
    """
    if not repeated_positions(headers):
        return list(headers), 0
    ordered = sort_by_height(headers)
    heights = heights_mm([h.position_mm or () for h in ordered], ordered[0].orientation or ())
    kept = ordered[:1]
    for before, here, header in zip(heights[:-1], heights[1:], ordered[1:], strict=True):
        if here - before >= SAME_POSITION_MM or not _are_alike(kept[-1], header):
            kept.append(header)
    return kept, len(ordered) - len(kept)


def _are_alike(one: FileHeader, other: FileHeader) -> bool:
    try:
        first, second = (HuReader().read(slice_file(header)) for header in (one, other))
    except SeriesError:
        return False
    return np.array_equal(first, second)
