"""Series to analyze, from DICOM, NIfTI or NRRD, under a pseudonym."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from bodycomp.dicom.candidate import CandidateSeries
from bodycomp.errors import SeriesError
from bodycomp.imaging.volume import Volume
from bodycomp.nrrd import nrrd_data_file
from bodycomp.reading.kinds import Kind, kind_of
from bodycomp.reading.read_scan import read_scan
from bodycomp.report.result_rows import SeriesKey
from bodycomp.scan import Scan
from bodycomp.study.options import SERIES_PREFIX, STUDY_PREFIX, RefusedSeries

IDENTIFIER_COLUMNS: Final = ("patient_id", "study_uid", "series_uid", "study_date", "source_path")


@dataclass(frozen=True, slots=True)
class Source:
    """One series that can be read and analyzed.

    Attributes:
        study, series: Pseudonyms.
        what: The series in words; nothing identifying.
        origin: A candidate of a DICOM search, or a volume file.
        place: Folder, file or archive that it came from, as the user knows it.
    """

    study: str
    series: str
    what: str
    file_count: int
    origin: CandidateSeries | Path = field(repr=False)
    place: Path = field(repr=False)

    def load(self) -> Scan:
        """Read the scan.

        Raises:
            ImageError: It cannot be read.
        """
        try:
            scan = read_scan(self.origin)
        except SeriesError as error:
            if isinstance(self.origin, CandidateSeries):
                raise
            # File names may tell who the patient is; ``what`` tells which file it was.
            message = error.message.replace(str(self.origin), "the file")
            message = message.removeprefix(f"{self.origin.name}: ")
            message = message.replace(self.origin.name, "the file")
            raise SeriesError(message, hint=error.hint) from None
        return scan.with_notes(picture_notes(scan.volume))

    def key(self, *, identifiers: bool) -> SeriesKey:
        """Return what tables call the series; who it is of only if asked for."""
        if not identifiers:
            return SeriesKey(self.study, self.series)
        series = self.origin if isinstance(self.origin, CandidateSeries) else None
        known = [getattr(series, column, "") for column in IDENTIFIER_COLUMNS[:-1]]
        named = dict(zip(IDENTIFIER_COLUMNS, (*known, str(self.place)), strict=True))
        return SeriesKey(self.study, self.series, named)

    def refused(self, kind: str, reason: str) -> RefusedSeries:
        """Return the row of ``refused.csv`` of this series."""
        names = (self.study, self.series, self.what)
        return RefusedSeries(*names, kind, reason, self.file_count)

    @property
    def first_file(self) -> Path:
        """Of the series, or the volume file."""
        origin = self.origin
        return origin.slices[0].path if isinstance(origin, CandidateSeries) else origin

    @property
    def study_uid(self) -> str:
        """Of the DICOM study; empty for volume files."""
        return self.origin.study_uid if isinstance(self.origin, CandidateSeries) else ""

    @property
    def patient_keys(self) -> Mapping[str, str]:
        """What a table of patients may know the series by; see ``study.patients``."""
        keys = {"study": self.study, "study_uid": self.study_uid}
        if isinstance(self.origin, CandidateSeries):
            keys["patient_id"] = self.origin.patient_id
        return keys


def dicom_source(candidate: CandidateSeries, place: Path | None = None) -> Source:
    """Return a candidate of a DICOM search as a source."""
    number = "?" if candidate.series_number is None else str(candidate.series_number)
    return Source(
        study=STUDY_PREFIX + candidate.study_key,
        series=SERIES_PREFIX + candidate.key,
        what=f"series {number}, {len(candidate)} images",
        file_count=len(set(candidate.files)),
        origin=candidate,
        place=place or candidate.files[0].parent,
    )


def volume_source(path: Path, number: int, count: int, place: Path | None = None) -> Source:
    """Return a NIfTI or NRRD file, one of ``count``, as a source; equal content has equal names."""
    key = content_key(path)
    name = "NRRD" if kind_of(path) is Kind.NRRD else "NIfTI"
    return Source(
        study=STUDY_PREFIX + key,
        series=SERIES_PREFIX + key,
        what=f"{name} volume {number} of {count}",
        file_count=1,
        origin=path,
        place=place or path,
    )


def picture_notes(volume: Volume) -> tuple[str, ...]:
    """Return a note on pictures that are no squares within a twentieth, which get air."""
    high_mm, wide_mm = np.multiply(volume.slice_shape, volume.pixel_spacing_mm)
    if abs(high_mm - wide_mm) <= 0.05 * max(high_mm, wide_mm):
        return ()
    return (
        f"picture of {wide_mm:.0f} x {high_mm:.0f} mm, made a square with air for the networks",
    )


def content_key(path: Path) -> str:
    """Return a short digest of a volume file, that of its voxels included where they lie apart."""
    digest = _file_digest(path)
    if kind_of(path) is Kind.NRRD:
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
