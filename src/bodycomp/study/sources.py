"""Series to analyse, from DICOM or NIfTI, with what is known of them under a pseudonym."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bodycomp.analysis.level_measuring import ScanContext
from bodycomp.dicom.candidate import CandidateSeries, SliceFile
from bodycomp.dicom.rank import is_sharp_kernel
from bodycomp.dicom.read import load_series
from bodycomp.errors import SeriesError
from bodycomp.imaging.volume import Volume
from bodycomp.nifti import read_nifti_volume
from bodycomp.report.result_rows import SeriesFacts
from bodycomp.study.options import SERIES_PREFIX, STUDY_PREFIX
from bodycomp.subject import Acquisition, subject_from

IDENTIFIER_COLUMNS: Final = ("patient_id", "study_uid", "series_uid", "study_date", "source_path")
NIFTI_SUFFIXES: Final = (".nii", ".nii.gz")


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


class DicomSource(Source):
    """A candidate series of a DICOM search."""

    def __init__(self, candidate: CandidateSeries) -> None:
        self._candidate = candidate
        self.study = STUDY_PREFIX + candidate.study_key
        self.series = SERIES_PREFIX + candidate.key
        number = "?" if candidate.series_number is None else str(candidate.series_number)
        described = f" ({candidate.description})" if candidate.description else ""
        self.what = f"series {number}{described}, {len(candidate)} images"
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
            notes="; ".join(loaded.notes),
            identifiers=self._identifiers() if identifiers else {},
        )
        return LoadedVolume(loaded.volume, facts, loaded.slices, self._context())

    @property
    def patient_keys(self) -> Mapping[str, str]:
        """Study, its UID and the patient's ID."""
        return {**super().patient_keys, "patient_id": self._candidate.patient_id}

    def _context(self) -> ScanContext:
        candidate, scanner = self._candidate, self._candidate.scanner
        return ScanContext(
            subject_from(
                candidate.patient_height_m, candidate.patient_weight_kg, candidate.patient_sex
            ),
            Acquisition(
                kvp=scanner.kvp,
                kernel=scanner.kernel,
                sharp_kernel=is_sharp_kernel(scanner.kernel),
                slice_thickness_mm=scanner.slice_thickness_mm,
                contrast_agent=scanner.contrast_agent,
            ),
        )

    def _identifiers(self) -> dict[str, str]:
        candidate = self._candidate
        values = (
            candidate.patient_id,
            candidate.study_uid,
            candidate.series_uid,
            candidate.scanner.study_date,
            str(candidate.files[0].parent),
        )
        return dict(zip(IDENTIFIER_COLUMNS, values, strict=True))


class NiftiSource(Source):
    """A NIfTI file; equal content has equal pseudonyms."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        with path.open("rb") as file:
            key = hashlib.file_digest(file, "sha256").hexdigest()[:12]
        self.study = STUDY_PREFIX + key
        self.series = SERIES_PREFIX + key
        self.what = what
        self.file_count = 1

    def load(self, *, identifiers: bool) -> LoadedVolume:
        """Read the file."""
        try:
            volume = read_nifti_volume(self._path)
        except SeriesError as error:
            # File names may tell who the patient is; ``what`` tells which file it was.
            message = error.message.replace(str(self._path), "the file")
            message = message.removeprefix(f"{self._path.name}: ")
            raise SeriesError(message, hint=error.hint) from None
        named = dict.fromkeys(IDENTIFIER_COLUMNS, "") | {"source_path": str(self._path)}
        facts = SeriesFacts(
            study=self.study,
            series=self.series,
            source="NIfTI",
            slices=len(volume),
            slice_spacing_mm=volume.slice_spacing_mm,
            pixel_spacing_mm=volume.pixel_spacing_mm[0],
            rows=volume.slice_shape[0],
            columns=volume.slice_shape[1],
            identifiers=named if identifiers else {},
        )
        return LoadedVolume(volume, facts)


def is_nifti(path: Path) -> bool:
    """Whether a file is to be read as NIfTI, by its name."""
    return path.name.lower().endswith(NIFTI_SUFFIXES) and path.is_file()
