"""A measured series as DICOM sees it: which segments there are, and the source slices they show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from highdicom import UID, PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from bodycomp import __version__
from bodycomp.anatomy import CodedConcept, Tissue
from bodycomp.dicom.derived.identity import Identity, source_header
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.errors import SeriesError
from bodycomp.imaging.volume import Volume
from bodycomp.results import LevelResult, SeriesResult
from bodycomp.scan import Scan, SliceFile
from bodycomp.storage import atomic_file

MANUFACTURER: Final = "bodycomp"
MODEL_NAME: Final = "bodycomp"
SERIAL_NUMBER: Final = "0"
SERIES: Final = {
    "seg": (9301, "Body composition"),
    "labelmap": (9302, "Body composition, label map"),
    "sr": (9303, "Body composition measurements"),
    "overlay": (9304, "Body composition overlay"),
    "comparison": (9305, "Body composition compared with earlier scans"),
    "pdf": (9306, "Body composition report"),
}
"""Kind of object -> number, far from those that scanners give, and description of its series."""

_NOWHERE_MM: Final = 1e6


@dataclass(frozen=True, eq=False)
class Segment:
    """One tissue at one level.

    Attributes:
        number: Counted from 1 over all segments of the series.
        tracking_uid: The same whenever this tissue is measured at this level of this series.
    """

    number: int
    level: LevelResult
    tissue: Tissue
    tracking_uid: str

    @property
    def title(self) -> str:
        """Name for people."""
        return f"{self.tissue.title} at {self.level.choice.level}"

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """Return where the tissue is on a slice, None where its level was not measured."""
        labels = self.level.masks.get(index)
        if labels is None:
            return None
        where: NDArray[np.bool_] = self.tissue.of(labels)
        return where


@dataclass(frozen=True, eq=False)
class MeasuredSeries:
    """A scan from DICOM with its result."""

    scan: Scan
    result: SeriesResult
    identity: Identity

    @property
    def volume(self) -> Volume:
        """The scan's."""
        return self.scan.volume

    @property
    def slices(self) -> tuple[SliceFile, ...]:
        """(slice,) the file of every slice of the volume."""
        return self.scan.slices

    @cached_property
    def slice_indices(self) -> tuple[int, ...]:
        """Slices that were measured at any level, feet to head."""
        return tuple(sorted({i for level in self.result.levels for i in level.masks}))

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Tissues that were found, level by level."""
        found: list[Segment] = []
        for level in self.result.levels:
            for tissue in self.result.tissues:
                if any(np.any(tissue.of(mask)) for mask in level.masks.values()):
                    uid = self.tracking_uid(level, tissue.key)
                    found.append(Segment(len(found) + 1, level, tissue, uid))
        return tuple(found)

    @cached_property
    def overlay_series_uid(self) -> str:
        """UID of the series that the overlays of all levels make."""
        return str(generate_uid())

    def tracking_uid(self, level: LevelResult, what: str) -> str:
        """Return a UID that is unique to something at this level, such as a tissue."""
        series = str(self.first_header.SeriesInstanceUID)
        return str(generate_uid(entropy_srcs=[series, level.choice.level, what]))

    @cached_property
    def first_header(self) -> Dataset:
        """Header of a slice, whether or not any was measured: whose it is, and its UIDs.

        Raises:
            SeriesError: The file cannot be referred to.
        """
        if self.slice_indices:
            return self.header(self.slice_indices[0])
        return source_header(self.slices[0], self.identity)

    @cached_property
    def _headers(self) -> Mapping[int, Dataset]:
        self._check_references()
        return {index: self._header(index) for index in self.slice_indices}

    def header(self, index: int) -> Dataset:
        """Return the header of a measured slice, with its place on the source grid.

        Raises:
            SeriesError: The file cannot be referred to.
        """
        return self._headers[index]

    def _header(self, index: int) -> Dataset:
        header = source_header(self.slices[index], self.identity)
        header.Rows, header.Columns = self.volume.slice_shape
        header.ImagePositionPatient = [*self.slices[index].position_mm]
        header.ImageOrientationPatient = [*self.volume.orientation]
        header.PixelSpacing = [*self.volume.pixel_spacing_mm]
        header.SliceThickness = self.thickness_mm
        return header

    @cached_property
    def sources(self) -> tuple[Dataset, ...]:
        """Headers of the source instances: one per measured slice, or one for all its frames.

        Raises:
            SeriesError: The slices are frames of several files.
        """
        headers = tuple(self.header(index) for index in self.slice_indices)
        numbers = [self.slices[index].frame_number for index in self.slice_indices]
        if all(number is None for number in numbers):
            return headers
        if len({str(header.SOPInstanceUID) for header in headers}) > 1:
            raise SeriesError("the measured slices are frames of several multi-frame files")
        return (self._multi_frame(headers[0]),)

    def _check_references(self) -> None:
        """Check that a UID means one slice."""
        names = Counter((item.sop_instance_uid, item.frame_number) for item in self.slices)
        measured = [self.slices[n] for n in self.slice_indices if self.slices[n].sop_instance_uid]
        if any(names[item.sop_instance_uid, item.frame_number] > 1 for item in measured):
            raise SeriesError(
                "expected a SOPInstanceUID of its own for every slice, found one that repeats: "
                "objects could not say which slice they show"
            )

    def _multi_frame(self, header: Dataset) -> Dataset:
        """Return a header with the place of every frame (PS3.3 C.7.6.16)."""
        known = {item.frame_number: item.position_mm for item in self.slices}
        elsewhere = (0.0, 0.0, _NOWHERE_MM)  # frames that belong to no slice of the volume
        frames = []
        for number in range(1, max(n for n in known if n is not None) + 1):
            group = Dataset()
            place = known.get(number, elsewhere)
            group.PlanePositionSequence = PlanePositionSequence("PATIENT", place)
            frames.append(group)
        shared = Dataset()
        shared.PlaneOrientationSequence = PlaneOrientationSequence(
            "PATIENT", self.volume.orientation
        )
        shared.PixelMeasuresSequence = PixelMeasuresSequence(
            self.volume.pixel_spacing_mm, self.thickness_mm
        )
        header.NumberOfFrames = len(frames)
        header.PerFrameFunctionalGroupsSequence = frames
        header.SharedFunctionalGroupsSequence = [shared]
        return header

    def frame_numbers(self, index: int) -> list[int] | None:
        """Return the frame that a slice is of its file, None in a file of one image."""
        number = self.slices[index].frame_number
        return None if number is None else [number]

    @property
    def thickness_mm(self) -> float | None:
        """Slice thickness, or else the distance between slices along their normal."""
        stated = self.scan.acquisition.slice_thickness_mm
        if stated or self.volume.slice_spacing_mm is None:
            return stated
        return self.volume.slice_spacing_mm * self.volume.depth_per_z


def equipment(kind: str) -> dict[str, Any]:
    """Return what every object says of itself, its series and the software, for highdicom."""
    number, description = SERIES[kind]
    return {
        "series_number": number,
        "series_description": description,
        "sop_instance_uid": UID(),
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MODEL_NAME,
        "software_versions": f"bodycomp {__version__}",
        "device_serial_number": SERIAL_NUMBER,
    }


def software_uid() -> str:
    """Return the UID of the software as a device; each version is one of its own."""
    return str(generate_uid(entropy_srcs=["bodycomp", __version__]))


def code(concept: CodedConcept) -> Code:
    """Return a concept as pydicom has it."""
    return Code(concept.value, concept.scheme, concept.meaning)


def corrected_in_words(level: LevelResult) -> str:
    """Return what a person changed of a level, without who it was; empty if nobody did."""
    return " and ".join(level.correction.what) if level.correction else ""


def save_object(dataset: Dataset, path: Path) -> None:
    """Write an object with the header of part 10; the file appears whole or not at all."""
    with quiet_pydicom(), atomic_file(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
