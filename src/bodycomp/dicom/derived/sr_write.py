"""Measurements -> DICOM structured report by template TID 1500 (PS3.16 annex A)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from highdicom import UID
from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from bodycomp import __version__
from bodycomp.anatomy import OWN_SCHEME
from bodycomp.dicom.derived.coded_values import (
    OWN_SCHEME_UID,
    QUALITY_FINDING,
    REPORT_TITLE,
    CodedGroup,
    CodedValue,
    flag_code,
    level_group,
    tissue_groups,
)
from bodycomp.dicom.derived.measured import (
    MANUFACTURER,
    MODEL_NAME,
    SERIAL_NUMBER,
    MeasuredSeries,
    Segment,
    code,
    corrected_in_words,
    equipment,
    software_uid,
)
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.errors import SeriesError
from bodycomp.reference.words import sentences
from bodycomp.results import LevelResult, QualityFlag

Group = VolumetricROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations


@quiet_pydicom()
def report_of(measured: MeasuredSeries, seg: Segmentation | None) -> Comprehensive3DSR:
    """Return what was measured at every level that was found, coded, with its UCUM units.

    A group (TID 1411) refers to its segment in ``seg`` and to the source slices. The template of
    planar regions (TID 1410) would name frame and segment at once, which PS3.3 table 10-3 forbids.
    A tissue that occurs on no pixel has an area of 0 and refers to the source slices alone (TID
    1501), as does a group per level that holds the derived quantities and quality flags. The
    level's vertebra is the finding site; other levels have codes of our own scheme.

    Raises:
        SeriesError: No level was measured, or the source cannot be referred to.
    """
    levels = [level for level in measured.result.levels if level.masks]
    if not levels:
        raise SeriesError("no level was measured, so there is nothing to report")
    sources = measured.sources
    groups = [
        _group(measured, group, seg) for level in levels for group in tissue_groups(measured, level)
    ]
    groups += [
        _level_group(measured, level_group(measured, level))
        for level in levels
        if level.quantities or level.flags
    ]
    return document_of(groups, [*([seg] if seg is not None else []), *sources], "sr")


def document_of(
    groups: Sequence[Group], evidence: Sequence[Dataset], kind: str
) -> Comprehensive3DSR:
    """Return a report of groups of measurements by the software.

    Args:
        groups: In their order.
        evidence: What was measured; the document is in the study of the first.
        kind: Which of the series in ``measured.SERIES`` it is.
    """
    report = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer()),
        procedure_reported=codes.SCT.ComputedTomography,
        imaging_measurements=groups,
        title=code(REPORT_TITLE),
    )
    document = Comprehensive3DSR(
        evidence=evidence,
        content=report[0],
        series_instance_uid=UID(),
        instance_number=1,
        is_complete=True,
        **equipment(kind),
    )
    document.CodingSchemeIdentificationSequence = [
        *getattr(document, "CodingSchemeIdentificationSequence", []),
        _own_scheme(),
    ]
    return document


def _observer() -> ObserverContext:
    """Return the software as the observer; each version is a device of its own."""
    return ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=software_uid(),
            name="bodycomp",
            manufacturer_name=MANUFACTURER,
            model_name=MODEL_NAME,
            serial_number=SERIAL_NUMBER,
        ),
    )


def _own_scheme() -> Dataset:
    """Return the item of Coding Scheme Identification Sequence (PS3.3 C.12.1.1.1) of our codes."""
    item = Dataset()
    item.CodingSchemeDesignator = OWN_SCHEME
    item.CodingSchemeUID = OWN_SCHEME_UID
    item.CodingSchemeName = "bodycomp measurements"
    item.CodingSchemeResponsibleOrganization = "bodycomp"
    return item


def _group(measured: MeasuredSeries, group: CodedGroup, seg: Segmentation | None) -> Group:
    """Return the measurements of one tissue at one level."""
    shared = _context(measured, group)
    if group.tissue is not None:
        shared["finding_type"] = code(group.tissue.concept)
    for segment in measured.segments:
        if seg is not None and segment.tracking_uid == group.tracking_uid:
            return _region(measured, segment, seg, shared)
    return MeasurementsAndQualitativeEvaluations(
        **shared, source_images=_images_of_group(measured, group.level)
    )


def _level_group(measured: MeasuredSeries, group: CodedGroup) -> Group:
    """Return what belongs to a level as a whole: derived quantities, flags and what they say."""
    made = MeasurementsAndQualitativeEvaluations(
        **_context(measured, group),
        qualitative_evaluations=_findings(group.flags),
        source_images=_images_of_group(measured, group.level),
    )
    said = sentences(group.level.references, measured.result.references)
    made[0].ContentSequence.extend(
        _comments([*(flag.message for flag in group.flags), *map(ascii_text, said)])
    )
    return made


def _findings(flags: Sequence[QualityFlag]) -> list[QualitativeEvaluation]:
    return [QualitativeEvaluation(code(QUALITY_FINDING), code(flag_code(f.key))) for f in flags]


def _comments(texts: Sequence[str]) -> list[TextContentItem]:
    """Return what flags say, with their numbers, and what references say.

    TID 311, the template of statistical properties, has room for one population.
    """
    contains = RelationshipTypeValues.CONTAINS
    return [TextContentItem(codes.DCM.Comment, text, contains) for text in texts]


def ascii_text(text: str) -> str:
    """Return a text that every character set has: the report takes over that of its source.

    >>> ascii_text("48.3 cm²/m², Universität")
    '48.3 cm2/m2, Universitat'
    """
    plain = unicodedata.normalize("NFKD", text.replace("\N{MINUS SIGN}", "-"))
    kept = "".join(each for each in plain if not unicodedata.combining(each))
    return kept.encode("ascii", "replace").decode("ascii")


def _context(measured: MeasuredSeries, group: CodedGroup) -> dict[str, Any]:
    """Return what was measured where, by what, and what a person corrected."""
    corrected = corrected_in_words(group.level)
    return {
        "tracking_identifier": TrackingIdentifier(uid=group.tracking_uid, identifier=group.title),
        "measurements": [
            _item(each, each.value) for each in group.values if each.value is not None
        ],
        "finding_sites": [FindingSite(code(group.site))],
        "algorithm_id": AlgorithmIdentification(
            "bodycomp",
            __version__,
            parameters=[
                *(f"{role} model {key}" for role, key in measured.result.models.items()),
                *([f"corrected: {corrected}"] if corrected else []),
            ],
        ),
    }


def _item(found: CodedValue, value: float) -> Measurement:
    return Measurement(
        name=CodedConcept.from_code(code(found.name)),
        value=float(value),
        unit=CodedConcept.from_code(code(found.unit)),
        derivation=code(found.derivation) if found.derivation else None,
    )


def _images_of_group(
    measured: MeasuredSeries, level: LevelResult
) -> list[SourceImageForMeasurementGroup]:
    return [
        SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID, frames)
        for header, frames in _source_images(measured, level)
    ]


def _region(
    measured: MeasuredSeries, segment: Segment, seg: Segmentation, shared: dict[str, Any]
) -> Group:
    images = [
        SourceImageForSegmentation(h.SOPClassUID, h.SOPInstanceUID, frames)
        for h, frames in _source_images(measured, segment.level)
    ]
    reference = ReferencedSegment(
        seg.SOPClassUID, seg.SOPInstanceUID, segment.number, source_images=images
    )
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        **shared, referenced_segment=reference
    )


def _source_images(
    measured: MeasuredSeries, level: LevelResult
) -> list[tuple[Dataset, list[int] | None]]:
    """Return header and frame of every slice that a level was measured on."""
    indices = sorted(level.masks)
    return [(measured.header(index), measured.frame_numbers(index)) for index in indices]
