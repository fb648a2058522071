"""RT Structure Sets: contours of regions of interest (PS3.3 C.8.8.5 and C.8.8.6)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.dicom.reference import (
    DicomKind,
    SeriesReference,
    damaged,
    open_annotation,
    reference_of,
)
from bodycomp.errors import SeriesError

_AREAS: Final = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})
"""Contours that enclose pixels; by the even-odd rule both are combined in the same way."""


@dataclass(frozen=True, eq=False)
class Contour:
    """One closed contour.

    Attributes:
        points_mm: (point, 3), LPS.
        sop_instance_uid: The slice that it was drawn on; empty where none is named.
    """

    points_mm: NDArray[np.float64] = field(repr=False)
    sop_instance_uid: str = field(default="", repr=False)


@dataclass(frozen=True, eq=False)
class Region:
    """One region of interest with its closed contours; there may be none."""

    number: int
    name: str
    contours: tuple[Contour, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class StructureSet:
    """Regions in the order of their numbers."""

    reference: SeriesReference
    regions: tuple[Region, ...]
    notes: tuple[str, ...] = ()


def read_structure_set(path: Path) -> StructureSet:
    """Read the closed contours of a structure set; points and open lines are left out and noted.

    Raises:
        SeriesError: Damaged, not an RTSTRUCT, or a contour with other than three numbers a point.
    """
    dataset = open_annotation(path, DicomKind.RTSTRUCT)
    try:
        with quiet_pydicom():
            return _structure_set(dataset, path)
    except (SeriesError, MemoryError):
        raise
    except Exception as error:  # a malformed element; pydicom raises many types
        raise damaged(path, DicomKind.RTSTRUCT, error) from error


def _structure_set(dataset: Dataset, path: Path) -> StructureSet:
    names = {int(roi.ROINumber): str(roi.ROIName) for roi in dataset.StructureSetROISequence}
    contours: dict[int, list[Contour]] = {number: [] for number in names}
    left_out: Counter[str] = Counter()
    for item in dataset.get("ROIContourSequence") or ():
        number = int(item.ReferencedROINumber)
        for contour in item.get("ContourSequence") or ():
            kind = str(contour.ContourGeometricType)
            if kind in _AREAS:
                name = names.get(number, "")
                contours.setdefault(number, []).append(_contour(contour, name, path))
            else:
                left_out[kind] += 1
    regions = tuple(
        Region(number, names.get(number, ""), tuple(contours[number]))
        for number in sorted(contours)
    )
    notes = tuple(
        f"{count} contours of type {kind} enclose no pixels and were left out"
        for kind, count in sorted(left_out.items())
    )
    return StructureSet(reference_of(dataset), regions, notes)


def _contour(item: Any, name: str, path: Path) -> Contour:
    values = _numbers(item)
    if values.size == 0 or values.size % 3 or not np.isfinite(values).all():
        raise SeriesError(
            f"{path.name}: expected contours with x, y and z of every point, found one of "
            f"{values.size} numbers in {name!r}",
            hint="Export the structure set again.",
        )
    images = list(item.get("ContourImageSequence") or ())
    uid = str(images[0].get("ReferencedSOPInstanceUID", "")) if len(images) == 1 else ""
    return Contour(values.reshape(-1, 3), uid)


def _numbers(item: Any) -> NDArray[np.float64]:
    """Return the coordinates of a contour.

    They are read from the stored text: pydicom's decimal strings take a hundred times as long. An
    explicit transfer syntax stores more than 64 kB as UN (PS3.5 6.2.2), whose value is bytes too.
    """
    element = item.get_item("ContourData")
    value = None if element is None else element.value
    if not isinstance(value, bytes):
        return np.array([float(x) for x in value or ()])
    text = value.strip(b" \0")
    return np.array(text.split(b"\\")).astype(np.float64) if text else np.zeros(0)
