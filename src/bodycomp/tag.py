"""TAG files of Slice-O-Matic -> labels on a grid in the patient, and labels back to TAG.

The form is that of its manual, appendix D (TomoVision, sliceOmatic 5.0): lines of ASCII text that
end with CR LF hold ``keyword:value`` pairs, ``*`` begins a comment, a form feed ends the header,
and one byte a pixel follows, image by image, rows from top to bottom.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, MUSCLE, SUBCUTANEOUS_FAT, VISCERAL_FAT
from bodycomp.errors import ImageError, InputNotFoundError, SeriesError
from bodycomp.imaging.grid import Grid
from bodycomp.imaging.label_map import folded
from bodycomp.imaging.volume import Volume
from bodycomp.storage import atomic_file

TAG_SUFFIX: Final = ".tag"
TAG_LABELS: Final = {MUSCLE.label: 1, SUBCUTANEOUS_FAT.label: 7, VISCERAL_FAT.label: 5}
"""Label of ``anatomy`` -> value in TAG files by the Alberta protocol; 2 is intermuscular fat."""

_HEADER_END: Final = b"\x0c"
_LONGEST_HEADER: Final = 64 * 2**10
_TEXT: Final = re.compile(rb"[\x20-\x7e\r\n\t]*")
_PAIR: Final = re.compile(r"([A-Za-z_]\w*)\s*:\s*([^\s,]+)")
_PLACE: Final = (
    *("org_x", "org_y", "org_z", "inc_x", "inc_y"),
    *("dir_h_x", "dir_h_y", "dir_h_z", "dir_v_x", "dir_v_y", "dir_v_z"),
)
_NOISE: Final = 0.5
"""Of labels that people drew nearly every pixel is like the one before it; of encrypted ones few
are."""

_COPY: Final = "Copy the file again, or save it again with Slice-O-Matic."
_ENCRYPTED: Final = (
    "Slice-O-Matic encrypts the TAG files of slices that were analyzed with ABACS+, and no other "
    "program can read them. If the slice was not, copy the file again."
)


@dataclass(frozen=True, eq=False)
class TagFile:
    """One TAG file.

    Attributes:
        header: All bytes before the pixels, with the form feed.
        pixels: (image, row, column) labels as stored.
        values: Keyword, in lower case -> value.
    """

    header: bytes = field(repr=False)
    pixels: NDArray[np.uint8] = field(repr=False)
    values: Mapping[str, str] = field(repr=False)

    def grid(self, where: str) -> Grid | None:
        """Return where (column, row, image) pixels lie; None if the header does not say it.

        Images are as far apart as they are thick, as 3D Slicer reads them.

        Raises:
            SeriesError: A value of its place is no number, or no place can be made of them.
        """
        if any(key not in self.values for key in _PLACE):
            return None
        number = {key: self._number(key, where) for key in (*_PLACE, "epais")}
        across, down = (
            np.array([number[f"dir_{way}_{axis}"] for axis in "xyz"]) for way in ("h", "v")
        )
        affine = np.eye(4)
        affine[:3, 0], affine[:3, 1] = across * number["inc_x"], down * number["inc_y"]
        affine[:3, 2] = np.cross(across, down) * (number["epais"] or 1.0)
        affine[:3, 3] = [number[f"org_{axis}"] for axis in "xyz"]
        images, rows, columns = self.pixels.shape
        try:
            return Grid((columns, rows, images), affine)
        except ImageError as error:
            raise SeriesError(
                f"{where}: expected a place in the patient, found {error.message}"
            ) from error

    def _number(self, key: str, where: str) -> float:
        try:
            return float(self.values.get(key, "0"))
        except ValueError as error:
            raise _damaged(where, f"a number as {key}", repr(self.values[key])) from error


def read_tag(path: Path) -> TagFile:
    """Read a TAG file.

    Raises:
        InputNotFoundError: The file is not there.
        SeriesError: No TAG file, damaged, or encrypted.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputNotFoundError(f"expected a TAG file, found nothing at {path}") from error
    text, end, data = content.partition(_HEADER_END)
    if not end or len(text) > _LONGEST_HEADER or not _TEXT.fullmatch(text):
        expected = "a header of plain text that ends with a form feed"
        raise _damaged(path.name, expected, "none", _ENCRYPTED)
    values = _values(text.decode("ascii"), path.name)
    images, rows, columns = (_size(values, key, path.name) for key in "zyx")
    if values.get("type", "BYTE").upper() != "BYTE":
        raise _damaged(path.name, "type:BYTE, one byte a pixel", f"type:{values['type']}")
    if len(data) != images * rows * columns:
        expected = f"{images * rows * columns} bytes for {columns} x {rows} x {images} pixels"
        raise _damaged(path.name, f"{expected} after the header", str(len(data)), _ENCRYPTED)
    pixels = np.frombuffer(data, np.uint8).reshape(images, rows, columns)
    alike = float((pixels[..., 1:] == pixels[..., :-1]).mean()) if columns > 1 else 1.0
    if alike < _NOISE:
        found = f"noise: {alike:.0%} of the pixels are like the one before them"
        raise _damaged(path.name, "labels in areas", found, _ENCRYPTED)
    return TagFile(text + end, pixels, values)


