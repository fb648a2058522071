"""Inputs -> the files to open: folders at any depth, single files, DICOMDIR."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.uid import MediaStorageDirectoryStorage

from bodycomp.errors import InputNotFoundError

_LOG: Final = logging.getLogger(__name__)


def list_files(inputs: Sequence[Path]) -> list[Path]:
    """Return every file once, in an order that does not depend on that of the inputs.

    A DICOMDIR (PS3.10 8) stands for the files that it lists. Hidden folders are left out.
    """
    files: dict[Path, Path] = {}  # resolved -> as given, so that no file counts twice
    for item in inputs:
        if not item.exists():
            raise InputNotFoundError(
                f"expected a file or folder of DICOM images, found nothing at {item}"
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
