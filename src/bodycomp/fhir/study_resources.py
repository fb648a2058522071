"""Patient, study, software and written DICOM objects as resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from bodycomp import __version__
from bodycomp.dicom.derived.coded_values import ALGORITHM_FAMILY, ALGORITHM_PARAMETERS
from bodycomp.dicom.derived.measured import MANUFACTURER, MODEL_NAME, software_uid
from bodycomp.dicom.derived.named_study import CT, NamedInstance, NamedPatient, NamedStudy
from bodycomp.fhir.terms import (
    Element,
    class_coding,
    concept,
    hl7_concept,
    reference,
    uid_identifier,
    without_empty,
)

_GENDERS: Final = {"F": "female", "M": "male", "O": "other"}
_MODALITIES: Final = "http://dicom.nema.org/resources/ontology/DCM"


def patient_resource(patient: NamedPatient) -> Element:
    """Return the Patient, under the pseudonym alone unless identifiers are kept."""
    name = without_empty(
        {"family": patient.family_name, "given": patient.given_name.split() or None}
    )
    kind = hl7_concept("v2-0203", "MR", "Patient ID")
    return without_empty(
        {
            "resourceType": "Patient",
            "identifier": [{"type": kind, "value": patient.code}] if patient.code else None,
            "name": [name] if name else None,
            "gender": _GENDERS.get(patient.sex),
            "birthDate": patient.birth_date,
        }
    )


def imaging_study_resource(
    series: Mapping[str, Sequence[NamedInstance]], study: NamedStudy, patient: UUID
) -> Element:
    """Return the ImagingStudy: the series that were measured, with the slices in use, and written.

    Args:
        series: UID -> instances that are referred to; none in a series without any level.
        study: Names the study.
        patient: Whose it is.
    """
    identifiers = [uid_identifier(study.study_uid, "study-instance-uid")]
    if study.accession_number:
        kind = hl7_concept("v2-0203", "ACSN", "Accession number")
        identifiers.append({"type": kind, "value": study.accession_number})
    return without_empty(
        {
            "resourceType": "ImagingStudy",
            "identifier": identifiers,
            "status": "available",
            "subject": reference(patient),
            "started": study.study_date,
            "series": [_series(uid, members) for uid, members in series.items()],
        }
    )


def _series(uid: str, instances: Sequence[NamedInstance]) -> Element:
    modality = instances[0].modality if instances else CT
    return without_empty(
        {
            "uid": uid,
            "modality": {"system": _MODALITIES, "code": modality},
            "instance": [
                {"uid": item.sop_instance_uid, "sopClass": class_coding(item.sop_class_uid)}
                for item in instances
            ],
        }
    )


def document_resource(written: NamedInstance, place: str, patient: UUID) -> Element:
    """Return the DocumentReference of a segmentation or report; R4 has no ImagingSelection.

    ``place`` is the folder of the object, relative to that of the bundle.
    """
    identifier = uid_identifier(written.sop_instance_uid, "sop-instance-uid")
    attachment = {
        "contentType": "application/dicom",
        "url": f"{place}/{written.file}",
        "title": written.file,
    }
    return {
        "resourceType": "DocumentReference",
        "masterIdentifier": identifier,
        "status": "current",
        "type": {
            "coding": [{"system": _MODALITIES, "code": written.modality}],
            "text": written.file,
        },
        "subject": reference(patient),
        "content": [{"attachment": attachment, "format": class_coding(written.sop_class_uid)}],
    }


def device_resource(models: dict[str, str]) -> Element:
    """Return the software with its models as Device, as TID 4019 names an algorithm."""
    properties: list[dict[str, Any]] = [
        {
            "type": concept(ALGORITHM_PARAMETERS, f"{role} model"),
            "valueCode": [{"text": digest}],
        }
        for role, digest in models.items()
    ]
    return without_empty(
        {
            "resourceType": "Device",
            "identifier": [uid_identifier(software_uid())],
            "status": "active",
            "manufacturer": MANUFACTURER,
            "deviceName": [{"name": MODEL_NAME, "type": "model-name"}],
            "type": concept(ALGORITHM_FAMILY),
            "version": [{"value": __version__}],
            "property": properties,
        }
    )
