"""NRRD volumes, label maps and segmentations of 3D Slicer -> arrays on a grid in the patient.

The format: http://teem.sourceforge.net/nrrd/format.html. Slicer's ``.seg.nrrd`` adds one group of
``SegmentN_`` fields per segment; segments that overlap lie in layers along a fourth axis. A file
that Slicer cropped says so by its own origin, so that its grid needs no further correction.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO, Final

import nrrd
import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import ImageError, InputNotFoundError, SeriesError
from bodycomp.imaging.grid import Grid, volume_on_grid
from bodycomp.imaging.label_map import LabelMap, as_labels
from bodycomp.imaging.volume import Volume

# Signs that turn the file's axes into left, back, head.
_TO_LPS: Final = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
_MM_PER_UNIT: Final = {"": 1.0, "mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001}
_DAMAGES: Final = (
    nrrd.NRRDError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    StopIteration,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class NrrdSegment:
    """One segment of a ``.seg.nrrd``: its voxels have ``value`` in ``layer``."""

    name: str
    value: int
    layer: int


@dataclass(frozen=True, eq=False)
class NrrdLabels:
    """A label map, or layers that may overlap; and what the file says of labels, if anything."""

    layers: tuple[LabelMap, ...]
    segments: tuple[NrrdSegment, ...]


def read_nrrd_volume(path: Path) -> Volume:
    """Read a three-dimensional CT volume in HU from ``.nrrd`` or ``.nhdr``.

    Raises:
        InputNotFoundError: The file is not there.
        SeriesError: Not NRRD or damaged; not 3-D; no patient space stated; what ``volume_on_grid``
            refuses.
    """
    header, values = _read(path)
    grid, list_axis = _grid(header, path)
    if list_axis is not None:
        raise SeriesError(
            f"{path.name}: expected a 3-D volume, found sizes {_sizes(header)}",
            hint="Export one volume, not a sequence or a segmentation.",
        )
    return volume_on_grid(values, grid, path.name)


def read_nrrd_labels(path: Path) -> NrrdLabels:
    """Read a label map or a ``.seg.nrrd``.

    Raises:
        InputNotFoundError: The file is not there.
        SeriesError: Not NRRD or damaged; no patient space stated; no whole numbers.
    """
    header, values = _read(path)
    grid, list_axis = _grid(header, path)
    labels = as_labels(values, path.name)
    stacked = labels[None] if list_axis is None else np.moveaxis(labels, list_axis, 0)
    layers = tuple(LabelMap(layer, grid) for layer in stacked)
    return NrrdLabels(layers, _segments(header, len(layers), path))


def read_nrrd_grid(path: Path) -> Grid:
    """Read where the voxels lie, without the voxels; raises as ``read_nrrd_labels``."""
    return _grid(_header(path), path)[0]


def nrrd_data_file(path: Path) -> Path | None:
    """Return the file that holds the voxels, as the header names it; None if they follow it.

    Raises as ``read_nrrd_labels``.
    """
    header = _header(path)
    name = header.get("data file", header.get("datafile"))
    return path.parent / str(name) if name is not None else None


def _header(path: Path) -> dict[str, Any]:
    with _opened(path) as (header, _):
        header["sizes"] = [int(n) for n in header["sizes"]]
        return header


def _read(path: Path) -> tuple[dict[str, Any], NDArray[Any]]:
    with _opened(path) as (header, stream):
        return header, nrrd.read_data(dict(header), stream, str(path))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[dict[str, Any], BinaryIO]]:
    """Give the header of a file, and the file at the byte behind it.

    Raises:
        InputNotFoundError: The file is not there.
        SeriesError: Not NRRD or damaged, also while it is open; voxels in several files, or in one
            that is not there.
    """
    if not path.is_file():
        raise InputNotFoundError(f"expected an NRRD file, found nothing at {path}")
    try:
        with path.open("rb") as stream:
            lines = _header_lines(stream)
            _check_one_data_file(lines, path)
            yield dict(nrrd.read_header(iter(lines))), stream
    except FileNotFoundError as error:
        raise SeriesError(
            f"{path.name}: the file with its voxels, which this header names, is not there",
            hint="Keep the header and its data file together in one folder.",
        ) from error
    except _DAMAGES as error:
        raise _damaged(path, error) from error


def _header_lines(stream: BinaryIO) -> list[str]:
    """Return the lines up to the first blank one, as text.

    pynrrd takes lines of bytes for ASCII and drops what is not, which leaves other names. Writers
    use UTF-8; in files of older ones every byte is a letter, so that names stay apart.
    """
    lines = [*takewhile(lambda line: line.strip(), stream)]
    try:
        return [line.decode("utf-8") for line in lines]
    except UnicodeDecodeError:
        return [line.decode("latin-1") for line in lines]


def _check_one_data_file(lines: Sequence[str], path: Path) -> None:
    """Refuse voxels in several files, which the format calls LIST or gives a pattern for."""
    fields = (
        re.fullmatch(r"data ?file:\s*(LIST\b.*|.*%[0-9]*d.*)", line.strip()) for line in lines
    )
    found = next((field[1] for field in fields if field), None)
    if found is not None:
        raise SeriesError(
            f"{path.name}: expected the voxels in one file, found several (data file: {found})",
            hint="Save the volume as one .nrrd file, for instance from 3D Slicer.",
        )


def _damaged(path: Path, error: Exception) -> SeriesError:
    return SeriesError(
        f"{path.name}: expected a whole NRRD file, found {error or type(error).__name__}",
        hint="Save or copy it again; it may be cut off.",
    )


def _sizes(header: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(n) for n in header["sizes"])


def _grid(header: dict[str, Any], path: Path) -> tuple[Grid, int | None]:
    """Return where the voxels lie, and the axis of layers if there is one.

    Raises:
        SeriesError: No patient space, not three axes in it, an unknown unit, or a bad affine.
    """
    space = str(header.get("space", "")).lower()
    if space not in _TO_LPS or "space directions" not in header or "space origin" not in header:
        raise SeriesError(
            f"{path.name}: expected a patient space (LPS, RAS or LAS) with directions and origin, "
            f"found {space or 'no space'!r}: left and right are unknown",
            hint="Export it again from the program that knows the scan, such as 3D Slicer.",
        )
    sizes = _sizes(header)
    try:
        directions = np.atleast_2d(np.asarray(header["space directions"], np.float64))
        origin = np.asarray(header["space origin"], np.float64).reshape(3)
    except (TypeError, ValueError) as error:
        raise SeriesError(
            f"{path.name}: expected three numbers for origin and directions, found other ones"
        ) from error
    in_space = [axis for axis, row in enumerate(directions) if not np.isnan(row).any()]
    if len(in_space) != 3 or len(sizes) not in (3, 4) or directions.shape != (len(sizes), 3):
        raise SeriesError(f"{path.name}: expected three axes in space, found sizes {sizes}")
    sign = np.array([*_TO_LPS[space], 1.0])
    affine = np.eye(4)
    affine[:3, :3] = directions[in_space].T
    affine[:3, 3] = origin
    affine[:3] *= _unit_mm(header, path)
    others = [axis for axis in range(len(sizes)) if axis not in in_space]
    i, j, k = (sizes[axis] for axis in in_space)
    try:
        return Grid((i, j, k), sign[:, None] * affine), others[0] if others else None
    except ImageError as error:
        raise SeriesError(f"{path.name}: {error.message}") from error


def _unit_mm(header: dict[str, Any], path: Path) -> float:
    units = {str(unit).strip('" ') for unit in header.get("space units", [""])}
    if len(units) != 1 or not units <= set(_MM_PER_UNIT):
        raise SeriesError(f"{path.name}: expected lengths in mm, found {', '.join(sorted(units))}")
    return _MM_PER_UNIT[units.pop()]


def _segments(header: dict[str, Any], layers: int, path: Path) -> tuple[NrrdSegment, ...]:
    """Return the segments that the header names, in the order of their numbers.

    Slicer before 4.11 wrote one layer per segment with the value 1 and neither value nor layer.
    """
    names = {
        int(found[1]): str(value)
        for key, value in header.items()
        if (found := re.fullmatch(r"Segment(\d+)_Name", key))
    }
    segments = []
    for number in sorted(names):
        value = str(header.get(f"Segment{number}_LabelValue", 1))
        layer = str(header.get(f"Segment{number}_Layer", number if layers > 1 else 0))
        if not value.isdecimal() or not layer.isdecimal() or int(layer) >= layers:
            raise SeriesError(
                f"{path.name}: expected a label value and a layer below {layers} for segment "
                f"{number}, found {value!r} and {layer!r}"
            )
        if int(value) == 0 and names[number].casefold() != "background":
            raise SeriesError(
                f"{path.name}: expected a label value above 0 for segment {number} "
                f"({names[number]}), found 0, which is the background's",
                hint="Give the segment another label value and save the segmentation again.",
            )
        segments.append(NrrdSegment(names[number], int(value), int(layer)))
    return tuple(segments)
