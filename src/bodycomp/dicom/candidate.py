"""What a search for series returns: candidates that can be read, and refusals with reasons."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bodycomp.digests import key_of
from bodycomp.scan import SliceFile
from bodycomp.subject import Acquisition, Subject


class RefusalKind(StrEnum):
    """Why images are not analysed."""

    NOT_CT = "not CT"
    SECONDARY = "secondary capture or rendered image"
    MULTI_FRAME = "multi-frame"
    MATERIAL = "material map or altered values"
    COLOR = "colour"
    LOCALIZER = "localizer"
    NO_GEOMETRY = "missing geometry"
    REFORMAT = "not axial"
    CONSTANT_POSITION = "constant position"
    DUPLICATE_POSITIONS = "duplicate positions"
    NO_RESCALE = "no rescale to HU"
    COARSE = "grey levels too coarse"
    UNDECODABLE = "compression not supported"
    TOO_LARGE = "inflates too much"
    TOO_FEW = "too few slices"
    SHEAR = "sheared stack"
    SPLIT_UIDS = "identifiers that differ within a series"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Images that are not analysed.

    Attributes:
        what: The images in words: series number and number of images, no text of the header.
        study_uid, series_uid: Where they belong; identifying, so left out of ``repr``.
        series_number, description, patient_id: As the header says.
    """

    what: str
    kind: RefusalKind
    reason: str
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    file_count: int
    series_number: int | None = None
    description: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class CandidateSeries:
    """A stack of axial CT slices that can be read as one volume.

    It is a DICOM series or the part of one that belongs together: a series that holds several
    acquisitions, orientations or image sizes gives several candidates. Identifying fields and
    paths are left out of ``repr``.

    Attributes:
        slices: From feet to head; positions along the slice normal are all different.
        stack_direction: See ``Volume``.
        orientation: Direction cosines of the row's and the column's direction, LPS.
        pixel_spacing_mm: Distance between rows, distance between columns.
        slice_spacing_mm: Median distance between slices along the stack; None for one slice.
        coverage_mm: Distance between the first and the last slice along the stack.
        acquisition: How it was made, from the slice nearest to the feet.
        subject: Height, weight and sex; what cannot be right is left out.
        notes: What a reader of the result should know; nothing identifying.
        penalties: What speaks against measuring it, so that it is ranked last; nothing identifying.
        marks: What keeps its images apart from others that may have the same UIDs and places.
    """

    slices: tuple[SliceFile, ...] = field(repr=False)
    orientation: tuple[float, float, float, float, float, float]
    pixel_spacing_mm: tuple[float, float]
    shape: tuple[int, int]
    slice_spacing_mm: float | None
    coverage_mm: float
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    frame_of_reference_uid: str = field(repr=False)
    patient_id: str = field(repr=False)
    series_number: int | None
    acquisition_number: int | None
    description: str = field(repr=False)
    image_type: tuple[str, ...]
    acquisition: Acquisition
    stack_direction: tuple[float, float, float] | None = None
    notes: tuple[str, ...] = ()
    penalties: tuple[str, ...] = ()
    region: str = field(default="", repr=False)
    folder: str = field(default="", repr=False)
    marks: tuple[str, ...] = field(default=(), repr=False)
    subject: Subject = field(default_factory=Subject, repr=False)
    study_date: str = field(default="", repr=False)

    def __len__(self) -> int:
        return len(self.slices)

    @property
    def files(self) -> tuple[Path, ...]:
        """The file of every slice from feet to head; one file for all frames that it holds."""
        return tuple(item.path for item in self.slices)

    @property
    def slice_z_mm(self) -> tuple[float, ...]:
        """Position of pixel (0, 0) of every slice along the patient's z axis, ascending."""
        return tuple(item.position_mm[2] for item in self.slices)

    @property
    def is_original(self) -> bool:
        """Whether the scanner reconstructed it, rather than software deriving it from others."""
        return is_original(self.image_type)

    @property
    def study_key(self) -> str:
        """Short digest that is equal for the series of one study; names nobody."""
        # De-identification may leave UIDs blank; then the folder holds a study together.
        return study_key(self.patient_id, self.study_uid or self.folder)

    @property
    def key(self) -> str:
        """Short digest that tells this candidate from any other; names nobody."""
        images = (f"{item.sop_instance_uid}@{item.position_mm}" for item in self.slices)
        return key_of(self.study_key, self.series_uid, *self.marks, *images)


def study_key(patient_id: str, study_uid: str) -> str:
    """Return a short digest of a study; names nobody."""
    return key_of("study", patient_id, study_uid)


def is_original(image_type: tuple[str, ...]) -> bool:
    """Whether ImageType names original pixels of a primary image, or names nothing."""
    return image_type[0] != "DERIVED" and "SECONDARY" not in image_type[1:2]