def write_tag(path: Path, tag: TagFile) -> None:
    """Write a TAG file, byte for byte as it was read."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(tag.header + tag.pixels.tobytes())


def tag_of_slice(
    volume: Volume, index: int, labels: NDArray[np.uint8], thickness_mm: float | None = None
) -> TagFile:
    """Return the TAG file of a slice, its tissues by ``TAG_LABELS``.

    It has neither ``uid`` nor ``chksum``, which Slice-O-Matic makes by rules of its own. Without a
    thickness that of the file is the distance of the slices.
    """
    row_mm, column_mm = volume.pixel_spacing_mm
    labels = folded(labels, ABDOMINAL_TISSUES)
    rows, columns = labels.shape
    thickness = thickness_mm or volume.slice_spacing_mm or 1.0
    first = volume.first_pixels_mm[index]
    across, down = volume.orientation[:3], volume.orientation[3:]
    lines = (
        {"x": str(columns), "y": str(rows), "z": "1", "type": "BYTE"},
        _numbers("org_", first),
        {"dim_x": f"{columns * column_mm:.4f}", "dim_y": f"{rows * row_mm:.4f}"},
        {"inc_x": f"{column_mm:.6f}", "inc_y": f"{row_mm:.6f}", "epais": f"{thickness:.4f}"},
        _numbers("dir_h_", across, 6),
        _numbers("dir_v_", down, 6),
    )
    text = "".join(" ".join(f"{k}:{v}" for k, v in line.items()) + "\r\n" for line in lines)
    lut = np.zeros(256, np.uint8)
    lut[list(TAG_LABELS)] = list(TAG_LABELS.values())
    values = {key: value for line in lines for key, value in line.items()}
    return TagFile(text.encode("ascii") + _HEADER_END, lut[labels][None], values)


def _values(text: str, where: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in text.splitlines():
        for keyword, value in _PAIR.findall(line.partition("*")[0]):
            if values.setdefault(keyword.lower(), value) != value:
                raise _damaged(where, f"{keyword} once", "it twice")
    return values


def _size(values: Mapping[str, str], key: str, where: str) -> int:
    value = values.get(key, "1" if key == "z" else "none")
    if not value.isdecimal() or int(value) < 1:
        raise _damaged(where, f"a size as {key}", value)
    return int(value)


def _numbers(prefix: str, vector: object, decimals: int = 4) -> dict[str, str]:
    numbers = np.asarray(vector, np.float64) + 0.0
    return {f"{prefix}{axis}": f"{n:.{decimals}f}" for axis, n in zip("xyz", numbers, strict=True)}


def _damaged(where: str, expected: str, found: str, hint: str = _COPY) -> SeriesError:
    return SeriesError(
        f"{where}: expected a TAG file of Slice-O-Matic with {expected}, found {found}", hint=hint
    )
