"""Single-channel 8-bit PNG files: the only kind that slices for slice selection come in."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bodycomp.data.issues import MISSING_FILE, Issue, Place, as_error, error

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
GRAYSCALE: Final = 0
COLOR_TYPES: Final = {
    0: "greyscale",
    2: "colour",
    3: "palette",
    4: "greyscale with transparency",
    6: "colour with transparency",
}
MAX_PIXELS: Final = 2**26
"""A header that claims more is taken as damaged; a CT slice of 2048 x 2048 has 2**22."""

_WRITE_HINT: Final = (
    "Window the HU at level 40, width 400, scale to 0..255 and save as single-channel 8-bit PNG."
)
_DAMAGED_HINT: Final = "Write or copy this file again."


def read_gray_png(path: Path) -> NDArray[np.uint8]:
    """Decode a PNG into (row, column) grey levels 0..255.

    Raises:
        InputNotFoundError: There is no such file.
        TrainingSetError: It is not a single-channel 8-bit PNG, or is damaged.
    """
    data = read_png(path, str(path))
    image = data if isinstance(data, Issue) else decode_png(data, str(path))
    if isinstance(image, Issue):
        raise as_error(image)
    return image


def read_png(path: Path, place: Place | str) -> bytes | Issue:
    """Read a PNG's bytes, or say why they cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return error(MISSING_FILE, place, "expected this file, found none")
    except OSError as fault:
        message = f"expected a readable file, found {fault.strerror}"
        return error("unreadable-png", place, message, "Check the file's permissions.")


def decode_png(
    data: bytes, place: Place | str, *, verify: bool = False
) -> NDArray[np.uint8] | Issue:
    """Decode a PNG's bytes, or say why they cannot be used; the issue is of ``place``.

    ``verify`` also compares checksums and the amount of pixel data, which decoding does not: it
    fills what is missing with black.
    """
    problem = _header_problem(data)
    if problem is not None:
        code, message, hint = problem
        return error(code, place, message, hint)
    try:
        if verify:
            _verify(data)
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            return np.array(image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as fault:
        message = f"expected a PNG that can be decoded, found a damaged one ({fault})"
        return error("undecodable-png", place, message, _DAMAGED_HINT)


def write_gray_png(path: Path, gray: NDArray[np.uint8]) -> None:
    """Write (row, column) grey levels as an 8-bit PNG; the same pixels give the same bytes."""
    Image.fromarray(np.ascontiguousarray(gray)).save(path, format="PNG", compress_level=3)


def _verify(data: bytes) -> None:
    """Walk the chunks of a greyscale 8-bit PNG; raise ValueError if one is damaged or missing."""
    columns, rows, interlaced = struct.unpack(">II4xB", data[16:29])
    position, pixels = len(PNG_SIGNATURE), bytearray()
    kind = b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise ValueError("the end of the file is missing")
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        content = data[position + 8 : position + 8 + length]
        checksum = data[position + 8 + length : position + 12 + length]
        if checksum != struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))):
            raise ValueError(f"checksum of chunk {kind.decode('ascii', 'replace')} is wrong")
        if kind == b"IDAT":
            pixels += content
        position += 12 + length
    expected = rows * (columns + 1)  # each row begins with the number of its filter
    found = len(zlib.decompressobj().decompress(pixels, 2 * expected + 64))
    if found < expected if interlaced else found != expected:
        raise ValueError(f"expected {expected} bytes of pixels, found {found}")


def _header_problem(data: bytes) -> tuple[str, str, str] | None:
    """Return code, message and hint if the first 26 bytes are not those of an 8-bit grey PNG."""
    if not data:
        return "empty-png", "expected a PNG, found an empty file of 0 bytes", _DAMAGED_HINT
    if not data.startswith(PNG_SIGNATURE):
        found = f"a file that starts with {data[:4].hex(' ')}"
        return "undecodable-png", f"expected a PNG, found {found}", _WRITE_HINT
    if len(data) < 26 or data[12:16] != b"IHDR":
        return "undecodable-png", "expected a PNG, found a truncated one", _DAMAGED_HINT
    return _format_problem(*struct.unpack(">IIBB", data[16:26]))


def _format_problem(
    columns: int, rows: int, bits: int, color_type: int
) -> tuple[str, str, str] | None:
    if not 0 < rows * columns <= MAX_PIXELS:
        code = "undecodable-png" if rows * columns else "empty-png"
        return code, f"expected a CT slice, found {rows} x {columns} pixels", _DAMAGED_HINT
    if color_type != GRAYSCALE:
        found = COLOR_TYPES.get(color_type, f"colour type {color_type}")
        return "png-not-grey", f"expected a single-channel PNG, found {found}", _WRITE_HINT
    if bits != 8:
        return "png-not-8-bit", f"expected 8 bits per pixel, found {bits}", _WRITE_HINT
    return None
