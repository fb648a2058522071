"""Decoded slices on disk: a file for each split, and the cache of such files.

magic | count x pixels (uint8) | count x SLICE_FACTS | count, rows, columns, checksum | magic

The end is written last, so that a file that was cut short is not believed; every slice carries a
checksum, so that a damaged one is noticed. Rows are read, not mapped: mapped pages would count as
this process's memory, which then grew with the size of the training set, and a file that is cut
short by somebody else would end the process instead of raising an error.

Files are named by what they hold, not by where it came from. Several trainings may use and fill
the cache at once: files appear whole, and one that is removed stays readable for who has it open.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import struct
import time
import uuid
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.arrays import read_into
from bodycomp.errors import OutputError
from bodycomp.storage import user_cache_folder

MAGIC: Final = b"bodycomp grey 1\n"
TRAILER: Final = struct.Struct("<QIIQ")
DIGEST_BYTES: Final = 16
NOT_BLANK: Final = -1
SUFFIX: Final = ".grey"
TEMPORARY_SUFFIX: Final = ".part"

SLICE_FACTS: Final = np.dtype(
    [("content", "V16"), ("image", "V16"), ("checksum", "<u4"), ("blank_gray", "<i2")]
)
"""Per slice: digest of the PNG's bytes, ``image_digest`` of its pixels before resizing, CRC-32 of
the pixels here, and the grey level of a slice that has one only, else ``NOT_BLANK``."""


def content_digest(data: bytes) -> bytes:
    """Return the digest by which a PNG's bytes are known."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def file_bytes(count: int, size: tuple[int, int]) -> int:
    """Return how large a file of ``count`` slices is."""
    per_slice = size[0] * size[1] + SLICE_FACTS.itemsize
    return 2 * len(MAGIC) + count * per_slice + TRAILER.size


@dataclass(frozen=True, eq=False)
class GrayFile:
    """An opened file; sent to other processes as its name, and opened anew there.

    ``facts`` are (count,) of ``SLICE_FACTS``. By its ``descriptor`` it stays readable if it is
    removed.
    """

    path: Path
    size: tuple[int, int]
    facts: NDArray[np.void]
    descriptor: int

    @property
    def key(self) -> str:
        """The file's name: a digest of its slices' contents, order and size."""
        return self.path.stem

    def __len__(self) -> int:
        return len(self.facts)

    def __del__(self) -> None:
        os.close(self.descriptor)

    def __reduce__(self) -> tuple[Any, ...]:
        return open_or_none, (self.path,)

    def read(self, indices: Sequence[int], out: NDArray[np.uint8]) -> None:
        """Read slices into ``out``, (len(indices), rows, columns) and contiguous.

        Raises:
            OSError: The file cannot be read, or is shorter than it was.
        """
        pixels = self.size[0] * self.size[1]
        for index, target in zip(indices, out, strict=True):
            read_into(self.descriptor, len(MAGIC) + index * pixels, target)

    def read_checked(self, index: int) -> NDArray[np.uint8] | None:
        """Return one slice, or None if it is damaged."""
        gray = np.empty((1, *self.size), np.uint8)
        try:
            self.read([index], gray)
        except OSError:
            return None
        return gray[0] if zlib.crc32(gray.data) == self.facts[index]["checksum"] else None


def open_or_none(path: Path) -> GrayFile | None:
    """Open a file and read what it says of its slices; return None if it is gone or damaged."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return GrayFile(path, *_read_facts(descriptor), descriptor)
        except (OSError, ValueError):
            os.close(descriptor)
    return None


def _read_facts(descriptor: int) -> tuple[tuple[int, int], NDArray[np.void]]:
    length = os.fstat(descriptor).st_size
    end = np.empty(TRAILER.size + len(MAGIC), np.uint8)
    if length < len(end):
        raise ValueError("cut short")
    read_into(descriptor, length - len(end), end)
    count, rows, columns, checksum = TRAILER.unpack(end[: TRAILER.size].tobytes())
    whole = end[TRAILER.size :].tobytes() == MAGIC
    if not whole or length != file_bytes(count, (rows, columns)):
        raise ValueError("not a file of decoded slices, or cut short")
    facts = np.empty(count, SLICE_FACTS)
    position = length - len(end) - facts.nbytes
    read_into(descriptor, position, facts.view(np.uint8))
    if zlib.crc32(facts.view(np.uint8).data) != checksum:
        raise ValueError("damaged")
    return (rows, columns), facts


class GrayFileWriter:
    """Writes slices one after another under a temporary name; they appear together or not at all.

    Raises:
        OSError: The folder or the file cannot be made.
    """

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._size = folder, size
        self._temporary = folder / f".{uuid.uuid4().hex}{TEMPORARY_SUFFIX}"
        self._stream = self._temporary.open("xb")
        self._stream.write(MAGIC)
        self._table = bytearray()

    def append(self, facts: np.void, gray: NDArray[np.uint8]) -> None:
        """Add a slice of the file's size."""
        self._stream.write(np.ascontiguousarray(gray).data)
        self._table += facts.tobytes()

    def finish(self) -> GrayFile:
        """Write what is known of the slices, give the file its name and open it.

        Raises:
            OSError: The disk is full or the folder is gone; nothing is left then.
        """
        facts = np.frombuffer(self._table, SLICE_FACTS)
        self._stream.write(self._table)
        self._stream.write(TRAILER.pack(len(facts), *self._size, zlib.crc32(self._table)) + MAGIC)
        self._stream.close()
        digest = hashlib.blake2b(struct.pack("<II", *self._size), digest_size=DIGEST_BYTES)
        digest.update(facts["content"].tobytes())
        path = self._folder / f"{digest.hexdigest()}{SUFFIX}"
        self._temporary.replace(path)
        finished = open_or_none(path)
        if finished is None:
            raise OSError(f"{path} cannot be read again")
        return finished

    def close(self) -> None:
        """Remove what was not finished."""
        with suppress(OSError):  # on a full disk closing fails as well
            self._stream.close()
        self._temporary.unlink(missing_ok=True)


