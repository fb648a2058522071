"""Inputs -> folders of DICOM, volume files and unpacked archives."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bodycomp.errors import SeriesError
from bodycomp.reading.archives import ARCHIVE_SUFFIX, UnpackedArchive
from bodycomp.reading.kinds import VOLUME_SUFFIXES, is_volume_file
from bodycomp.study.options import RefusedSeries

ARCHIVE: Final = "archive"
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


def sort_inputs(given: Sequence[Path], work_dir: Path) -> Inputs:
    """Look for volume files and zip files among the inputs and in their folders.

    Archives are unpacked into folders of their own in ``work_dir``; those inside archives stay
    packed. Hidden folders are left out.
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
    """Yield the files with one of these suffixes, at any depth, in a stable order."""
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
