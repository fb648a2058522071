"""Duplicate slices: copies of an image, under any file name and UID.

A copy has the same place and the same pixels. SOPInstanceUID decides nothing: faulty
de-identification gives one to many images, and faulty transfers give copies of an image several.
"""

from __future__ import annotations

import filecmp
from collections.abc import Sequence

import numpy as np

from bodycomp.dicom.file_header import FileHeader
from bodycomp.dicom.geometry import SAME_POSITION_MM, header_heights_mm, same_place
from bodycomp.dicom.pixels import HuReader
from bodycomp.errors import SeriesError
from bodycomp.scan import SliceFile


def slice_file(header: FileHeader, filled: tuple[tuple[str, str], ...] = ()) -> SliceFile:
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
        filled=filled,
    )


def sort_by_height(headers: Sequence[FileHeader]) -> list[FileHeader]:
    """Return the slices from feet to head."""
    return [headers[index] for index in np.argsort(header_heights_mm(headers), kind="stable")]


def repeated_positions(headers: Sequence[FileHeader]) -> list[FileHeader]:
    """Return the slices that lie where another one lies already."""
    ordered = sort_by_height(headers)
    again = np.diff(header_heights_mm(ordered), prepend=-np.inf) < SAME_POSITION_MM
    return [header for header, is_again in zip(ordered, again, strict=True) if is_again]


def drop_duplicates(headers: Sequence[FileHeader]) -> tuple[list[FileHeader], int]:
    """Keep one of slices that lie in one place and have equal pixels; return how many go.

    Pixels are read only where places coincide.
    """
    ordered = sort_by_height(headers)
    comparison = _Comparison()
    kept = ordered[:1]
    for header in ordered[1:]:
        if not (same_place(kept[-1], header) and comparison.are_alike(kept[-1], header)):
            kept.append(header)
    return kept, len(ordered) - len(kept)


class _Comparison:
    """Compares images pair by pair; equal files need no decoding."""

    def __init__(self) -> None:
        self._equal_files: dict[tuple[str, str], bool] = {}
        self._readers = HuReader(), HuReader()

    def are_alike(self, one: FileHeader, other: FileHeader) -> bool:
        """Whether two images have equal pixels in HU; not if either cannot be decoded."""
        if one.frame_number == other.frame_number and self._is_same_file(one, other):
            return True
        try:
            first, second = (
                reader.read(slice_file(header))
                for reader, header in zip(self._readers, (one, other), strict=True)
            )
        except SeriesError:
            return False
        return np.array_equal(first, second)

    def _is_same_file(self, one: FileHeader, other: FileHeader) -> bool:
        paths = str(one.path), str(other.path)
        if paths not in self._equal_files:
            self._equal_files[paths] = filecmp.cmp(*paths, shallow=False)
        return self._equal_files[paths]
