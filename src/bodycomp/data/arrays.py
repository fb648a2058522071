"""NumPy ``.npy`` files of any size: inspected by their header, mapped, read in chunks."""

from __future__ import annotations

import os
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from bodycomp.data.issues import MISSING_FILE, Issue, as_error, error
from bodycomp.errors import TrainingSetError

NOT_AN_ARRAY_HINT: Final = (
    "Write it again with numpy.save; if it was copied, compare its size with the original."
)
_HEADER_READERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """What a ``.npy`` file says about itself; values begin at ``data_offset``."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    data_offset: int


def inspect_array(path: Path) -> ArrayHeader | Issue:
    """Read the header of a ``.npy`` file, or say why it cannot be used; no pickle is loaded."""
    if not path.is_file():
        message = f"expected this file in {path.parent}, found {_contents(path.parent)}"
        hint = "Put the file there, or check the name of the training set's folder."
        return error(MISSING_FILE, path.name, message, hint)
    try:
        header = _read_header(path)
    except (OSError, ValueError, SyntaxError, TypeError, EOFError, tokenize.TokenError) as fault:
        reason = " ".join(str(fault).split())[:160]
        message = f"expected a NumPy array file, found one that cannot be read ({reason})"
        return error("unreadable-array", path.name, message, NOT_AN_ARRAY_HINT)
    if header.dtype.hasobject:
        message = f"expected numbers, found Python objects (dtype {header.dtype})"
        hint = "Pickled objects are never loaded; save the pixels as a plain numeric array."
        return error("object-array", path.name, message, hint)
    expected = header.data_offset + int(np.prod(header.shape, dtype=object)) * header.dtype.itemsize
    found = path.stat().st_size
    if found < expected:
        message = (
            f"expected {expected} bytes for shape {header.shape} of {header.dtype}, "
            f"found {found}: the file is truncated"
        )
        return error("truncated-array", path.name, message, NOT_AN_ARRAY_HINT)
    return header


def read_header(path: Path) -> ArrayHeader:
    """Read the header of a ``.npy`` file; raise for a file that cannot be used."""
    header = inspect_array(path)
    if isinstance(header, Issue):
        raise as_error(header, path)
    return header


def open_array(path: Path) -> NDArray[Any]:
    """Map a ``.npy`` file read-only into memory; errors are those of ``read_header``."""
    return map_array(read_header(path))


def map_array(header: ArrayHeader) -> NDArray[Any]:
    """Map the array of an inspected file read-only into memory."""
    if 0 in header.shape:  # nothing to map
        return np.empty(header.shape, header.dtype)
    return np.memmap(
        header.path,
        dtype=header.dtype,
        mode="r",
        offset=header.data_offset,
        shape=header.shape,
        order="F" if header.fortran_order else "C",
    )


def read_samples(header: ArrayHeader, start: int, stop: int) -> NDArray[Any]:
    """Copy samples ``start`` to ``stop`` into memory: C order, native bytes, nothing left mapped.

    Returns (stop - start, pixels), the other axes flattened.
    """
    if header.fortran_order:
        chunk = np.ascontiguousarray(map_array(header)[start:stop])
    else:
        pixels = int(np.prod(header.shape[1:]))
        offset = header.data_offset + start * pixels * header.dtype.itemsize
        chunk = np.fromfile(header.path, header.dtype, (stop - start) * pixels, offset=offset)
    native = chunk.astype(header.dtype.newbyteorder("="), copy=False)
    return cast("NDArray[Any]", native.reshape(stop - start, -1))


def _read_header(path: Path) -> ArrayHeader:
    with path.open("rb") as stream:
        version = npy.read_magic(stream)
        if version not in _HEADER_READERS:
            raise ValueError(f"file format version {version} is for structured arrays or unknown")
        shape, fortran_order, dtype = _HEADER_READERS[version](stream)
        if any(length < 0 for length in shape):
            raise ValueError(f"impossible shape {shape}")
        return ArrayHeader(path, shape, dtype, fortran_order, stream.tell())


def _contents(folder: Path) -> str:
    """Say in a few words what is in a folder instead of the file that was expected."""
    if not folder.is_dir():
        return "no such folder"
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    if not names:
        return "an empty folder"
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


class SampleFile:
    """Reads samples of one array; to be made anew in each process that is not forked.

    Every page of a mapped array that was touched counts as this process's memory, and a file that
    is cut short meanwhile ends the process. Where samples lie one after another in the machine's
    own byte order, they are read from the file instead.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        self._descriptor: int | None = None
        self._start = 0
        if (
            isinstance(array, np.memmap)
            and array.filename is not None
            and array.flags.c_contiguous
            and array.dtype.isnative
        ):
            self._descriptor = os.open(array.filename, os.O_RDONLY)
            self._start = array.offset

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def read(self, indices: Sequence[int], out: NDArray[Any]) -> None:
        """Copy samples into ``out``, contiguous, of the array's dtype and sample size.

        Raises:
            TrainingSetError: The file cannot be read any more.
        """
        targets = out.reshape(len(indices), *self._array.shape[1:])
        for index, target in zip(indices, targets, strict=True):
            if self._descriptor is None:
                target[...] = self._array[index]
                continue
            try:
                read_into(self._descriptor, self._start + index * target.nbytes, target)
            except OSError as fault:
                path = Path(str(getattr(self._array, "filename", "")))
                raise TrainingSetError(
                    f"{path}: sample {index} could be read when the training began, and cannot be "
                    f"any more ({fault})",
                    hint="Put the file back as it was; --resume then continues.",
                ) from fault


def read_into(descriptor: int, offset: int, target: NDArray[Any]) -> None:
    """Fill a contiguous array from a place of an open file; threads may share the descriptor.

    Raises:
        OSError: The file cannot be read, or ends too early.
    """
    view = target.data.cast("B")
    while view:
        done = os.preadv(descriptor, [view], offset)
        if done == 0:
            raise OSError(f"the file ends {len(view)} bytes too early")
        view, offset = view[done:], offset + done
