"""The files of a data set: in folders, in zip files, or in both, as if all lay in folders.

A case folder may be a zip file (``case_007.zip``), and so may the whole data set. What is needed of
it is unpacked beside the set that is made, and again only if it was not before.
"""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from bodycomp.digests import text_digest
from bodycomp.errors import InputNotFoundError, SeriesError
from bodycomp.reading.archives import ARCHIVE_SUFFIX, check_unpacking
from bodycomp.storage import atomic_file

_SKIPPED: Final = ("__macosx",)
_FOLDER_LETTERS: Final = 16
_DAMAGES: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a data set.

    Attributes:
        path: Where it lies in the data set, as if archives were folders.
        real: The file, or the archive that holds it.
        member: Its name in the archive; empty for a file on the disk.
    """

    path: PurePosixPath
    real: Path = field(repr=False)
    member: str = field(default="", repr=False)

    @property
    def key(self) -> str:
        """The name as it is compared, without regard to upper and lower case."""
        return self.path.name.casefold()


def on_disk(files: Iterable[SourceFile]) -> list[SourceFile]:
    """Return files without those in archives, unless all are: archives stay after unpacking."""
    found = list(files)
    return [file for file in found if not file.member] or found


Folders = Mapping[PurePosixPath, Mapping[str, SourceFile]]
"""Folder -> its files, by ``SourceFile.key``."""


@dataclass(frozen=True, eq=False)
class SourceTree:
    """All files of a data set in the order of their paths, those on the disk first.

    Hidden files do not count, nor what was unpacked beside its archive.

    Raises:
        InputNotFoundError: There is neither a folder nor a zip file.
        SeriesError: A zip file that cannot be opened.
    """

    root: Path
    files: tuple[SourceFile, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.root.is_dir() and not _is_archive(self.root):
            raise InputNotFoundError(
                f"expected the folder of the data set, or a zip file, found none at {self.root}"
            )
        found = sorted(_files(self.root), key=lambda file: (file.path, bool(file.member)))
        object.__setattr__(self, "files", tuple(found))

    def folders(self) -> Folders:
        """Return the files by folder."""
        found: dict[PurePosixPath, dict[str, SourceFile]] = {}
        for file in self.files:
            found.setdefault(file.path.parent, {}).setdefault(file.key, file)
        return found

    def local(self, files: Iterable[SourceFile], work: Path) -> list[Path]:
        """Return files on the disk, unpacked under ``work`` where they are in an archive.

        Files of one folder come into one folder. What an earlier run unpacked stays as it is.

        Raises:
            SeriesError: They are damaged, encrypted, or there is no room for them.
        """
        return [_unpacked(file, work) if file.member else file.real for file in files]

    def check_room(self, files: Iterable[SourceFile], work: Path) -> None:
        """Check that all members that ``local`` is to unpack can be; raises as that."""
        wanted: dict[Path, set[str]] = {}
        for file in files:
            if file.member and not _is_unpacked(file, work):
                wanted.setdefault(file.real, set()).add(file.member)
        for archive, names in wanted.items():
            with zipfile.ZipFile(archive) as opened:
                members = [member for member in opened.infolist() if member.filename in names]
            check_unpacking(members, shutil.disk_usage(work).free)


def _files(root: Path) -> Iterator[SourceFile]:
    if root.is_file():
        yield from _members(root, PurePosixPath())
        return
    for folder, names, found in os.walk(root):
        names[:] = sorted(name for name in names if not _is_skipped(name))
        place = PurePosixPath(Path(folder).relative_to(root).as_posix())
        for name in sorted(found):
            path = Path(folder, name)
            if _is_skipped(name):
                continue
            if _is_archive(path):
                yield from _members(path, place)
            else:
                yield SourceFile(place / name, path)


def _members(archive: Path, place: PurePosixPath) -> Iterator[SourceFile]:
    """Yield the files of an archive, in a folder of its name unless it has one itself."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [member.filename for member in opened.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise SeriesError(
            f"{archive.name}: expected a zip file, found one that cannot be opened",
            hint="Copy or download it again; it may be cut off.",
        ) from error
    own = archive.name[: -len(ARCHIVE_SUFFIX)]
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        parts = path.parts
        if path.is_absolute() or ".." in parts or any(_is_skipped(part) for part in parts):
            continue
        if any((folder / path).is_file() for folder in (archive.parent, archive.with_suffix(""))):
            continue
        inside = path if parts[0].casefold() == own.casefold() else own / path
        yield SourceFile(place / inside, archive, name)


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _SKIPPED


def _is_archive(path: Path) -> bool:
    return path.name.lower().endswith(ARCHIVE_SUFFIX) and path.is_file()


def _place(file: SourceFile, work: Path) -> Path:
    """Return where a member is unpacked: its folder is a number, its name its own."""
    folder = text_digest(f"{file.real.resolve()}\0{file.path.parent}", _FOLDER_LETTERS)
    return work / folder / file.path.name


def _is_unpacked(file: SourceFile, work: Path) -> bool:
    target = _place(file, work)
    return target.is_file() and int(target.stat().st_mtime) == _stamp(file)


def _stamp(file: SourceFile) -> int:
    """Return the time that an unpacked member gets, by which it is known for this archive's."""
    return int(file.real.stat().st_mtime) + 1


def _unpacked(file: SourceFile, work: Path) -> Path:
    """Return a member on the disk."""
    target = _place(file, work)
    if _is_unpacked(file, work):
        return target
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with zipfile.ZipFile(file.real) as opened, atomic_file(target) as temporary:
            with opened.open(file.member) as source, temporary.open("wb") as stream:
                shutil.copyfileobj(source, stream)
            os.utime(temporary, (_stamp(file), _stamp(file)))
    except _DAMAGES as error:
        raise SeriesError(
            f"{file.path}: expected a whole file in {file.real.name}, found a damaged one",
            hint="Copy or download the zip file again.",
        ) from error
    return target
