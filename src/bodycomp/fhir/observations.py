"""Coded groups -> Observations, as HL7's guide maps the groups of a TID 1500 report.

The guide is "DICOM SR to FHIR Resource Mapping" (hl7.fhir.uv.dicom-sr, STU 1). It is written for
R5; its section on R4 keeps the Observations and drops ImagingSelection, which R4 lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from bodycomp import __version__
from bodycomp.anatomy import CodedConcept
from bodycomp.dicom.derived.coded_values import (
    MEASUREMENT_GROUP,
    QUALITY_FINDING,
    CodedGroup,
    CodedValue,
    flag_code,
)
from bodycomp.fhir.terms import (
    Element,
    concept,
    content_uuid,
    hl7_concept,
    quantity,
    reference,
    tracking_identifier,
    uid_identifier,
    uuid_uid,
    without_empty,
)
from bodycomp.results import QualityFlag
from bodycomp.tables import DECIMALS

_QUALITATIVE: Final = CodedConcept("C0034375", "UMLS", "Qualitative Evaluations")
_NOT_PERFORMED: Final = "not-performed"
_UNKNOWN: Final = "unknown"

Entry = tuple[UUID, Element]
"""A resource and what references in its bundle call it."""


@dataclass(frozen=True, eq=False)
class Context:
    """What all Observations of a series share.

    Attributes:
        derived_from: Written segmentation and report, or else the study.
        issued: When it was measured, ISO 8601 with the offset from UTC.
        effective: When the patient was scanned; empty where identifiers are left out.
    """

    series_uid: str
    patient: UUID
    study: UUID
    device: UUID
    derived_from: tuple[UUID, ...]
    models: Mapping[str, str]
    issued: str
    effective: str = ""

    def observation(self, group: CodedGroup, key: str, own: Element) -> Entry:
        """Return an Observation with what it shares, and an identifier made of its content."""
        who = (self.series_uid, group.tracking_uid, key, __version__, dict(self.models))
        name = content_uuid(*who, own, [int(index) for index in group.level.slice_indices])
        identifier = uid_identifier(uuid_uid(name), "observation-uid")
        shared: Element = {
            "resourceType": "Observation",
            "partOf": [reference(self.study)],
            "status": "preliminary",  # nobody verified it, as the report's Preliminary Flag says
            "subject": reference(self.patient),
            "issued": self.issued,
            "effectiveDateTime": self.effective,
            "bodySite": concept(group.site),
            "device": reference(self.device),
            "derivedFrom": [reference(each) for each in self.derived_from],
        }
        own["identifier"] = [identifier, *own.get("identifier", ())]
        return name, without_empty(shared | own)


def group_entries(context: Context, group: CodedGroup) -> Iterator[Entry]:
    """Yield a group's Observation, then its members: numbers and flags.

    A level that was not found has a group without members, which says why.
    """
    members = [_measurement(context, group, each) for each in group.values]
    members += [_finding(context, group, each) for each in group.flags]
    own: Element = {
        "identifier": [
            uid_identifier(group.tracking_uid, "tracking-uid"),
            tracking_identifier(group.title),
        ],
        "code": concept(MEASUREMENT_GROUP, group.title),
        "valueCodeableConcept": concept(group.tissue.concept) if group.tissue else None,
        "hasMember": [reference(name) for name, _ in members],
    }
    choice = group.level.choice
    if choice.slice_index is None:
        reason = f"{choice.level} {choice.status.value}: {choice.reason}"
        own["dataAbsentReason"] = _absent(_NOT_PERFORMED, reason)
    yield context.observation(group, "group", own)
    yield from members


def _measurement(context: Context, group: CodedGroup, found: CodedValue) -> Entry:
    """Return one number; what was made of several values is the method."""
    words = [f"{group.title}: {found.name.meaning}"]
    own: Element = {"category": [concept(MEASUREMENT_GROUP)]}
    if found.derivation:
        words.append(found.derivation.meaning)
        own["method"] = concept(found.derivation)
    own["code"] = concept(found.name, ", ".join(words))
    if found.value is None:
        own["dataAbsentReason"] = _absent(_UNKNOWN, found.reason)
    else:
        own["valueQuantity"] = quantity(round(float(found.value), DECIMALS), found.unit)
    return context.observation(group, found.key, own)


def _finding(context: Context, group: CodedGroup, flag: QualityFlag) -> Entry:
    own: Element = {
        "category": [concept(_QUALITATIVE)],
        "code": concept(QUALITY_FINDING),
        "valueCodeableConcept": concept(flag_code(flag.key)),
        "note": [{"text": flag.message}],
    }
    return context.observation(group, f"flag {flag.key}", own)


def _absent(code: str, reason: str) -> Element:
    return hl7_concept("data-absent-reason", code, reason)
