"""RT Structure Sets: contours of regions of interest (PS3.3 C.8.8.5 and C.8.8.6)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from bodycomp.dicom.reference import (
    DicomKind,
    SeriesReference,
    missing_attribute,
    open_annotation,
    reading,
    reference_of,
)
from bodycomp.errors import SeriesError

_AREA: Final = "CLOSED_PLANAR"
_XOR_AREA: Final = "CLOSEDPLANAR_XOR"
_NO_AREAS: Final = frozenset({"POINT", "OPEN_PLANAR", "OPEN_NONPLANAR"})
_SPELLINGS: Final = {"CLOSED_PLANAR_XOR": _XOR_AREA}
"""Defined terms of Contour Geometric Type are in PS3.3 C.8.8.6.1, XOR with one underscore."""


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
    """One region of interest with its closed contours; there may be none.

    Attributes:
        number: The file's own, any whole number; no two regions share one.
        name: Empty where the file states none.
        even_odd: Whether a pixel counts if an odd number of contours encloses it (CLOSEDPLANAR_XOR)
            rather than by how contours lie to one another (CLOSED_PLANAR).
    """

    number: int
    name: str
    contours: tuple[Contour, ...] = field(repr=False)
    even_odd: bool = False


@dataclass(frozen=True, eq=False)
class StructureSet:
    """Regions in the order of their numbers."""

    reference: SeriesReference
    regions: tuple[Region, ...]
    notes: tuple[str, ...] = ()


def read_structure_set(path: Path) -> StructureSet:
    """Read the closed contours of a structure set; points and open lines are left out and noted.

    Raises:
        SeriesError: Damaged, or not an RTSTRUCT; a region's number that is repeated or missing, or
            that only contours state; a contour without a type that is known, or with other than
            three numbers for each of its points; both types of areas in one region.
    """
    with reading(path, DicomKind.RTSTRUCT):
        return _structure_set(open_annotation(path), path)


def _structure_set(dataset: Dataset, path: Path) -> StructureSet:
    names = _names(dataset, path)
    found: dict[int, _Found] = {number: _Found() for number in names}
    left_out: Counter[str] = Counter()
    for item in _sequence(dataset, "ROIContourSequence", path):
        number = int(_stated(item, "ReferencedROINumber", path, "an ROI Contour"))
        contours = item.get("ContourSequence") or ()
        if contours and number not in names:
            raise SeriesError(
                f"{path.name}: expected a Structure Set ROI for all contours, found none with the "
                f"ROI number {number}, which {len(contours)} contours have",
                hint="Export the structure set again.",
            )
        for place, contour in enumerate(contours, start=1):
            where = f"contour {place} of ROI {_in_words(number, names[number])}"
            kind = _kind(contour, path, where)
            if kind in _NO_AREAS:
                left_out[kind] += 1
            else:
                found[number].kinds.add(kind)
                found[number].contours.append(_contour(contour, path, where))
    regions = tuple(_region(number, names[number], found[number], path) for number in sorted(names))
    notes = tuple(
        f"{count} contours of type {kind} enclose no pixels and were left out"
        for kind, count in sorted(left_out.items())
    )
    return StructureSet(reference_of(dataset), regions, notes)


@dataclass(frozen=True, slots=True)
class _Found:
    contours: list[Contour] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)


def _names(dataset: Dataset, path: Path) -> dict[int, str]:
    """Return number -> name of the regions."""
    names: dict[int, str] = {}
    for item in _sequence(dataset, "StructureSetROISequence", path):
        name = str(item.get("ROIName") or "").strip()
        number = int(_stated(item, "ROINumber", path, f"the ROI {name!r}"))
        if number in names:
            raise SeriesError(
                f"{path.name}: expected an ROI number of its own for every ROI, found {number} "
                f"for {names[number]!r} and for {name!r}",
                hint="Which contours belong to which cannot be known; export it again.",
            )
        names[number] = name
    return names


def _region(number: int, name: str, found: _Found, path: Path) -> Region:
    if len(found.kinds) > 1:
        raise SeriesError(
            f"{path.name}: expected contours of one type in ROI {_in_words(number, name)}, found "
            f"{' and '.join(sorted(found.kinds))}",
            hint="The two are combined by different rules; export it with one of them.",
        )
    return Region(number, name, tuple(found.contours), _XOR_AREA in found.kinds)


def _in_words(number: int, name: str) -> str:
    return f"{number} ({name})" if name else str(number)


def _sequence(dataset: Dataset, keyword: str, path: Path) -> Any:
    return _stated(dataset, keyword, path, "")


def _stated(item: Any, keyword: str, path: Path, where: str) -> Any:
    """Return an attribute's value."""
    value = item.get(keyword)
    if value is None or value == "" or (hasattr(value, "__len__") and not len(value)):
        raise missing_attribute(path, DicomKind.RTSTRUCT, keyword, where)
    return value


def _kind(item: Any, path: Path, where: str) -> str:
    """Return a contour's type as the standard spells it."""
    found = str(_stated(item, "ContourGeometricType", path, where)).strip().upper()
    kind = _SPELLINGS.get(found, found)
    if kind not in {_AREA, _XOR_AREA} | _NO_AREAS:
        known = ", ".join(sorted({_AREA, _XOR_AREA} | _NO_AREAS))
        raise SeriesError(
            f"{path.name}: expected a ContourGeometricType among {known}, found {found!r} in "
            f"{where}",
            hint="Export the structure set again.",
        )
    return kind


def _contour(item: Any, path: Path, where: str) -> Contour:
    values = _numbers(item)
    if not values.size:
        raise missing_attribute(path, DicomKind.RTSTRUCT, "ContourData", where)
    stated = item.get("NumberOfContourPoints")
    points = values.size / 3 if stated in (None, "") else int(stated)
    if values.size != 3 * points or values.size % 3 or not np.isfinite(values).all():
        raise SeriesError(
            f"{path.name}: expected x, y and z of every point in ContourData, found {values.size} "
            f"numbers for {points:g} points (NumberOfContourPoints) in {where}",
            hint="Export the structure set again; it may be cut off.",
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
