"""Inputs, named or listed in a table -> folders of DICOM, volume files, unpacked archives."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bodycomp.errors import InputNotFoundError, SeriesError, UsageError
from bodycomp.reading.archives import ARCHIVE_SUFFIX, UnpackedArchive
from bodycomp.reading.kinds import VOLUME_SUFFIXES, is_volume_file
from bodycomp.study.options import RefusedSeries
from bodycomp.user_table import read_user_table

ARCHIVE: Final = "archive"
_INPUT_COLUMN: Final = "input"
UNPACKED_FOLDERS: Final = ".unpacked.*.part"
"""Unpacked archives in the output folder; the next run removes those of a killed one."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What was given, sorted by kind.

    Attributes:
        places: Files and folders to search for DICOM.
        volumes: NIfTI and NRRD files, named or found; each once.
        archives: Unpacked zip files; their folders vanish with them.
        refused: Archives that cannot be unpacked.
        named_volumes: Number of volumes that no search of ``places`` comes across.
    """

    places: tuple[Path, ...]
    volumes: tuple[Path, ...]
    archives: tuple[UnpackedArchive, ...]
    refused: tuple[RefusedSeries, ...]
    named_volumes: int

    def close(self) -> None:
        """Remove what was unpacked."""
        for archive in self.archives:
            archive.close()

    def folder_of(self, path: Path) -> str:
        """Return a file's folder, that in its archive if it was unpacked."""
        for archive in self.archives:
            if path.is_relative_to(archive.folder):
                return str(archive.place_of(path))
        return str(path.parent)

    def origin_of(self, path: Path) -> Path:
        """Return the archive that a file came from, else its folder."""
        for archive in self.archives:
            if path.is_relative_to(archive.folder):
                return archive.archive
        return path.parent


def read_input_list(path: Path) -> tuple[Path, ...]:
    """Return the paths in the column ``input``; relative ones count from the list's folder.

    Other columns are left alone, and so are rows whose cell is empty.

    Raises:
        InputNotFoundError: The list is not there, or a path in it is not.
        UsageError: It is not text, or has no such column, or no path at all.
    """
    table = read_user_table(path, "inputs", UsageError)
    if _INPUT_COLUMN not in table.columns:
        raise UsageError(
            f"expected a column {_INPUT_COLUMN!r} in {path}, "
            f"found {', '.join(table.columns) or 'nothing'}",
            hint="Begin the list with a line that says: input",
        )
    inputs = []
    for row in table.rows:
        cell = row.cells[_INPUT_COLUMN]
        place = path.parent / cell
        if cell and not place.exists():
            raise InputNotFoundError(
                f"{path}, line {row.line}: expected a file or folder, found nothing at {place}"
            )
        inputs += [place] if cell else []
    if not inputs:
        raise UsageError(f"expected at least one path in the column {_INPUT_COLUMN!r} of {path}")
    return tuple(inputs)


def sort_inputs(given: Sequence[Path], work_dir: Path) -> Inputs:
    """Look for volumes and zip files among the inputs and in their folders that are not hidden.

    Archives are unpacked into folders of their own in ``work_dir``; those inside archives stay
    packed.
    """
    named = [path for path in given if is_volume_file(path)]
    others = [path for path in given if path not in named]
    archives, refused = _unpack(
        [path for place in others for path in _files(place, ARCHIVE_SUFFIX)], work_dir
    )
    places = [place for place in others if place.is_dir() or not _ends(place, (ARCHIVE_SUFFIX,))]
    places += [archive.folder for archive in archives]
    found = [path for place in places for path in _files(place, *VOLUME_SUFFIXES)]
    volumes = {path.resolve(): path for path in (*named, *filter(is_volume_file, found))}
    return Inputs(
        places=tuple(places),
        volumes=tuple(volumes.values()),
        archives=tuple(archives),
        refused=tuple(refused),
        named_volumes=len(named),
    )


def _unpack(
    paths: Sequence[Path], work_dir: Path
) -> tuple[list[UnpackedArchive], list[RefusedSeries]]:
    archives: list[UnpackedArchive] = []
    refused: list[RefusedSeries] = []
    for number, path in enumerate(dict.fromkeys(path.resolve() for path in paths), start=1):
        try:
            folder = work_dir / UNPACKED_FOLDERS.replace("*", f"{number:06d}")
            archives.append(UnpackedArchive(path, folder, VOLUME_SUFFIXES))
        except SeriesError as error:
            what = f"zip file {number} of {len(paths)}"
            refused.append(RefusedSeries("", "", what, ARCHIVE, error.message, files=1))
    return archives, refused


def _files(place: Path, *suffixes: str) -> Iterator[Path]:
    if place.is_file() and _ends(place, suffixes):
        yield place
    for root, folders, names in os.walk(place):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if _ends(path, suffixes) and path.is_file():
                yield path


def _ends(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(suffixes)
