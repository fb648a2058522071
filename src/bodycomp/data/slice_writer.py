"""Write a slice-selection split slice by slice; memory does not grow with the split."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.naming import MAX_SLICES, offset_column, png_folder, png_name, table_path
from bodycomp.data.png import write_grey_png
from bodycomp.errors import ImageError, OutputError, UsageError
from bodycomp.level_names import check_levels
from bodycomp.storage import atomic_file, atomic_folder, duplicate

_NO_EXTRA: Mapping[str, str] = {}
DECIMALS: int = 4
"""Offsets are written to a ten-thousandth of a millimetre."""


class SliceWriter:
    """Context manager that appends slices; folder and table appear at its end, or neither.

    Args:
        data_dir: The training set; made if missing.
        split: One of ``SPLITS``.
        levels: Levels with a ``ZOffset_<level>`` column each.
        extra_columns: Further columns, for instance ``PatientID``; written before the offsets.

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
        grey: NDArray[np.uint8],
        offsets_mm: Mapping[str, float | None],
        extra: Mapping[str, str] = _NO_EXTRA,
    ) -> None:
        """Add one slice.

        Args:
            grey: (row, column) uint8, windowed at 40/400; any size.
            offsets_mm: Level -> offset, positive above it; None, NaN or absent: not annotated.
            extra: Value of each extra column.

        Raises:
            ImageError: The slice is not a (row, column) uint8 image.
            UsageError: A level or column that was not announced, or an extra value is missing.
            OutputError: More slices than six digits can name.
        """
        if grey.ndim != 2 or grey.dtype != np.uint8 or grey.size == 0:
            raise ImageError(f"expected a uint8 image, found {grey.dtype}, shape {grey.shape}")
        row = self._row(offsets_mm, extra)
        write_grey_png(self._pngs / png_name(self._appended), grey)
        self._finish(row)

    def append_file(
        self,
        png: Path,
        offsets_mm: Mapping[str, float | None],
        extra: Mapping[str, str] = _NO_EXTRA,
    ) -> None:
        """Add one slice that is a PNG of the format already, as a link to it where possible.

        Args:
            png: Written by ``data.png.write_grey_png``; not looked into.
            offsets_mm: As for ``append``.
            extra: As for ``append``.

        Raises:
            UsageError, OutputError: As for ``append``.
        """
        row = self._row(offsets_mm, extra)
        duplicate(png, self._pngs / png_name(self._appended))
        self._finish(row)

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

    def _finish(self, row: list[Any]) -> None:
        self._rows.writerow(row)
        self._appended += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def _format_offset(offset_mm: float | None) -> str:
    if offset_mm is None or math.isnan(offset_mm):
        return ""
    if math.isinf(offset_mm):
        raise UsageError("expected a finite offset in mm, found infinity")
    return repr(round(float(offset_mm), DECIMALS) + 0.0)  # + 0.0 turns -0.0 into 0.0


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
