"""What a node needs to know of a file that it received, read without its pixels."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pydicom

from bodycomp.dicom.deflated import check_inflated_size
from bodycomp.dicom.file_header import read_headers
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.dicom.values import text
from bodycomp.errors import SeriesError

_UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_META_LENGTH_AT: Final = 140
"""Where a part 10 file says how long its meta information is, counted from 144 (PS3.10 7.1)."""
_LONGEST_UID: Final = 64


@dataclass(frozen=True, slots=True)
class ReceivedImage:
    """Whose image it is, and a digest of its dataset, whatever the meta information says."""

    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_uid: str = field(repr=False)
    content: str


@quiet_pydicom()
def received_image(path: Path) -> ReceivedImage:
    """Return what a part 10 file is.

    Raises:
        SeriesError: It cannot be read, lacks a UID, or is another instance than its meta
            information says.
        OSError: The disk cannot be read.
    """
    try:
        check_inflated_size(path)
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*_UIDS])
        study, series, sop = found = [text(dataset, name) for name in _UIDS]
        stated = str(dataset.file_meta.MediaStorageSOPInstanceUID)
    except (OSError, SeriesError):
        raise
    except Exception as error:  # damaged; pydicom raises many types
        raise SeriesError("expected a DICOM dataset, found one that cannot be read") from error
    if not all(0 < len(uid) <= _LONGEST_UID for uid in found):
        raise SeriesError(f"expected {', '.join(_UIDS)}, found one that is missing or too long")
    if sop != stated:
        raise SeriesError("expected the instance that the request names, found another one")
    return ReceivedImage(study, series, sop, _dataset_digest(path))


def _dataset_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(_META_LENGTH_AT)
        (length,) = struct.unpack("<I", file.read(4))
        file.seek(_META_LENGTH_AT + 4 + length)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What routing rules ask of a series.

    Attributes:
        descriptions: Of study, series and protocol.
    """

    descriptions: tuple[str, ...] = field(repr=False)
    body_part: str
    thickness_mm: float | None


@quiet_pydicom()
def series_facts(path: Path) -> SeriesFacts:
    """Return what the header of one image says of its series; what is damaged says nothing."""
    tags = ["StudyDescription", "SeriesDescription", "ProtocolName", "BodyPartExamined"]
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*tags])
        *descriptions, body_part = (text(dataset, name) for name in tags)
        headers = read_headers(path)
    except Exception:  # damaged; pydicom raises many types
        return SeriesFacts((), "", None)
    thickness = headers[0].acquisition.slice_thickness_mm if headers else None
    return SeriesFacts(tuple(filter(None, descriptions)), body_part, thickness)
