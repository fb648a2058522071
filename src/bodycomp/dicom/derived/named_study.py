"""Whom and which instances written results name, as plain values for formats other than DICOM."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from bodycomp.dicom.derived.measured import MeasuredSeries
from bodycomp.dicom.file_header import open_dicom

CT: Final = "CT"
"""Modality of every source."""


@dataclass(frozen=True, slots=True)
class NamedPatient:
    """The patient as the identity of a run allows; what is empty was not stated, or left out.

    Attributes:
        code: Patient ID, or its pseudonym; empty where the files have none.
        birth_date: ISO 8601.
        sex: ``F``, ``M`` or ``O``.
    """

    code: str = field(default="", repr=False)
    family_name: str = field(default="", repr=False)
    given_name: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    sex: str = ""


@dataclass(frozen=True, slots=True)
class NamedInstance:
    """One SOP instance; ``file`` is its name beside the results, empty for source images."""

    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    modality: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class NamedStudy:
    """Patient and study of a measured series, and the source images of its measured slices.

    Attributes:
        study_date: ISO 8601.
    """

    patient: NamedPatient
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sources: tuple[NamedInstance, ...] = field(repr=False)
    study_date: str = field(default="", repr=False)
    accession_number: str = field(default="", repr=False)


def named_study(measured: MeasuredSeries) -> NamedStudy:
    """Return what written objects say of a series, by the same identity.

    Raises:
        SeriesError: The source cannot be referred to.
    """
    header = measured.first_header
    sources = measured.sources if measured.slice_indices else ()
    return NamedStudy(
        patient=_patient(header, known=bool(measured.scan.patient_id)),
        study_uid=str(header.StudyInstanceUID),
        series_uid=str(header.SeriesInstanceUID),
        sources=tuple(_instance(item, CT) for item in sources),
        study_date=_iso_date(header.StudyDate),
        accession_number=str(header.AccessionNumber or ""),
    )


def written_instances(folder: Path, names: tuple[str, ...]) -> tuple[NamedInstance, ...]:
    """Return the objects among ``names`` that were written into a folder."""
    found = [
        (name, open_dicom(folder / name, pixels=False))
        for name in names
        if (folder / name).is_file()
    ]
    return tuple(
        _instance(header, str(header.Modality), name)
        for name, header in found
        if header is not None
    )


def _instance(header: Dataset, modality: str, file: str = "") -> NamedInstance:
    return NamedInstance(
        str(header.SOPClassUID),
        str(header.SOPInstanceUID),
        str(header.SeriesInstanceUID),
        modality,
        file,
    )


def _patient(header: Dataset, *, known: bool) -> NamedPatient:
    """Return the patient; the pseudonym of nobody, which all files without an ID share, is none."""
    code = str(header.PatientID or "") if known else ""
    name = PersonName(header.PatientName or "")
    named = known and str(name) != code  # a pseudonym stands in both
    return NamedPatient(
        code=code,
        family_name=str(name.family_name) if named else "",
        given_name=" ".join(filter(None, (name.given_name, name.middle_name))) if named else "",
        birth_date=_iso_date(header.PatientBirthDate),
        sex=str(header.PatientSex or ""),
    )


def _iso_date(value: object) -> str:
    """Return a DA value in ISO 8601, empty where it is none.

    >>> _iso_date("20260131"), _iso_date("20269999")
    ('2026-01-31', '')
    """
    try:
        return datetime.strptime(str(value), "%Y%m%d").date().isoformat()  # noqa: DTZ007 - a date
    except ValueError:
        return ""
