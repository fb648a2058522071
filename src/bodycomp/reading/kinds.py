"""What a file or folder is, cheaply: by its name, and by a header where names say nothing."""

from __future__ import annotations

import re
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Final

from bodycomp.dicom.reference import DicomKind, dicom_kind
from bodycomp.errors import InputNotFoundError, SeriesError
from bodycomp.imaging.grid import Grid
from bodycomp.nifti import read_nifti_grid
from bodycomp.nrrd import read_nrrd_grid
from bodycomp.tag import TAG_SUFFIX


class Kind(StrEnum):
    """Everything that is read, scans and annotations alike."""

    DICOM_SERIES = "DICOM images"
    SEG = "DICOM SEG"
    RTSTRUCT = "RTSTRUCT"
    NIFTI = "NIfTI file"
    NRRD = "NRRD file"
    TAG = "TAG file of Slice-O-Matic"
    TAG_FOLDER = "folder of TAG files"
    PNG_FOLDER = "folder of PNG label images"
    MASK_FOLDER = "folder of one mask file per structure"
    MARKUPS = "Slicer markups"
    CENTROIDS = "centroids of vertebrae"
    LEVEL_TABLE = "table of levels"
    UNKNOWN = "unknown"


_BY_SUFFIX: Final = {
    ".nii": Kind.NIFTI,
    ".nii.gz": Kind.NIFTI,
    ".nrrd": Kind.NRRD,
    ".nhdr": Kind.NRRD,
    TAG_SUFFIX: Kind.TAG,
    ".mrk.json": Kind.MARKUPS,
    "_ctd.json": Kind.CENTROIDS,
    ".csv": Kind.LEVEL_TABLE,
    ".tsv": Kind.LEVEL_TABLE,
}
VOLUME_SUFFIXES: Final = (".nii", ".nii.gz", ".nrrd", ".nhdr")
_MASKS: Final = frozenset({Kind.NIFTI, Kind.NRRD})
_OF_DICOM: Final = {
    DicomKind.SEG: Kind.SEG,
    DicomKind.RTSTRUCT: Kind.RTSTRUCT,
    DicomKind.IMAGE: Kind.DICOM_SERIES,
}
_LISTED: Final = 5
_PASSED_OVER: Final = re.compile(
    r"\..*"  # hidden: .DS_Store, ._name of macOS
    r"|thumbs\.db|ehthumbs(_vista)?\.db|desktop\.ini"  # of Windows
    r"|statistics(_radiomics)?\.json|preview_\w+\.png",  # of TotalSegmentator
    re.IGNORECASE,
)
"""Files that systems and programs leave beside masks."""
_TRIES: Final = 20
"""Files of a folder that are opened in search of a DICOM image."""


def kind_of(path: Path) -> Kind:
    """Return what a file or folder is.

    A folder that holds nothing but one SEG or RTSTRUCT is that object. A folder of NIfTI or NRRD
    files alone is taken for one mask per structure. Files that systems leave do not count, nor TAG
    files beside DICOM images.

    Raises:
        InputNotFoundError: Nothing is there.
    """
    if path.is_file():
        return _kind_of_file(path)
    if not path.is_dir():
        raise InputNotFoundError(f"expected a file or folder, found nothing at {path}")
    files = visible_files(path)
    kinds = {_by_name(file) for file in files}
    if kinds and kinds <= _MASKS:
        return Kind.MASK_FOLDER
    if kinds == {Kind.TAG}:
        return Kind.TAG_FOLDER
    if files and all(file.suffix.lower() == ".png" for file in files):
        return Kind.PNG_FOLDER
    return _kind_of_dicom_folder(path)


def is_volume_file(path: Path) -> bool:
    """Whether a file is to be read as NIfTI or NRRD, by its name; segmentations are not."""
    name = path.name.lower()
    return name.endswith(VOLUME_SUFFIXES) and not name.endswith(".seg.nrrd") and path.is_file()


def dicom_file(path: Path) -> Path:
    """Return the file itself, or the only file of a folder that ``kind_of`` called SEG or RTSTRUCT.

    Raises:
        SeriesError: The folder holds other than one file.
    """
    files = [path] if path.is_file() else visible_files(path)
    if len(files) != 1:
        raise SeriesError(f"{path.name}: expected one file, found {len(files)}")
    return files[0]


def volume_header(path: Path) -> Grid | None:
    """Return where the voxels of a NIfTI or NRRD file lie, None for anything else.

    Raises:
        SeriesError: The header is damaged or states no place in the patient.
    """
    kind = kind_of(path)
    if kind is Kind.NIFTI:
        return read_nifti_grid(path)
    return read_nrrd_grid(path) if kind is Kind.NRRD else None


def structure_name(path: Path) -> str:
    """Return a mask file's name without its suffix: the structure in it.

    >>> structure_name(Path("segmentations/vertebrae_L3.nii.gz"))
    'vertebrae_L3'
    """
    for suffix in (".seg.nrrd", *sorted(_BY_SUFFIX, key=len, reverse=True)):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def visible_files(folder: Path) -> list[Path]:
    """Return the files of a folder in the order of their names, without those to pass over."""
    return sorted(p for p in folder.iterdir() if p.is_file() and not is_passed_over(p))


def is_passed_over(path: Path) -> bool:
    """Whether a file is hidden, or one that systems and programs leave beside masks.

    >>> [is_passed_over(Path(n)) for n in ("Thumbs.db", "statistics.json", "L3.nii.gz", "a.txt")]
    [True, True, False, False]
    """
    return _PASSED_OVER.fullmatch(path.name) is not None


def no_annotation(path: Path, kind: Kind, expected: str) -> SeriesError:
    """Return the refusal of what is no annotation; files among masks that are none are named."""
    found, hint = str(kind), ""
    files = visible_files(path) if path.is_dir() and kind is Kind.UNKNOWN else []
    masks = [file for file in files if _by_name(file) in _MASKS]
    masks = masks or [file for file in files if file.suffix.lower() == ".png"]
    others = [file.name for file in files if file not in masks]
    if masks and others:
        more = f" and {len(others) - _LISTED} more" if len(others) > _LISTED else ""
        count = "1 mask" if len(masks) == 1 else f"{len(masks)} masks"
        found = f"{count} beside {', '.join(others[:_LISTED])}{more}"
        hint = "Move the other files out of the folder, or name the masks one by one."
    return SeriesError(f"{path.name}: expected {expected}, found {found}", hint=hint)


def _by_name(path: Path) -> Kind | None:
    name = path.name.lower()
    return next((kind for suffix, kind in _BY_SUFFIX.items() if name.endswith(suffix)), None)


def _kind_of_file(path: Path) -> Kind:
    return _by_name(path) or _OF_DICOM.get(dicom_kind(path) or DicomKind.OTHER, Kind.UNKNOWN)


def _kind_of_dicom_folder(folder: Path) -> Kind:
    files = (p for p in folder.rglob("*") if p.is_file() and not is_passed_over(p))
    first = list(islice(files, _TRIES))
    if len(first) == 1 and first[0].parent == folder:
        kind = _kind_of_file(first[0])
        if kind in _OF_DICOM.values():
            return kind
    if any(dicom_kind(file) is DicomKind.IMAGE for file in first):
        return Kind.DICOM_SERIES
    return Kind.UNKNOWN