log = logging.getLogger(__name__)

BYTES_PER_GB: Final = 10**9
FREE_BYTES: Final = 2**29
"""Left free on the disk for everything else."""

ABANDONED_S: Final = 24 * 3600.0
"""A temporary file that nobody has written to for so long was left by a run that was killed."""


def default_cache_dir() -> Path:
    """Return the folder of decoded slices: ``BODYCOMP_CACHE``, else one in the user's cache."""
    named = os.environ.get("BODYCOMP_CACHE")
    return Path(named) if named else user_cache_folder("slices")


@dataclass(frozen=True, slots=True)
class GrayCache:
    """A folder of ``GrayFile``, which need not exist, and their size together; 0 for no cache."""

    folder: Path
    limit_bytes: int

    def find(self, key: str) -> GrayFile | None:
        """Return the file of this name, or None if it is not there or damaged."""
        return open_or_none(self.folder / f"{key}{SUFFIX}")

    def files(self, size: tuple[int, int]) -> list[GrayFile]:
        """Open all files of slices of this size, those used last first; damaged ones go."""
        opened = []
        for path in self._paths():
            file = open_or_none(path)
            if file is None:
                log.info("a damaged file of decoded slices is removed: %s", path)
                _remove(path)
            elif file.size == size:
                opened.append(file)
        return opened

    def make_room(self, count: int, size: tuple[int, int], keep: Iterable[Path]) -> bool:
        """Remove the files used least recently until ``count`` slices more fit.

        Returns whether they fit, also onto the disk.
        """
        for path in self._temporaries():
            if time.time() - _stat(path)[1] > ABANDONED_S:
                _remove(path)
        needed, kept = file_bytes(count, size), set(keep)
        paths = self._paths()
        used = sum(_stat(path)[0] for path in paths)
        if needed + sum(_stat(path)[0] for path in kept) > self.limit_bytes:
            return False
        while used + needed > self.limit_bytes and paths:
            path = paths.pop()
            if path not in kept:
                used -= _stat(path)[0]
                _remove(path)
        self.folder.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.folder).free >= needed + FREE_BYTES

    def usage(self) -> tuple[int, int]:
        """Return how many files there are, and their bytes."""
        lengths = [_stat(path)[0] for path in self._paths()]
        return len(lengths), sum(lengths)

    def clear(self) -> tuple[int, int]:
        """Remove all files; return how many there were, and their bytes.

        Raises:
            OutputError: A file cannot be removed.
        """
        before = self.usage()
        for path in [*self._paths(), *self._temporaries()]:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(
                    f"a file of the cache cannot be removed: {path} ({error.strerror})"
                ) from error
        return before

    def _paths(self) -> list[Path]:
        """Return the files, those used last first."""
        times = {path: _stat(path)[1] for path in self.folder.glob(f"*{SUFFIX}")}
        return sorted(times, key=lambda path: (-times[path], path))

    def _temporaries(self) -> list[Path]:
        return list(self.folder.glob(f".*{TEMPORARY_SUFFIX}"))


class KnownSlices:
    """Slices that files of a cache hold, of one size, found by the content of their PNG."""

    def __init__(self, files: list[GrayFile]) -> None:
        self._files = files
        contents = [np.ascontiguousarray(file.facts["content"]).view("S16") for file in files]
        joined = np.concatenate(contents) if contents else np.empty(0, "S16")
        self._order = np.argsort(joined)
        self._sorted = joined[self._order]
        self._starts = np.cumsum([0, *(len(file) for file in files)])

    def find(self, content: bytes) -> tuple[np.void, NDArray[np.uint8]] | None:
        """Return what is known of a slice and its pixels, or None if it is not there or damaged."""
        at = int(np.searchsorted(self._sorted, np.bytes_(content)))
        while at < len(self._sorted) and self._sorted[at] == content.rstrip(b"\0"):
            number = int(self._order[at])
            which = int(np.searchsorted(self._starts, number, side="right")) - 1
            index = number - int(self._starts[which])
            gray = self._files[which].read_checked(index)
            if gray is not None:
                return self._files[which].facts[index], gray
            at += 1
        return None


def note_use(file: GrayFile) -> None:
    """Remember that a file was used now, so that others are removed first."""
    try:
        os.utime(file.path)
    except OSError:  # removed meanwhile, or somebody else's
        log.debug("the time of %s cannot be set", file.path)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("a file of the cache cannot be removed: %s (%s)", path, error.strerror)


def _stat(path: Path) -> tuple[int, float]:
    """Return bytes and time of change of a file, zeros if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0.0
    return status.st_size, status.st_mtime
