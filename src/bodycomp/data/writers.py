"""Write a split of either training set sample by sample; memory does not grow with the split."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from bodycomp.data.layout import (
    MAX_SLICES,
    images_path,
    masks_path,
    offset_column,
    png_folder,
    png_name,
    table_path,
)
from bodycomp.data.png import write_gray_png
from bodycomp.data.segmentation_set import SAMPLE_SHAPE
from bodycomp.errors import ImageError, OutputError, UsageError
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE
from bodycomp.level_names import check_levels
from bodycomp.storage import atomic_file, atomic_folder, duplicate

_INT16: Final = np.iinfo(np.int16)
_NO_EXTRA: Mapping[str, str] = {}
DECIMALS: int = 4
"""Offsets are written to a ten-thousandth of a millimetre."""


class SegmentationWriter:
    """Context manager that appends slices and masks; both files appear at its end, or neither.

    Raises:
        OutputError: The split is there already.
    """

    def __init__(self, data_dir: Path, split: str) -> None:
        self._paths = images_path(data_dir, split), masks_path(data_dir, split)
        self._appended = 0
        self._stack = ExitStack()
        self._streams: tuple[BinaryIO, ...] = ()

    def __enter__(self) -> Self:
        for path in self._paths:
            if path.exists():
                raise OutputError(
                    f"the training set has this file already: {path}",
                    hint="Name another folder, or remove the old split first.",
                )
        made = not self._paths[0].parent.exists()
        with ExitStack() as stack:
            if made:
                stack.callback(_remove_if_empty, self._paths[0].parent)
            # Entered in reverse: contexts end last in, first out, so that the masks appear before
            # the images and images never stand alone.
            temporary = [stack.enter_context(atomic_file(path)) for path in self._paths]
            self._streams = tuple(stack.enter_context(path.open("wb")) for path in temporary)
            self._write_headers()
            self._stack = stack.pop_all()
        return self

    def append(self, hu: NDArray[Any], labels: NDArray[Any]) -> None:
        """Add one sample.

        ``hu`` is rounded to int16; labels are integers 0..255.

        Raises:
            ImageError: A shape is wrong, or a value does not fit the file's type.
        """
        for stream, values in zip(self._streams, (_as_hu(hu), _as_labels(labels)), strict=True):
            stream.write(np.ascontiguousarray(values).data)
        self._appended += 1

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        with self._stack:  # an error in it leaves nothing behind
            if error is not None:
                raise error
            for stream in self._streams:
                stream.seek(0)
            self._write_headers()

    def _write_headers(self) -> None:
        """Write both headers for what was appended; NumPy leaves room for a growing first axis."""
        for stream, dtype in zip(self._streams, ("<i2", "|u1"), strict=True):
            shape = (self._appended, *SAMPLE_SHAPE)
            header = {"descr": dtype, "fortran_order": False, "shape": shape}
            npy.write_array_header_1_0(stream, header)


def _as_hu(hu: NDArray[Any]) -> NDArray[np.int16]:
    _check_shape("an image", hu)
    values = np.rint(hu) if hu.dtype.kind == "f" else hu
    low, high = values.min(), values.max()
    if not (low >= _INT16.min and high <= _INT16.max):  # also catches NaN
        raise ImageError(f"expected HU that fit int16, found values from {low} to {high}")
    return values.astype("<i2", copy=False)


def _as_labels(labels: NDArray[Any]) -> NDArray[np.uint8]:
    _check_shape("a mask", labels)
    if labels.dtype.kind not in "iub" or labels.min() < 0 or labels.max() > np.iinfo(np.uint8).max:
        raise ImageError(f"expected integer labels 0..255, found {labels.dtype} values")
    return labels.astype(np.uint8, copy=False)


def _check_shape(what: str, array: NDArray[Any]) -> None:
    if array.shape != SEGMENTATION_SIZE:
        raise ImageError(f"expected {what} of 512 x 512 pixels, found shape {array.shape}")


class SliceWriter:
    """Context manager that appends slices; folder and table appear at its end, or neither.

    ``extra_columns``, for instance ``PatientID``, are written before the offsets.

    Raises:
        UsageError: A level is repeated or has no name that can be one; a column is named twice.
        OutputError: The split is there already.
    """

    def __init__(
        self,
        data_dir: Path,
        split: str,
        levels: Sequence[str],
        extra_columns: Sequence[str] = (),
    ) -> None:
        self._levels = check_levels(levels)
        self._extra = tuple(extra_columns)
        self._columns = ("", *self._extra, *(offset_column(level) for level in self._levels))
        if len(set(self._columns)) != len(self._columns):
            raise UsageError(f"expected each column once, found {', '.join(self._columns[1:])}")
        self._folder, self._table = png_folder(data_dir, split), table_path(data_dir, split)
        self._appended = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._table.exists():
            raise OutputError(
                f"the training set has this table already: {self._table}",
                hint="Name another folder, or remove the old split first.",
            )
        with ExitStack() as stack:
            for parent in (self._folder.parent, self._table.parent):
                stack.callback(_remove_if_empty, parent)
            # Contexts end last in, first out: the table appears before the slices.
            self._pngs = stack.enter_context(atomic_folder(self._folder))
            temporary = stack.enter_context(atomic_file(self._table))
            stream = stack.enter_context(temporary.open("w", encoding="utf-8", newline=""))
            self._rows = csv.writer(stream, lineterminator="\n")
            self._rows.writerow(self._columns)
            self._stack = stack.pop_all()
        return self

    def append(
        self,
        gray: NDArray[np.uint8] | Path,
        offsets_mm: Mapping[str, float | None],
        extra: Mapping[str, str] = _NO_EXTRA,
    ) -> None:
        """Add one slice.

        ``gray`` is a (row, column) uint8 image windowed at 40/400, or a file that
        ``write_gray_png`` wrote, which is not looked into and linked where possible. Offsets that
        are None, NaN or absent are not annotated.

        Raises:
            ImageError: The slice is not a (row, column) uint8 image.
            UsageError: A level or column that was not announced, or an extra value is missing.
            OutputError: More slices than six digits can name.
        """
        row, png = self._row(offsets_mm, extra), self._pngs / png_name(self._appended)
        if isinstance(gray, Path):
            duplicate(gray, png)
        elif gray.ndim != 2 or gray.dtype != np.uint8 or gray.size == 0:
            raise ImageError(f"expected a uint8 image, found {gray.dtype}, shape {gray.shape}")
        else:
            write_gray_png(png, gray)
        self._rows.writerow(row)
        self._appended += 1

    def _row(self, offsets_mm: Mapping[str, float | None], extra: Mapping[str, str]) -> list[Any]:
        if self._appended == MAX_SLICES:
            raise OutputError(f"expected at most {MAX_SLICES} slices in a split, got more")
        if set(extra) != set(self._extra) or not set(offsets_mm) <= set(self._levels):
            raise UsageError(
                f"expected values for {', '.join(self._columns[1:])}, "
                f"found {', '.join((*extra, *offsets_mm))}"
            )
        row: list[Any] = [self._appended, *(extra[name] for name in self._extra)]
        return row + [_format_offset(offsets_mm.get(level)) for level in self._levels]

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        with self._stack:  # an error in it leaves nothing behind
            if error is not None:
                raise error


def _format_offset(offset_mm: float | None) -> str:
    if offset_mm is None or math.isnan(offset_mm):
        return ""
    if math.isinf(offset_mm):
        raise UsageError("expected a finite offset in mm, found infinity")
    return repr(round(float(offset_mm), DECIMALS) + 0.0)  # + 0.0 turns -0.0 into 0.0


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
