"""Measurements -> DICOM structured report by template TID 1500 (PS3.16 annex A)."""

from __future__ import annotations

from typing import Any, Final

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
from bodycomp.dicom.file_header import quiet_pydicom
from bodycomp.dicom.measured import (
    MANUFACTURER,
    MODEL_NAME,
    SERIAL_NUMBER,
    SERIES_NUMBERS,
    SOFTWARE_VERSIONS,
    MeasuredSeries,
    Segment,
    code,
    corrected_in_words,
)
from bodycomp.errors import SeriesError
from bodycomp.results import LevelResult
from bodycomp.results import Measurement as Measured

_HU: Final = codes.UCUM.HounsfieldUnit
_CM2: Final = codes.UCUM.SquareCentimeter
_STATISTICS: Final = {
    "mean_hu": codes.SCT.Mean,
    "median_hu": codes.SCT.Median,
    "sd_hu": codes.SCT.StandardDeviation,
}
"""Field of a measurement -> its derivation (CID 7464)."""

Group = VolumetricROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations


def report_of(measured: MeasuredSeries, seg: Segmentation | None) -> Comprehensive3DSR:
    """Return areas (cm2) and attenuations (HU) of every tissue at every level that was found.

    A group (TID 1411) refers to its segment in ``seg`` and to the source slices. The template of
    planar regions (TID 1410) would name frame and segment at once, which PS3.3 table 10-3 forbids.
    A tissue that occurs on no pixel has an area of 0 and refers to the source slices alone (TID
    1501). The level's vertebra is the finding site.

    Args:
        measured: The series.
        seg: Its segmentation; None if no tissue was found at all.

    Raises:
        SeriesError: No level was measured, or the source cannot be referred to.
    """
    levels = [level for level in measured.result.levels if level.masks]
    if not levels:
        raise SeriesError("no level was measured, so there is nothing to report")
    sources = measured.sources
    with quiet_pydicom():
        groups = [
            _group(measured, level, tissue, seg)
            for level in levels
            for tissue in measured.result.tissues
            if tissue.key in level.measurements
        ]
        report = MeasurementReport(
            observation_context=ObservationContext(observer_device_context=_observer()),
            procedure_reported=codes.SCT.ComputedTomography,
            imaging_measurements=groups,
            title=codes.DCM.ImagingMeasurementReport,
        )
        return Comprehensive3DSR(
            evidence=[*([seg] if seg is not None else []), *sources],
            content=report[0],
            series_instance_uid=UID(),
            series_number=SERIES_NUMBERS["sr"],
            sop_instance_uid=UID(),
            instance_number=1,
            manufacturer=MANUFACTURER,
            is_complete=True,
            manufacturer_model_name=MODEL_NAME,
            software_versions=SOFTWARE_VERSIONS,
            device_serial_number=SERIAL_NUMBER,
            series_description="Body composition measurements",
        )


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
    title = f"{tissue.title} at {level.choice.level}"
    corrected = corrected_in_words(level)
    shared: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(
            uid=measured.tracking_uid(level, tissue), identifier=title
        ),
        "finding_type": code(tissue.concept),
        "finding_sites": [FindingSite(code(LEVEL_CONCEPTS[level.choice.level]))],
        "algorithm_id": AlgorithmIdentification(
            "bodycomp",
            __version__,
            parameters=[
                *(f"{role} model {key}" for role, key in measured.result.models.items()),
                *([f"corrected: {corrected}"] if corrected else []),
            ],
        ),
        "measurements": _measurements(level.measurements[tissue.key], len(level.slice_indices)),
    }
    for segment in measured.segments:
        if seg is not None and segment.level is level and segment.tissue == tissue:
            return _region(measured, segment, seg, shared)
    images = [
        SourceImageForMeasurementGroup(h.SOPClassUID, h.SOPInstanceUID, frames)
        for h, frames in _source_images(measured, level)
    ]
    return MeasurementsAndQualitativeEvaluations(**shared, source_images=images)


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


def _measurements(found: Measured, slices: int) -> list[Measurement]:
    """Return the area and the statistics that there are; an area over a range is a mean."""
    over_range = codes.SCT.Mean if slices > 1 else None
    items = [_measurement(codes.SCT.Area, found.area_cm2, _CM2, over_range)]
    for name, derivation in _STATISTICS.items():
        value = getattr(found, name)
        if value is not None:
            items.append(_measurement(codes.DCM.AttenuationCoefficient, value, _HU, derivation))
    return items


def _measurement(name: Code, value: float, unit: Code, derivation: Code | None) -> Measurement:
    return Measurement(
        name=CodedConcept.from_code(name),
        value=float(value),
        unit=CodedConcept.from_code(unit),
        derivation=derivation,
    )
