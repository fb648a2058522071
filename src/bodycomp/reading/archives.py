"""Zip files -> a hidden folder that nothing can leave, removed when its last user is gone."""

from __future__ import annotations

import errno
import logging
import shutil
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from bodycomp.errors import SeriesError

_LOG: Final = logging.getLogger(__name__)
ARCHIVE_SUFFIX: Final = ".zip"
MAX_MEMBERS: Final = 200_000
MAX_UNPACKED_BYTES: Final = 64 << 30
_MAX_RATIO: Final = 1000
"""Deflate reaches 1032 on zeros alone; images of a scan stay below 100."""
_RATIO_MATTERS_BYTES: Final = 16 << 20
_ENCRYPTED: Final = 1
_DAMAGES: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class UnpackedArchive:
    """The files of a zip file in a folder of their own, which only this user can read.

    Files and folders get numbers for names, so that no name in the archive decides where
    something is written, nor appears anywhere. What is listed as a link becomes a plain file.

    ``folder`` is made, and removed with this object, at the latest when the program ends. Files
    keep ``kept_suffixes``, because readers go by them; ``broken`` counts those that could not be
    unpacked.

    Raises:
        SeriesError: No zip file, or one that would unpack to more than there is room for.
    """

    def __init__(self, archive: Path, folder: Path, kept_suffixes: Iterable[str] = ()) -> None:
        self.archive = archive
        self.broken = 0
        self._suffixes = tuple(kept_suffixes)
        self._places: dict[Path, PurePosixPath] = {}
        folder.mkdir(mode=0o700, parents=True)
        self.folder = folder
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        try:
            with zipfile.ZipFile(archive) as opened:
                self._unpack(opened)
        except SeriesError:
            self.close()
            raise
        except _DAMAGES as error:
            self.close()
            raise SeriesError(
                f"expected a zip file, found one that cannot be opened ({type(error).__name__})",
                hint="Copy it again; it may be cut off.",
            ) from error

    def close(self) -> None:
        """Remove the folder now."""
        self._remove()

    def place_of(self, path: Path) -> Path:
        """Return the folder that a file has in the archive, as if that were a folder.

        It does not depend on where the archive is unpacked.
        """
        return self.archive / self._places[path.parent]

    def _unpack(self, opened: zipfile.ZipFile) -> None:
        members = [member for member in opened.infolist() if not member.is_dir()]
        check_unpacking(members, shutil.disk_usage(self.folder).free)
        folders: dict[PurePosixPath, Path] = {}
        for number, member in enumerate(members):
            name = PurePosixPath(member.filename)
            folder = folders.setdefault(name.parent, self.folder / f"{len(folders):04d}")
            folder.mkdir(exist_ok=True)
            self._places[folder] = name.parent
            lowered = name.name.lower()
            suffix = next((s for s in self._suffixes if lowered.endswith(s)), "")
            self._unpack_member(opened, member, folder / f"{number:06d}{suffix}")
        if self.broken:
            _LOG.warning("%d of %d files of an archive are damaged", self.broken, len(members))

    def _unpack_member(
        self, opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path
    ) -> None:
        try:
            with opened.open(member) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)  # zipfile reads no more than the size it declares
        except _DAMAGES as error:
            target.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise SeriesError(
                    "no room to unpack a zip file", hint="Name an output folder on a larger disk."
                ) from error
            self.broken += 1


def check_unpacking(members: Sequence[zipfile.ZipInfo], free_bytes: int) -> None:
    """Check that members of a zip file can be unpacked: not too many, no password, no bomb, room.

    Raises:
        SeriesError: They cannot.
    """
    if len(members) > MAX_MEMBERS:
        raise SeriesError(f"expected at most {MAX_MEMBERS} files in a zip, found {len(members)}")
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise SeriesError(
            "expected a zip file without a password, found an encrypted one",
            hint="Unpack it first and give the folder.",
        )
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if unpacked > _RATIO_MATTERS_BYTES and unpacked > _MAX_RATIO * packed:
        raise SeriesError(
            f"expected images, found a zip that unpacks to over {_MAX_RATIO} times its size"
        )
    room = min(MAX_UNPACKED_BYTES, free_bytes)
    if unpacked > room:
        raise SeriesError(
            f"expected at most {room / 1e9:.1f} GB in a zip file, found {unpacked / 1e9:.1f} GB",
            hint="Unpack it first and give the folder, or an output folder on a larger disk.",
        )
