"""Series to analyse, from DICOM, NIfTI or NRRD, with what is known of them under a pseudonym."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

import numpy as np

from bodycomp.analysis.level_measuring import ScanContext
from bodycomp.annotation.scan import Scan
from bodycomp.dicom.candidate import CandidateSeries, SliceFile
from bodycomp.dicom.read import load_series
from bodycomp.dicom.scan_facts import acquisition_of, subject_of
from bodycomp.errors import SeriesError
from bodycomp.imaging.volume import TOO_FEW_HINT, Volume, too_few_slices
from bodycomp.nifti import read_nifti_volume
from bodycomp.nrrd import nrrd_data_file, read_nrrd_volume
from bodycomp.report.result_rows import SeriesFacts
from bodycomp.study.options import SERIES_PREFIX, STUDY_PREFIX

IDENTIFIER_COLUMNS: Final = ("patient_id", "study_uid", "series_uid", "study_date", "source_path")
NRRD_SUFFIXES: Final = (".nrrd", ".nhdr")
VOLUME_SUFFIXES: Final = (".nii", ".nii.gz", *NRRD_SUFFIXES)


@dataclass(frozen=True, eq=False)
class LoadedVolume:
    """A volume and what is known of it.

    Attributes:
        slices: (slice,) the DICOM file of every slice; empty for other formats.
        context: Who was scanned and how, as the files say.
    """

    volume: Volume
    facts: SeriesFacts
    slices: tuple[SliceFile, ...] = field(default=(), repr=False)
    context: ScanContext = field(default_factory=ScanContext)

    def with_notes(self, notes: Sequence[str]) -> Self:
        """Return the same with further notes on how it came to be measured."""
        said = "; ".join(filter(None, (self.facts.notes, *notes)))
        return replace(self, facts=replace(self.facts, notes=said))


class Source(ABC):
    """One series that can be loaded and analysed."""

    study: str
    series: str
    what: str
    file_count: int
    study_uid: str = ""

    @property
    def patient_keys(self) -> Mapping[str, str]:
        """What a table of patients may know the series by; see ``study.patients``."""
        return {"study": self.study, "study_uid": self.study_uid}

    @abstractmethod
    def load(self, *, identifiers: bool) -> LoadedVolume:
        """Read the volume; identifying facts only if asked for.

        Raises:
            ImageError: It cannot be read.
        """

    def scan(self, loaded: LoadedVolume) -> Scan:
        """Return the volume as annotations see it, to lay masks on."""
        count = len(loaded.volume)
        return Scan(
            volume=loaded.volume,
            source=loaded.facts.source,
            files=(Path(),) * count,
            sop_instance_uids=("",) * count,
            instance_numbers=(None,) * count,
            subject=loaded.context.subject,
            acquisition=loaded.context.acquisition,
        )


class DicomSource(Source):
    """A candidate series of a DICOM search."""

    def __init__(self, candidate: CandidateSeries, place: Path | None = None) -> None:
        self._candidate = candidate
        self._place = place or candidate.files[0].parent
        self.study = STUDY_PREFIX + candidate.study_key
        self.series = SERIES_PREFIX + candidate.key
        number = "?" if candidate.series_number is None else str(candidate.series_number)
        self.what = f"series {number}, {len(candidate)} images"
        self.file_count = len(set(candidate.files))
        self.study_uid = candidate.study_uid

    def load(self, *, identifiers: bool) -> LoadedVolume:
        """Decode the series."""
        loaded = load_series(self._candidate)
        scanner = self._candidate.scanner
        facts = SeriesFacts(
            study=self.study,
            series=self.series,
            source="DICOM",
            slices=len(loaded.volume),
            slice_spacing_mm=loaded.volume.slice_spacing_mm,
            slice_thickness_mm=scanner.slice_thickness_mm,
            pixel_spacing_mm=loaded.volume.pixel_spacing_mm[0],
            rows=loaded.volume.slice_shape[0],
            columns=loaded.volume.slice_shape[1],
            manufacturer=scanner.manufacturer,
            scanner_model=scanner.model,
            kvp=scanner.kvp,
            kernel=scanner.kernel,
            exposure_mas=scanner.exposure_mas,
            contrast_agent=scanner.contrast_agent,
            notes="; ".join((*loaded.notes, *picture_notes(loaded.volume))),
            identifiers=self._identifiers() if identifiers else {},
        )
        context = ScanContext(subject_of(self._candidate), acquisition_of(self._candidate))
        return LoadedVolume(loaded.volume, facts, loaded.slices, context)

    @property
    def patient_keys(self) -> Mapping[str, str]:
        """Study, its UID and the patient's ID."""
        return {**super().patient_keys, "patient_id": self._candidate.patient_id}

    def scan(self, loaded: LoadedVolume) -> Scan:
        """Return the volume with the UIDs by which SEG and RTSTRUCT name it."""
        return replace(
            super().scan(loaded),
            files=tuple(item.path for item in loaded.slices),
            sop_instance_uids=tuple(item.sop_instance_uid for item in loaded.slices),
            instance_numbers=tuple(item.instance_number for item in loaded.slices),
            study_uid=self._candidate.study_uid,
            series_uid=self._candidate.series_uid,
            frame_of_reference_uid=self._candidate.frame_of_reference_uid,
        )

    def _identifiers(self) -> dict[str, str]:
        candidate = self._candidate
        values = (
            candidate.patient_id,
            candidate.study_uid,
            candidate.series_uid,
            candidate.scanner.study_date,
            str(self._place),
        )
        return dict(zip(IDENTIFIER_COLUMNS, values, strict=True))


