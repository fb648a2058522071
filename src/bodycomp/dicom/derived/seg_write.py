"""Masks on the source grid -> DICOM Segmentation, binary or label map (PS3.3 A.51 and A.94)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from highdicom import (
    UID,
    AlgorithmIdentificationSequence,
    PixelMeasuresSequence,
    PlaneOrientationSequence,
    PlanePositionSequence,
)
from highdicom.color import CIELabColor
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from bodycomp import __version__
from bodycomp.dicom.derived.measured import (
    SERIES,
    MeasuredSeries,
    Segment,
    code,
    corrected_in_words,
    equipment,
)
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.errors import SeriesError

SegKind = Literal["seg", "labelmap"]
_TYPES: Final[Mapping[SegKind, SegmentationTypeValues]] = {
    "seg": SegmentationTypeValues.BINARY,
    "labelmap": SegmentationTypeValues.LABELMAP,
}


@quiet_pydicom()
def segmentation_of(measured: MeasuredSeries, kind: SegKind) -> Segmentation:
    """Return the segments of all measured slices, with references to their source instances.

    Frames lie on the pixel grid of the source. A segment is one tissue at one level, coded by
    the table of ``anatomy``; the background of a label map is 0.

    Raises:
        SeriesError: No tissue was found, the source cannot be referred to, or two levels claim the
            same slice of a label map.
    """
    if not measured.segments:
        raise SeriesError("no tissue was found, so there is nothing to segment")
    volume = measured.volume
    positions = [measured.slices[index].position_mm for index in measured.slice_indices]
    return Segmentation(
        source_images=measured.sources,
        pixel_array=_pixels(measured, kind),
        segmentation_type=_TYPES[kind],
        segment_descriptions=[_description(measured, item) for item in measured.segments],
        series_instance_uid=UID(),
        instance_number=1,
        content_description=SERIES[kind][1],
        content_label="BODYCOMP",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        pixel_measures=PixelMeasuresSequence(volume.pixel_spacing_mm, measured.thickness_mm),
        plane_orientation=PlaneOrientationSequence("PATIENT", volume.orientation),
        plane_positions=[PlanePositionSequence("PATIENT", place) for place in positions],
        **equipment(kind),
    )


def _pixels(measured: MeasuredSeries, kind: SegKind) -> NDArray[np.uint8]:
    """Return (slice, row, column, segment) masks, or (slice, row, column) segment numbers."""
    shape = (len(measured.slice_indices), *measured.volume.slice_shape)
    masks = np.zeros((*shape, len(measured.segments)), np.uint8)
    for plane, index in enumerate(measured.slice_indices):
        for item in measured.segments:
            mask = item.mask(index)
            if mask is not None:
                masks[plane, :, :, item.number - 1] = mask
    if kind == "seg":
        return masks
    for item in measured.segments:  # a label map shows the parts of a tissue as they are
        parts = [
            other.number - 1
            for other in measured.segments
            if other.level is item.level and other.tissue.label in item.tissue.parts
        ]
        masks[..., item.number - 1] &= 1 - masks[..., parts].max(axis=3, initial=0)
    if np.any(masks.sum(axis=3) > 1):
        raise SeriesError(
            "two levels share a slice, which a label map cannot show",
            hint="Write a binary segmentation, or measure a smaller range.",
        )
    numbers = np.array([item.number for item in measured.segments], np.uint8)
    labels: NDArray[np.uint8] = masks @ numbers
    return labels


def _description(measured: MeasuredSeries, item: Segment) -> SegmentDescription:
    """Return what a segment is; one that a person had a hand in is semiautomatic (C.8.20.2).

    Without models the mask was given: it counts as manual, whatever made it.
    """
    corrected, models = corrected_in_words(item.level), measured.result.models
    kind = SegmentAlgorithmTypeValues.AUTOMATIC if models else SegmentAlgorithmTypeValues.MANUAL
    return SegmentDescription(
        segment_number=item.number,
        segment_label=item.title,
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=code(item.tissue.concept),
        algorithm_type=SegmentAlgorithmTypeValues.SEMIAUTOMATIC if corrected else kind,
        algorithm_identification=AlgorithmIdentificationSequence(
            name="bodycomp",
            family=codes.DCM.ArtificialIntelligence,
            version=__version__,
            parameters={f"{role} model": digest for role, digest in models.items()}
            | ({"corrected": corrected} if corrected else {}),
        )
        if models
        else None,
        tracking_uid=item.tracking_uid,
        tracking_id=item.title,
        display_color=CIELabColor.from_rgb(*item.tissue.color),
    )
