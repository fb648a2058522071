"""Measurements -> DICOM structured report by template TID 1500 (PS3.16 annex A)."""

from __future__ import annotations

from typing import Any

from highdicom import UID
from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    SourceImageForMeasurementGroup,
    SourceImageForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from bodycomp import __version__
from bodycomp.anatomy import LEVEL_CONCEPTS, Tissue
from bodycomp.dicom.derived.measured import (
    MANUFACTURER,
    MODEL_NAME,
    SERIAL_NUMBER,
    MeasuredSeries,
    Segment,
    code,
    corrected_in_words,
    equipment,
)
from bodycomp.dicom.derived.sr_measurements import (
    OWN_SCHEME,
    flag_comments,
    flag_items,
    own_scheme,
    quantity_items,
    tissue_items,
)
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.errors import SeriesError
from bodycomp.results import LevelResult

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
        _group(measured, level, tissue, seg)
        for level in levels
        for tissue in measured.result.tissues
        if tissue.key in level.measurements
    ]
    groups += [_level_group(measured, level) for level in levels if level.quantities or level.flags]
    report = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer()),
        procedure_reported=codes.SCT.ComputedTomography,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    document = Comprehensive3DSR(
        evidence=[*([seg] if seg is not None else []), *sources],
        content=report[0],
        series_instance_uid=UID(),
        instance_number=1,
        is_complete=True,
        **equipment("sr"),
    )
    document.CodingSchemeIdentificationSequence = [
        *getattr(document, "CodingSchemeIdentificationSequence", []),
        own_scheme(),
    ]
    return document


def _observer() -> ObserverContext:
    """Return the software as the observer; each version is a device of its own."""
    return ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=generate_uid(entropy_srcs=["bodycomp", __version__]),
            name="bodycomp",
            manufacturer_name=MANUFACTURER,
            model_name=MODEL_NAME,
            serial_number=SERIAL_NUMBER,
        ),
    )


def _group(
    measured: MeasuredSeries, level: LevelResult, tissue: Tissue, seg: Segmentation | None
) -> Group:
    """Return the measurements of one tissue at one level."""
    shared: dict[str, Any] = {
        **_context(measured, level),
        "tracking_identifier": TrackingIdentifier(
            uid=measured.tracking_uid(level, tissue.key),
            identifier=f"{tissue.title} at {level.choice.level}",
        ),
        "finding_type": code(tissue.concept),
        "measurements": tissue_items(level.measurements[tissue.key], len(level.slice_indices)),
    }
    for segment in measured.segments:
        if seg is not None and segment.level is level and segment.tissue == tissue:
            return _region(measured, segment, seg, shared)
    return MeasurementsAndQualitativeEvaluations(
        **shared, source_images=_images_of_group(measured, level)
    )


def _level_group(measured: MeasuredSeries, level: LevelResult) -> Group:
    """Return what belongs to a level as a whole: derived quantities, flags and what they say."""
    group = MeasurementsAndQualitativeEvaluations(
        **_context(measured, level),
        tracking_identifier=TrackingIdentifier(
            uid=measured.tracking_uid(level, "level"),
            identifier=f"Body composition at {level.choice.level}",
        ),
        measurements=quantity_items(level.quantities),
        qualitative_evaluations=flag_items(level.flags),
        source_images=_images_of_group(measured, level),
    )
    group[0].ContentSequence.extend(flag_comments(level.flags))
    return group


def _context(measured: MeasuredSeries, level: LevelResult) -> dict[str, Any]:
    """Return where a group was measured, by what, and what a person corrected."""
    corrected = corrected_in_words(level)
    return {
        "finding_sites": [FindingSite(_site(level.choice.level))],
        "algorithm_id": AlgorithmIdentification(
            "bodycomp",
            __version__,
            parameters=[
                *(f"{role} model {key}" for role, key in measured.result.models.items()),
                *([f"corrected: {corrected}"] if corrected else []),
            ],
        ),
    }


def _site(level: str) -> Code:
    """Return the vertebra of a level, or a code of our own for a level that is none."""
    if level in LEVEL_CONCEPTS:
        return code(LEVEL_CONCEPTS[level])
    return Code(f"LEVEL-{level}", OWN_SCHEME, f"Level {level}")


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
