"""The resources of a study as the content of one Bundle, with references among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from bodycomp.dicom.derived.coded_values import (
    REPORT_TITLE,
    CodedGroup,
    level_group,
    tissue_groups,
)
from bodycomp.dicom.derived.measured import MeasuredSeries
from bodycomp.dicom.derived.named_study import (
    NamedInstance,
    NamedStudy,
    named_study,
    written_instances,
)
from bodycomp.fhir.observations import Context, Entry, group_entries
from bodycomp.fhir.study_resources import (
    device_resource,
    document_resource,
    imaging_study_resource,
    patient_resource,
)
from bodycomp.fhir.terms import (
    Element,
    concept,
    content_uuid,
    hl7_concept,
    reference,
    uid_identifier,
    uuid_uid,
    without_empty,
)

_RADIOLOGY: Final = hl7_concept("v2-0074", "RAD", "Radiology")


@dataclass(frozen=True, eq=False)
class SeriesContent:
    """A measured series as its study's bundle needs it.

    Attributes:
        groups: What was measured at each level; of a level that was not found, why.
        written: Segmentation and report that were written of it, in the folder ``place``.
    """

    study: NamedStudy
    models: dict[str, str]
    groups: tuple[CodedGroup, ...]
    written: tuple[NamedInstance, ...]
    place: str


def series_content(
    measured: MeasuredSeries, folder: Path, objects: tuple[str, ...]
) -> SeriesContent:
    """Return a series whose DICOM objects, if any, lie in a folder under these names.

    Raises:
        SeriesError: The source cannot be referred to.
    """
    return SeriesContent(
        named_study(measured),
        dict(measured.result.models),
        tuple(_groups(measured)),
        written_instances(folder, objects),
        folder.name,
    )


def _groups(measured: MeasuredSeries) -> Iterator[CodedGroup]:
    for level in measured.result.levels:
        yield from tissue_groups(measured, level)
        yield level_group(measured, level)


def bundle_document(series: Sequence[SeriesContent], issued: str) -> Element:
    """Return the Bundle of a study's series: who and what, report, numbers, provenance."""
    first = series[0].study
    patient, study, device = (
        content_uuid(kind, first.study_uid) for kind in ("patient", "study", "device")
    )
    written = [(each, item) for each in series for item in each.written]
    entries: list[Entry] = [
        (patient, patient_resource(first.patient)),
        (study, imaging_study_resource(_series_of(series), first, patient)),
        (device, device_resource(series[0].models)),
        *(
            (_document_uuid(item), document_resource(item, each.place, patient))
            for each, item in written
        ),
    ]
    groups: list[UUID] = []
    results: list[Entry] = []
    for each in series:
        context = Context(
            each.study.series_uid,
            patient,
            study,
            device,
            tuple(_document_uuid(item) for item in each.written) or (study,),
            each.models,
            issued,
            each.study.study_date,
        )
        for group in each.groups:
            found = list(group_entries(context, group))
            groups.append(found[0][0])
            results += found
    report = content_uuid("report", [name.urn for name, _ in results])
    made = [report, *(name for name, _ in results)]
    entries += [
        (report, _report(report, study, patient, groups, (issued, first.study_date))),
        *results,
        (content_uuid("provenance", report.urn), _provenance(made, study, device, issued)),
    ]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": issued,
        "entry": [{"fullUrl": name.urn, "resource": resource} for name, resource in entries],
    }


def _document_uuid(written: NamedInstance) -> UUID:
    return content_uuid("object", written.sop_instance_uid)


def _series_of(series: Sequence[SeriesContent]) -> dict[str, tuple[NamedInstance, ...]]:
    """Return series UID -> the instances that are referred to: source images, then objects."""
    found: dict[str, tuple[NamedInstance, ...]] = {}
    for each in series:
        found[each.study.series_uid] = each.study.sources
        for item in each.written:
            found[item.series_uid] = (*found.get(item.series_uid, ()), item)
    return found


def _report(
    name: UUID, study: UUID, patient: UUID, groups: Sequence[UUID], moments: tuple[str, str]
) -> Element:
    """Return the DiagnosticReport of the study; ``moments`` are issued, and when scanned."""
    issued, effective = moments
    return without_empty(
        {
            "resourceType": "DiagnosticReport",
            "identifier": [uid_identifier(uuid_uid(name))],
            "status": "preliminary",
            "category": [_RADIOLOGY],
            "code": concept(REPORT_TITLE),
            "subject": reference(patient),
            "effectiveDateTime": effective,
            "issued": issued,
            "imagingStudy": [reference(study)],
            "result": [reference(each) for each in groups],
        }
    )


def _provenance(made: Sequence[UUID], study: UUID, device: UUID, recorded: str) -> Element:
    """Return what made the results, when, and of what."""
    return {
        "resourceType": "Provenance",
        "target": [reference(each) for each in made],
        "recorded": recorded,
        "activity": hl7_concept("v3-DataOperation", "CREATE", "create"),
        "agent": [
            {
                "type": hl7_concept("provenance-participant-type", "assembler", "Assembler"),
                "who": reference(device),
            }
        ],
        "entity": [{"role": "source", "what": reference(study)}],
    }
