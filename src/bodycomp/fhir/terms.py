"""Elements that all resources are made of: codings, identifiers, references, UUIDs."""

from __future__ import annotations

import json
import uuid
from typing import Any, Final

from bodycomp.anatomy import OWN_SCHEME, CodedConcept
from bodycomp.dicom.derived.coded_values import OWN_SCHEME_UID

Element = dict[str, Any]
"""A part of a resource, or a resource, as JSON has it."""

_SYSTEMS: Final = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "UCUM": "http://unitsofmeasure.org",
    "UMLS": "http://terminology.hl7.org/CodeSystem/umls",
    "IBSI": "urn:oid:1.2.840.10008.2.16.13",
    OWN_SCHEME: f"urn:oid:{OWN_SCHEME_UID}",
}
"""Designator of a coding scheme -> FHIR's name for it (R4, "Using Code Systems"); where it has
none, the scheme's UID (DICOM PS3.6 table A-1)."""

_IDENTIFIER_TYPES: Final = "http://hl7.org/fhir/uv/dicom-sr/CodeSystem/dicom-identifier-type"
_HL7: Final = "http://terminology.hl7.org/CodeSystem/"
_UID_SYSTEM: Final = "urn:dicom:uid"
_HU: Final = "[hnsf'U]"
_NAMESPACE: Final = uuid.UUID("9a433c41-37dd-48c6-ad32-08720697ce52")


def content_uuid(*parts: object) -> uuid.UUID:
    """Return the UUID of some content: the same content has the same one in every run."""
    return uuid.uuid5(_NAMESPACE, json.dumps(parts))


def concept(code: CodedConcept, text: str = "") -> Element:
    """Return a CodeableConcept; ``text`` says it for people."""
    coding = {"system": _SYSTEMS[code.scheme], "code": code.value, "display": code.meaning}
    return {"coding": [coding], "text": text or code.meaning}


def hl7_concept(system: str, code: str, text: str) -> Element:
    """Return a CodeableConcept of one of HL7's own code systems."""
    return {"coding": [{"system": _HL7 + system, "code": code}], "text": text}


def quantity(value: float, unit: CodedConcept) -> Element:
    """Return a Quantity with its UCUM unit, which people read as it is, but for that of HU."""
    return {
        "value": value,
        "unit": unit.value.replace(_HU, "HU"),
        "system": _SYSTEMS[unit.scheme],
        "code": unit.value,
    }


def uid_identifier(uid: str, kind: str = "") -> Element:
    """Return an Identifier of a DICOM UID; ``kind`` is one of HL7's dicom-identifier-type."""
    found: Element = {"system": _UID_SYSTEM, "value": f"urn:oid:{uid}"}
    if kind:
        found["type"] = {"coding": [{"system": _IDENTIFIER_TYPES, "code": kind}]}
    return found


def tracking_identifier(title: str) -> Element:
    """Return an Identifier of a DICOM Tracking Identifier, which is a text."""
    return {
        "type": {"coding": [{"system": _IDENTIFIER_TYPES, "code": "tracking-id"}]},
        "value": title,
    }


def uuid_uid(found: uuid.UUID) -> str:
    """Return a UUID as a UID (PS3.5 B.2).

    >>> uuid_uid(uuid.UUID(int=7))
    '2.25.7'
    """
    return f"2.25.{found.int}"


def class_coding(sop_class_uid: str) -> Element:
    """Return a Coding of a SOP class."""
    return {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{sop_class_uid}"}


def reference(target: uuid.UUID) -> Element:
    """Return a reference to a resource of the same bundle."""
    return {"reference": target.urn}


def without_empty(element: Element) -> Element:
    """Return an element without what is empty, which FHIR leaves out."""
    return {name: value for name, value in element.items() if value not in ("", None, [], {})}
