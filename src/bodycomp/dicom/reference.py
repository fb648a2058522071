"""Which scan a DICOM segmentation or structure set says it belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from bodycomp.dicom.file_header import open_dicom
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.errors import SeriesError


class DicomKind(StrEnum):
    """What a DICOM file is, as far as annotations go."""

    SEG = "DICOM SEG"
    RTSTRUCT = "RTSTRUCT"
    IMAGE = "DICOM image"
    OTHER = "other DICOM object"


_KEYWORD: Final = re.compile(r"\b[A-Z][A-Za-z]+\b")
_LABEL_MAP_SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.7"  # PS3.4 B.5, Supplement 243
_KINDS: Final = {
    SegmentationStorage: DicomKind.SEG,
    _LABEL_MAP_SEGMENTATION: DicomKind.SEG,
    RTStructureSetStorage: DicomKind.RTSTRUCT,
}


@dataclass(frozen=True, slots=True)
class SeriesReference:
    """The series that an annotation was drawn on; empty where it does not say, or says several."""

    series_uid: str = field(default="", repr=False)
    study_uid: str = field(default="", repr=False)
    frame_of_reference_uid: str = field(default="", repr=False)


@quiet_pydicom()
def dicom_kind(path: Path) -> DicomKind | None:
    """Return what a DICOM file is, None for any other file or a damaged one."""
    try:
        dataset = open_dicom(path, pixels=False)
        if dataset is None:
            return None
        other = DicomKind.IMAGE if dataset.get("Rows") else DicomKind.OTHER
        return _KINDS.get(str(dataset.get("SOPClassUID", "")), other)
    except Exception:  # damaged; pydicom raises many types
        return None


def check_kind(path: Path, kind: DicomKind) -> None:
    """Check that a file is the kind of object that it is taken for."""
    found = dicom_kind(path)
    if found is not kind:
        raise SeriesError(
            f"{path.name}: expected {kind}, found {found or 'no DICOM file that can be read'}"
        )


def open_annotation(path: Path) -> Dataset:
    """Return the attributes of a segmentation or a structure set, without pixels."""
    return pydicom.dcmread(path, force=True, stop_before_pixels=True)


@contextmanager
def reading(path: Path, kind: DicomKind) -> Iterator[None]:
    """Read within, in silence, what is such an object; pydicom reads sequences late.

    Raises:
        SeriesError: It is another kind, or damaged.
    """
    with quiet_pydicom():
        check_kind(path, kind)
        try:
            yield
        except (SeriesError, MemoryError):
            raise
        except Exception as error:  # pydicom and the decoders raise many types
            raise _damaged(path, kind, error) from error


def _damaged(path: Path, kind: DicomKind, error: Exception) -> SeriesError:
    """Return the refusal of a file whose content breaks off or breaks the standard.

    An attribute that is not there is named; other messages may quote values.
    """
    if isinstance(error, AttributeError):
        words = _KEYWORD.findall(str(error))
        missing = next((word for word in words if tag_for_keyword(word) is not None), None)
        if missing is not None:
            return missing_attribute(path, kind, missing)
    return SeriesError(
        f"{path.name}: expected a whole {kind} file, found one that cannot be read "
        f"({type(error).__name__})",
        hint="Export or copy it again.",
    )


def missing_attribute(path: Path, kind: DicomKind, keyword: str, where: str = "") -> SeriesError:
    """Return the refusal of a file without an attribute that its reader needs.

    ``where`` names the part of the object that lacks it; empty for the object itself.
    """
    tag = tag_for_keyword(keyword) or 0
    said = f"{keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X})"
    return SeriesError(
        f"{path.name}: expected {said} in every {kind}, found none{' in ' if where else ''}{where}",
        hint="Export it again; the program that wrote it left out what the standard demands.",
    )


def reference_of(dataset: Dataset) -> SeriesReference:
    """Return the series that a SEG (PS3.3 C.7.6.16.2.1.1) or RTSTRUCT (C.8.8.5) names."""
    frames = {str(dataset.get("FrameOfReferenceUID", ""))}
    series = {_uid(item, "SeriesInstanceUID") for item in _items(dataset, "ReferencedSeries")}
    studies: set[str] = set()
    for frame in _items(dataset, "ReferencedFrameOfReference"):
        frames.add(_uid(frame, "FrameOfReferenceUID"))
        for study in _items(frame, "RTReferencedStudy"):
            studies.add(_uid(study, "ReferencedSOPInstanceUID"))
            series |= {
                _uid(item, "SeriesInstanceUID") for item in _items(study, "RTReferencedSeries")
            }
    for roi in _items(dataset, "StructureSetROI"):
        frames.add(_uid(roi, "ReferencedFrameOfReferenceUID"))
    return SeriesReference(
        series_uid=_only(series),
        study_uid=_only(studies) or _uid(dataset, "StudyInstanceUID"),
        frame_of_reference_uid=_only(frames),
    )


def read_reference(path: Path) -> SeriesReference | None:
    """Return the series that a SEG or RTSTRUCT names, None for any other file."""
    kind = dicom_kind(path)
    if kind not in (DicomKind.SEG, DicomKind.RTSTRUCT):
        return None
    with reading(path, kind):
        return reference_of(open_annotation(path))


def _items(dataset: Dataset, name: str) -> Iterator[Any]:
    yield from dataset.get(f"{name}Sequence") or ()


def _uid(dataset: Dataset, name: str) -> str:
    return str(dataset.get(name) or "").strip(" \0")


def _only(values: set[str]) -> str:
    stated = values - {""}
    return stated.pop() if len(stated) == 1 else ""
