"""Anything that holds a scan -> the scan: the one reader of DICOM, NIfTI, NRRD and zip files."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bodycomp.dicom.candidate import CandidateSeries
from bodycomp.dicom.read import read_series
from bodycomp.dicom.series import SeriesSearch, find_series
from bodycomp.errors import SeriesError, UsageError
from bodycomp.imaging.volume import MIN_SLICES, TOO_FEW_HINT, Volume, too_few_slices
from bodycomp.nifti import read_nifti_volume
from bodycomp.nrrd import read_nrrd_volume
from bodycomp.reading.archives import ARCHIVE_SUFFIX, UnpackedArchive
from bodycomp.reading.kinds import VOLUME_SUFFIXES, Kind, is_volume_file, kind_of
from bodycomp.scan import Scan

_VOLUME_FILES: Final[dict[Kind, tuple[str, Callable[[Path], Volume]]]] = {
    Kind.NIFTI: ("NIfTI", read_nifti_volume),
    Kind.NRRD: ("NRRD", read_nrrd_volume),
}


def read_scan(
    source: str | os.PathLike[str] | CandidateSeries,
    *,
    series: str = "",
    min_slices: int = MIN_SLICES,
) -> Scan:
    """Read one CT scan, slices from feet to head.

    Args:
        source: Folder with DICOM images at any depth or one volume file, a DICOM file, one
            ``.nii``, ``.nii.gz``, ``.nrrd`` or ``.nhdr`` file, or a zip file of these, which stays
            unpacked as long as the scan is there; or a series that a search found.
        series: SeriesInstanceUID, or the series number, of the one to read where there are several.
        min_slices: What the scan must have, in every format: 10 to find a level in it, 1 to use
            the slices one by one.

    Raises:
        InputNotFoundError: Nothing is there.
        SeriesError: No CT series, several and no choice, too few slices, or one that cannot be
            read.
        UsageError: A series is chosen from a file that is no DICOM.
    """
    if isinstance(source, CandidateSeries):
        return read_series(source, min_slices=min_slices)
    path = Path(source)
    wanted = _Wanted(path.name, series, min_slices)
    if path.is_file() and path.name.lower().endswith(ARCHIVE_SUFFIX):
        folder = Path(tempfile.gettempdir()) / f"bodycomp-{secrets.token_hex(8)}"
        archive = UnpackedArchive(path, folder, VOLUME_SUFFIXES)
        return replace(wanted.in_folder(archive.folder), keeps=archive)
    kind = kind_of(path)
    if kind in _VOLUME_FILES:
        return wanted.of_volume_file(path)
    if not (path.is_dir() or kind is Kind.DICOM_SERIES):
        raise SeriesError(
            f"{path.name}: expected a scan as DICOM images, NIfTI, NRRD or a zip file of them, "
            f"found {kind}"
        )
    return wanted.in_folder(path)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be read: the name in messages, the series, and how many slices it must have."""

    where: str
    series: str
    min_slices: int

    def in_folder(self, path: Path) -> Scan:
        """Read the DICOM series of a folder or file; of a folder without any, its volume file."""
        search = find_series([path], min_slices=self.min_slices)
        if not search.candidates and path.is_dir():
            volumes = [file for file in sorted(path.rglob("*")) if is_volume_file(file)]
            if len(volumes) == 1:
                return self.of_volume_file(volumes[0])
        return read_series(self._chosen(search), min_slices=self.min_slices)

    def of_volume_file(self, path: Path) -> Scan:
        """Read a NIfTI or NRRD file."""
        if self.series:
            raise UsageError(f"{self.where}: a series can be chosen from DICOM folders alone")
        source, read = _VOLUME_FILES[kind_of(path)]
        volume = read(path)
        if few := too_few_slices(len(volume), self.min_slices):
            raise SeriesError(f"{self.where}: {few}", hint=TOO_FEW_HINT)
        return Scan(volume, source, path, notes=volume.notes)

    def _chosen(self, search: SeriesSearch) -> CandidateSeries:
        """Return the only series, or the chosen one."""
        chosen = [
            s for s in search.candidates if self.series in ("", s.series_uid, str(s.series_number))
        ]
        if len(chosen) == 1:
            return chosen[0]
        if not search.candidates:
            raise SeriesError(
                f"{self.where}: expected an axial CT series, found none in {search.file_count} "
                f"file{'s' * (search.file_count != 1)}"
                + "".join(f"\n  {r.what}: {r.reason}" for r in search.refusals),
                hint="Give the folder of one CT series, or a NIfTI or NRRD file.",
            )
        if not chosen:
            raise SeriesError(
                f"{self.where}: expected the series that was chosen, found "
                f"{_list(search.candidates)}",
                hint="Choose one of these by its SeriesInstanceUID or its number.",
            )
        if len({series.series_uid for series in chosen}) == 1:
            raise SeriesError(
                f"{self.where}: expected one stack of slices, found {len(chosen)} in one series:"
                f"{_list(chosen)}",
                hint="Put the files of one stack into a folder of their own.",
            )
        raise SeriesError(
            f"{self.where}: expected one CT series, found {len(chosen)}:{_list(chosen)}",
            hint="Choose one by its SeriesInstanceUID or its number, or give its folder alone.",
        )


def _list(candidates: Sequence[CandidateSeries]) -> str:
    return "".join(f"\n  {_in_words(series)}" for series in candidates)


def _in_words(series: CandidateSeries) -> str:
    number = "?" if series.series_number is None else series.series_number
    described = f" ({series.description})" if series.description else ""
    apart = series.slice_spacing_mm
    slices = "1 slice" if apart is None else f"{len(series)} slices {apart:.2f} mm apart"
    return f"series {number}{described}: {slices}"
