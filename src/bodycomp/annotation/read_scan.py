"""Files -> a scan: a folder of DICOM images, a NIfTI file or an NRRD file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bodycomp.annotation.kinds import Kind, kind_of
from bodycomp.annotation.scan import Scan
from bodycomp.dicom.candidate import CandidateSeries
from bodycomp.dicom.read import load_series
from bodycomp.dicom.scan_facts import acquisition_of, subject_of
from bodycomp.dicom.series import SeriesSearch, find_series
from bodycomp.errors import SeriesError, UsageError
from bodycomp.imaging.volume import MIN_SLICES, TOO_FEW_HINT, Volume, too_few_slices
from bodycomp.nifti import read_nifti_volume
from bodycomp.nrrd import read_nrrd_volume

_VOLUME_FILES: Final[dict[Kind, tuple[str, Callable[[Path], Volume]]]] = {
    Kind.NIFTI: ("NIfTI", read_nifti_volume),
    Kind.NRRD: ("NRRD", read_nrrd_volume),
}


def read_scan(path: Path, *, series_uid: str = "", min_slices: int = MIN_SLICES) -> Scan:
    """Read one CT scan, slices from feet to head.

    Args:
        path: Folder with DICOM images at any depth, a DICOM file, or one ``.nii``, ``.nii.gz``,
            ``.nrrd`` or ``.nhdr`` file.
        series_uid: SeriesInstanceUID, or the series number, of the one to read where a folder
            holds several.
        min_slices: What the scan must have, in every format: 10 to find a level in it, 1 to use
            the slices one by one.

    Raises:
        InputNotFoundError: Nothing is there.
        SeriesError: No CT series, several and no choice, too few slices, or one that cannot be
            read.
        UsageError: A series is chosen from a file that is no DICOM.
    """
    kind = kind_of(path)
    if kind in _VOLUME_FILES:
        if series_uid:
            raise UsageError(f"{path.name}: a series can be chosen from DICOM folders alone")
        scan = _of_volume_file(path, *_VOLUME_FILES[kind])
        if few := too_few_slices(len(scan.volume), min_slices):
            raise SeriesError(f"{path.name}: {few}", hint=TOO_FEW_HINT)
        return scan
    if not (path.is_dir() or kind is Kind.DICOM_SERIES):
        raise SeriesError(
            f"{path.name}: expected a scan as DICOM images, NIfTI or NRRD, found {kind}"
        )
    search = find_series([path], min_slices=min_slices)
    return _of_series(_choose(search, series_uid, path.name), min_slices)


def _of_volume_file(path: Path, source: str, read: Callable[[Path], Volume]) -> Scan:
    volume = read(path)
    count = len(volume)
    return Scan(
        volume=volume,
        source=source,
        files=(path,) * count,
        sop_instance_uids=("",) * count,
        instance_numbers=(None,) * count,
        notes=volume.notes,
    )


def _choose(search: SeriesSearch, series_uid: str, where: str) -> CandidateSeries:
    """Return the only series, or the chosen one."""
    chosen = [s for s in search.candidates if not series_uid or _is_named(s, series_uid)]
    if len(chosen) == 1:
        return chosen[0]
    if not search.candidates:
        raise SeriesError(
            f"{where}: expected an axial CT series, found none in {search.file_count} files"
            + "".join(f"\n  {r.what}: {r.reason}" for r in search.refusals),
            hint="Give the folder of one CT series, or a NIfTI or NRRD file.",
        )
    if not chosen:
        raise SeriesError(
            f"{where}: expected the series that was chosen, found {_list(search.candidates)}",
            hint="Choose one of these by its SeriesInstanceUID or its number.",
        )
    if len({series.series_uid for series in chosen}) == 1:
        raise SeriesError(
            f"{where}: expected one stack of slices, found {len(chosen)} in one series:"
            f"{_list(chosen)}",
            hint="Put the files of one stack into a folder of their own.",
        )
    raise SeriesError(
        f"{where}: expected one CT series, found {len(chosen)}:{_list(chosen)}",
        hint="Choose one by its SeriesInstanceUID or its number, or give its folder alone.",
    )


def _is_named(series: CandidateSeries, name: str) -> bool:
    return name in (series.series_uid, str(series.series_number))


def _list(candidates: Sequence[CandidateSeries]) -> str:
    return "".join(f"\n  {_in_words(series)}" for series in candidates)


def _in_words(series: CandidateSeries) -> str:
    number = "?" if series.series_number is None else series.series_number
    described = f" ({series.description})" if series.description else ""
    apart = series.slice_spacing_mm
    slices = "1 slice" if apart is None else f"{len(series)} slices {apart:.2f} mm apart"
    return f"series {number}{described}: {slices}"


def _of_series(series: CandidateSeries, min_slices: int) -> Scan:
    loaded = load_series(series, min_slices=min_slices)
    return Scan(
        volume=loaded.volume,
        source="DICOM",
        files=tuple(item.path for item in loaded.slices),
        sop_instance_uids=tuple(item.sop_instance_uid for item in loaded.slices),
        instance_numbers=tuple(item.instance_number for item in loaded.slices),
        study_uid=series.study_uid,
        series_uid=series.series_uid,
        frame_of_reference_uid=series.frame_of_reference_uid,
        patient_id=series.patient_id,
        subject=subject_of(series),
        acquisition=acquisition_of(series),
        notes=loaded.notes,
    )
