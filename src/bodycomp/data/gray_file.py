"""Decoded slices of one split in a file: pixels row after row, then what is known of each slice.

    magic | count x pixels (uint8) | count x SLICE_FACTS | count, rows, columns, checksum | magic

The end is written last, so that a file that was cut short is not believed; every slice carries a
checksum, so that a damaged one is noticed. Rows are read, not mapped: mapped pages would count as
this process's memory, which then grew with the size of the training set, and a file that is cut
short by somebody else would end the process instead of raising an error.
"""

from __future__ import annotations

import hashlib
import os
import struct
import uuid
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.arrays import read_into

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