class VolumeFileSource(Source):
    """A NIfTI or NRRD file; equal content has equal pseudonyms."""

    def __init__(self, path: Path, number: int, count: int, place: Path | None = None) -> None:
        self._path = path
        self._place = place or path
        self._format = "NRRD" if path.name.lower().endswith(NRRD_SUFFIXES) else "NIfTI"
        key = _content_key(path)
        self.study = STUDY_PREFIX + key
        self.series = SERIES_PREFIX + key
        self.what = f"{self._format} volume {number} of {count}"
        self.file_count = 1

    def load(self, *, identifiers: bool) -> LoadedVolume:
        """Read the file."""
        try:
            read = read_nrrd_volume if self._format == "NRRD" else read_nifti_volume
            volume = read(self._path)
        except SeriesError as error:
            # File names may tell who the patient is; ``what`` tells which file it was.
            message = error.message.replace(str(self._path), "the file")
            message = message.removeprefix(f"{self._path.name}: ")
            message = message.replace(self._path.name, "the file")
            raise SeriesError(message, hint=error.hint) from None
        if few := too_few_slices(len(volume)):
            raise SeriesError(few, hint=TOO_FEW_HINT)
        named = dict.fromkeys(IDENTIFIER_COLUMNS, "") | {"source_path": str(self._place)}
        facts = SeriesFacts(
            study=self.study,
            series=self.series,
            source=self._format,
            slices=len(volume),
            slice_spacing_mm=volume.slice_spacing_mm,
            pixel_spacing_mm=volume.pixel_spacing_mm[0],
            rows=volume.slice_shape[0],
            columns=volume.slice_shape[1],
            notes="; ".join((*volume.notes, *picture_notes(volume))),
            identifiers=named if identifiers else {},
        )
        return LoadedVolume(volume, facts)


def picture_notes(volume: Volume) -> tuple[str, ...]:
    """Return a note on pictures that are no squares within a twentieth, which get air."""
    high_mm, wide_mm = np.multiply(volume.slice_shape, volume.pixel_spacing_mm)
    if abs(high_mm - wide_mm) <= 0.05 * max(high_mm, wide_mm):
        return ()
    return (
        f"picture of {wide_mm:.0f} x {high_mm:.0f} mm, made a square with air for the networks",
    )


def is_volume_file(path: Path) -> bool:
    """Whether a file is to be read as NIfTI or NRRD, by its name; segmentations are not."""
    name = path.name.lower()
    return name.endswith(VOLUME_SUFFIXES) and not name.endswith(".seg.nrrd") and path.is_file()


def _content_key(path: Path) -> str:
    digest = _file_digest(path)
    if path.name.lower().endswith(NRRD_SUFFIXES):
        try:
            voxels = nrrd_data_file(path)
        except SeriesError:  # damaged; said when it is read
            voxels = None
        if voxels is not None and voxels.is_file():
            digest.update(_file_digest(voxels).digest())
    return digest.hexdigest()[:12]


def _file_digest(path: Path) -> hashlib._Hash:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")
