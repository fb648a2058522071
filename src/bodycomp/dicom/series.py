"""Find, group and qualify CT series; a refusal is a value with a reason."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.uid import MediaStorageDirectoryStorage

from bodycomp.dicom.candidate import CandidateSeries, Refusal, RefusalKind
from bodycomp.dicom.file_header import FileHeader, read_headers
from bodycomp.dicom.grouping import group_files, refuse_split_series
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.dicom.stacks import qualify
from bodycomp.errors import InputNotFoundError, SeriesError
from bodycomp.imaging.volume import MIN_SLICES
from bodycomp.progress import StepProgress

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SeriesSearch:
    """What a search found, in an order that does not depend on file names or their order.

    Attributes:
        candidates: Series that can be read, by study, series number and UID.
        unreadable_count: Files that claim to be DICOM but cannot be read: a slice lost each.
    """

    candidates: tuple[CandidateSeries, ...]
    refusals: tuple[Refusal, ...]
    file_count: int
    unreadable_count: int


@quiet_pydicom()
def find_series(
    inputs: Sequence[Path],
    *,
    min_slices: int = MIN_SLICES,
    progress: StepProgress | None = None,
    folder_of: Callable[[Path], str] = lambda path: str(path.parent),
) -> SeriesSearch:
    """Search files and folders, at any depth and under any file names, for axial CT series.

    Every file is opened, none is read as far as its pixels. Hidden folders are left out. A
    DICOMDIR that is given as a file stands for the files that it lists.

    Args:
        inputs: Files and folders.
        min_slices: Stacks of fewer slices are refused: 10 to find a level in them, 1 to train
            segmentation on single slices.
        progress: Called with how many files are done, and how many there are.
        folder_of: File -> the name of its folder, which tells images with blank UIDs apart and
            goes into their digests.

    Raises:
        InputNotFoundError: An input is not there.
    """
    paths = list_files(inputs)
    headers: list[FileHeader] = []
    refusals: list[Refusal] = []
    unreadable = 0
    for count, path in enumerate(paths, start=1):
        found: tuple[FileHeader, ...] = ()
        try:
            found = read_headers(path)
        except SeriesError as error:
            refusals.append(Refusal("1 file", RefusalKind.TOO_LARGE, error.message, "", "", 1))
        except Exception as error:
            unreadable += 1
            _LOG.warning("one file cannot be read (%s); left out", type(error).__name__)
        images = [header for header in found if header.modality or header.series_uid]
        headers += [replace(header, folder=folder_of(path)) for header in images]
        if progress is not None:
            progress(count, len(paths))
    groups, split = refuse_split_series(group_files(headers), min_slices)
    outcomes = [outcome for group in groups for outcome in qualify(group, min_slices)]
    refusals += [*split, *(item for item in outcomes if isinstance(item, Refusal))]
    candidates = [item for item in outcomes if isinstance(item, CandidateSeries)]
    _LOG.info(
        "%d series to analyze, %d refused, %d files searched",
        len(candidates),
        len(refusals),
        len(paths),
    )
    candidates.sort(key=lambda c: (c.study_uid, c.series_number or 0, c.series_uid, c.key))
    refusals.sort(key=lambda r: (r.study_uid, r.what, r.series_uid, r.reason))
    return SeriesSearch(tuple(candidates), tuple(refusals), len(paths), unreadable)


def list_files(inputs: Sequence[Path]) -> list[Path]:
    """Return every file once, in an order that does not depend on that of the inputs.

    A DICOMDIR (PS3.10 8) stands for the files that it lists. Hidden folders are left out.
    """
    files: dict[Path, Path] = {}  # resolved -> as given, so that no file counts twice
    for item in inputs:
        if not item.exists():
            raise InputNotFoundError(
                f"expected a file or folder of CT images, found nothing at {item}"
            )
        for path in _listed_files(item) if item.is_file() else _walk(item):
            files.setdefault(path.resolve(), path)
    return [files[resolved] for resolved in sorted(files)]


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if path.is_file():
                yield path


def _listed_files(path: Path) -> list[Path]:
    """Return the file itself, or the files of a DICOMDIR; its folder's where it lists none."""
    records = _records(path)
    if records is None:
        return [path]
    listed = [_inside(path.parent, record) for record in records]
    found = [file for file in listed if file is not None]
    if len(found) < len(listed):
        missing = len(listed) - len(found)
        _LOG.warning("%d of %d files that a DICOMDIR lists are missing", missing, len(listed))
    return found or list(_walk(path.parent))


def _records(path: Path) -> list[list[str]] | None:
    """Return the parts of every file name that a DICOMDIR lists, None for any other file."""
    try:
        meta = pydicom.filereader.read_file_meta_info(path)
        if meta.get("MediaStorageSOPClassUID") != MediaStorageDirectoryStorage:
            return None
        records = pydicom.dcmread(path).get("DirectoryRecordSequence") or ()
        names: list[Any] = [record.get("ReferencedFileID") for record in records]
        return [[name] if isinstance(name, str) else list(name) for name in names if name]
    except Exception:  # no DICOM file or a damaged one; pydicom raises many types
        return None


def _inside(folder: Path, parts: Sequence[str]) -> Path | None:
    """Return the file below the folder; names may differ in case, as on discs."""
    place = folder
    for part in parts:
        if part in ("", ".", "..") or "/" in part or not place.is_dir():
            return None
        exact = place / part
        same = (item for item in place.iterdir() if item.name.casefold() == part.casefold())
        place = exact if exact.exists() else next(same, exact)
    return place if place.is_file() else None
