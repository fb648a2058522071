"""The slice-selection training set: a folder of PNG files and a table of offsets per split."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.issues import MISSING_FILE, Issue, as_error, collect, error
from bodycomp.data.layout import (
    OPTIONAL_SPLITS,
    PATIENT_COLUMN,
    PNG_NAME,
    SERIES_COLUMN,
    png_folder,
    png_name,
    table_path,
)
from bodycomp.data.table import Table, read_offsets, read_table
from bodycomp.level_names import check_levels

_LOOKS_LIKE_A_SLICE: Final = re.compile(r"\.(png|jpe?g|tiff?|bmp|gif|dcm|npy)$", re.IGNORECASE)
_ID_HINT: Final = "Name the slices 000000.png, 000001.png, ... without gaps."


@dataclass(frozen=True, eq=False)
class SliceSplit:
    """One split of a slice-selection training set; the PNG files are not read yet.

    Attributes:
        name: One of ``SPLITS``.
        folder: Where the PNG files lie.
        offsets_mm: (N, L) float32, positive above the level; NaN where not annotated.
        patient: (N,) content of the PatientID column; None without one.
        series: (N,) content of the SeriesInstanceUID column; None without one.
    """

    name: str
    folder: Path
    offsets_mm: NDArray[np.float32]
    patient: tuple[str, ...] | None = None
    series: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.offsets_mm)

    def png_path(self, index: int) -> Path:
        """Return the file of slice ``index``."""
        return self.folder / png_name(index)


def open_slice_split(data_dir: Path, split: str, levels: Sequence[str]) -> SliceSplit | None:
    """Open one split after checking file names and the table; no PNG is read.

    None for a test split that is not there.

    Raises:
        UsageError: A level is repeated or has no name that can be one.
        InputNotFoundError: A folder or table is missing.
        TrainingSetError: Names or table break the format; ``bodycomp validate`` lists all reasons.
    """
    opened, issues = inspect_slice_split(data_dir, split, levels)
    if issues:
        raise as_error(issues[0], data_dir / issues[0].where)
    return None if opened is None else opened[0]


def inspect_slice_split(
    data_dir: Path, split: str, levels: Sequence[str]
) -> tuple[tuple[SliceSplit, Table] | None, tuple[Issue, ...]]:
    """Check what file names and the table say.

    Returns the split with its table if nothing is wrong, and the errors; neither for a test split
    that is not there.
    """
    levels = check_levels(levels)
    folder, path = png_folder(data_dir, split), table_path(data_dir, split)
    if split in OPTIONAL_SPLITS and not folder.exists() and not path.exists():
        return None, ()
    count, named = _count_slices(folder, f"images/{split}")
    name_errors = collect(named, split)
    table, table_errors = read_table(path, f"meta/{split}.csv", split)
    if table is None:
        return None, (*name_errors, *table_errors)
    offsets_mm, offset_errors = read_offsets(table, levels, split)
    row_errors = () if name_errors else collect(_wrong_row_count(table, count, split), split)
    errors = (*name_errors, *row_errors, *offset_errors)
    if errors:
        return None, errors
    patient, series = table.column(PATIENT_COLUMN), table.column(SERIES_COLUMN)
    return (SliceSplit(split, folder, offsets_mm, patient, series), table), ()


def _count_slices(folder: Path, where: str) -> tuple[int, list[Issue]]:
    """Count the PNG files of a folder and check their names."""
    if not folder.is_dir():
        beside = sorted(p.name for p in folder.parent.iterdir()) if folder.parent.is_dir() else []
        found = ", ".join(beside[:8]) or "no images folder"
        message = f"expected a folder of PNG slices, found {found}"
        hint = "Slices lie in images/<split>/000000.png ..."
        return 0, [error(MISSING_FILE, where, message, hint)]
    issues: list[Issue] = []
    ids = []
    for name in sorted(path.name for path in folder.iterdir()):
        match = PNG_NAME.fullmatch(name)
        if match:
            ids.append(int(match[1]))
        elif _LOOKS_LIKE_A_SLICE.search(name) and not name.startswith("."):
            message = f"expected six digits and .png, found {name}"
            issues.append(error("png-name", f"{where}/{name}", message, _ID_HINT))
    if not ids:
        message = "expected at least one slice 000000.png, found none"
        issues.append(error("no-slices", where, message, _ID_HINT))
    elif ids[-1] != len(ids) - 1:
        first = next(index for index, number in enumerate(ids) if index != number)
        message = (
            f"expected IDs 000000 to {ids[-1]:06d} without gaps, found {ids[-1] + 1 - len(ids)} "
            f"missing, the first is {png_name(first)}"
        )
        hint = f"{_ID_HINT} Row i of the table belongs to ID i."
        issues.append(error("png-gap", where, message, hint))
    return len(ids), issues


def _wrong_row_count(table: Table, count: int, split: str) -> Iterator[Issue]:
    rows, folder = len(table), f"images/{split}"
    if rows == count:
        return
    detail = (
        f"the first row without a slice is row {count}: {folder}/{png_name(count)} is missing"
        if rows > count
        else f"the first slice without a row is {folder}/{png_name(rows)}"
    )
    message = f"expected a row for each of the {count} slices, found {rows} rows; {detail}"
    hint = "The header does not count; row i (from 0) belongs to slice i."
    yield error("row-count", table.where, message, hint)
