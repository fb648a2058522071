"""Who a written object says it is about: the patient of the source, or a pseudonym."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydicom.dataset import Dataset
from pydicom.uid import UID

from bodycomp.dicom.file_header import open_dicom
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.errors import SeriesError
from bodycomp.scan import SliceFile

CODE_LENGTH: Final = 12
_PATIENT: Final = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_STUDY: Final = (
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_OPTIONAL: Final = ("IssuerOfPatientID", "PatientAge", "StudyDescription")
_UIDS: Final = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
)


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """A secret that turns identifiers into pseudonyms (HMAC-SHA256, RFC 2104).

    The same key gives the same pseudonyms; without it nobody can tell by trying whether a known
    identifier belongs to a pseudonym.
    """

    secret: bytes = field(repr=False)

    def code(self, kind: str, text: str) -> str:
        """Return the pseudonym of an identifier: twelve hexadecimal digits."""
        return self._digest(kind, text).hex()[:CODE_LENGTH]

    def patient(self, patient_id: str) -> str:
        """Return what objects and tables call a person."""
        return f"patient-{self.code('patient', patient_id)}"

    def uid(self, original: str) -> str:
        """Return a UID in place of ``original``, from 128 bits as UUIDs are (PS3.5 B.2)."""
        return f"2.25.{int.from_bytes(self._digest('uid', original)[:16], 'big')}"

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.digest(self.secret, f"{kind}\n{text}".encode(), hashlib.sha256)


class Identity(Protocol):
    """Whom written objects name."""

    def apply(self, header: Dataset, found: Dataset) -> None:
        """Set patient, study and UIDs of ``header`` from those found in a source file."""


class KeptIdentity:
    """Patient and study of the source, so that objects go back into its study."""

    def apply(self, header: Dataset, found: Dataset) -> None:
        """Copy the patient and study modules (PS3.3 C.7.1.1 and C.7.2.1) and the UIDs."""
        for name in (*_PATIENT, *_STUDY):
            setattr(header, name, found.get(name) or "")
        for name in (*_OPTIONAL, *_UIDS):
            if found.get(name):
                setattr(header, name, found.get(name))


@dataclass(frozen=True, slots=True)
class PseudonymIdentity:
    """A pseudonym and UIDs made with a key; nothing else about patient and study.

    Objects of one patient and study stay together, and references hold between objects that were
    written with one key. Source images de-identified by the same rule are found again.
    """

    key: PseudonymKey

    def apply(self, header: Dataset, found: Dataset) -> None:
        """Set pseudonyms and leave everything else empty."""
        for name in (*_PATIENT, *_STUDY):
            setattr(header, name, "")
        code = self.key.patient(str(found.get("PatientID") or ""))
        header.PatientID = header.PatientName = code
        header.PatientIdentityRemoved = "YES"
        header.DeidentificationMethod = "Pseudonyms by keyed hash; nothing else copied"
        for name in _UIDS:
            if found.get(name):
                setattr(header, name, self.key.uid(str(found.get(name))))


@quiet_pydicom()
def source_header(item: SliceFile, identity: Identity) -> Dataset:
    """Return what written objects repeat of one source slice: whose it is, and its UIDs.

    Nothing else of the file is taken over, so that odd or private elements go nowhere.

    Raises:
        SeriesError: The file is gone, or lacks the UIDs by which objects refer to it.
    """
    try:
        found = open_dicom(item.path, pixels=True)
    except Exception as error:  # damaged; pydicom raises many types
        raise SeriesError("a source slice can no longer be read") from error
    if found is None:
        raise SeriesError("a source slice can no longer be read")
    for name, value in item.filled:  # others of its series say it
        setattr(found, name, value)
    missing = [name for name in (*_UIDS[:3], "SOPClassUID") if not found.get(name)]
    if missing:
        raise SeriesError(f"expected source slices with {', '.join(missing)}, found none")
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    if not found.get("FrameOfReferenceUID"):  # slices of one series share a frame
        found.FrameOfReferenceUID = PseudonymKey(b"frame").uid(str(found.SeriesInstanceUID))
    identity.apply(header, found)
    header.SOPClassUID = UID(found.SOPClassUID)
    header.Modality = "CT"
    header.PositionReferenceIndicator = ""
    return header
