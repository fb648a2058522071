"""``manifest.csv`` of a prepared training set: where every sample came from.

A row per sample, splits one after the other and each in the order of its samples. Columns are
known by name; ``docs/formats.md`` describes them.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.layout import SPLITS
from bodycomp.errors import TrainingSetError

MANIFEST_NAME: Final = "manifest.csv"
DIGEST_BYTES: Final = 16
_HINT: Final = "Prepare the set again, or remove the manifest if the set was changed by hand."

REQUIRED_COLUMNS: Final = ("split", "index", "patient")


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """Where one sample came from; the fields are the columns, as in ``docs/formats.md``.

    ``turn`` says how the slice was turned to the standard view: words of ``transpose``,
    ``flip_rows`` and ``flip_columns``, in this order. Digests are SHA-256 of the source's file and
    ``pixel_digest`` of image and labels. ``source_file`` is empty unless identifiers were asked
    for. ``source_case`` and ``source_split`` are a published data set's own words for the case and
    its split or fold.
    """

    split: str
    index: int
    patient: str
    series_instance_uid: str
    sop_instance_uid: str
    slice_index: int
    z_mm: float
    row_spacing_mm: float
    column_spacing_mm: float
    source_rows: int
    source_columns: int
    turn: str
    source_digest: str
    image_digest: str
    labels_digest: str = ""
    source_file: str = ""
    source_case: str = ""
    source_split: str = ""


COLUMNS: Final = tuple(field.name for field in fields(ManifestRow))


@dataclass(frozen=True, eq=False)
class Manifest:
    """A manifest as read.

    Attributes:
        columns: Name -> the cells of all rows as text.
    """

    columns: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.columns["split"])

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def of(self, split: str) -> Manifest:
        """Return the rows of one split in the order of its samples."""
        rows = [i for i, name in enumerate(self.columns["split"]) if name == split]
        return Manifest({key: tuple(cells[i] for i in rows) for key, cells in self.columns.items()})

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the cells of a column.

        Raises:
            TrainingSetError: There is no such column.
        """
        if name not in self.columns:
            raise TrainingSetError(
                f"{MANIFEST_NAME}: expected a column {name}, found {', '.join(self.columns)}",
                hint=_HINT,
            )
        return self.columns[name]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as numbers, NaN for empty cells.

        Raises:
            TrainingSetError: There is no such column, or a cell is not a number.
        """
        values = np.full(len(self), np.nan)
        for row, cell in enumerate(self.texts(name)):
            try:
                values[row] = float(cell) if cell else np.nan
            except ValueError as error:
                raise TrainingSetError(
                    f"{MANIFEST_NAME}, row {row}, column {name}: expected a number, found {cell!r}",
                    hint=_HINT,
                ) from error
        return values


class ManifestWriter:
    """Context manager that writes ``manifest.csv`` row by row into a folder being made."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / MANIFEST_NAME

    def __enter__(self) -> Self:
        self._stream = self._path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._stream, lineterminator="\n")
        self._rows.writerow(COLUMNS)
        return self

    def append(self, row: ManifestRow) -> None:
        """Add the row of one sample."""
        self._rows.writerow([_cell(getattr(row, name)) for name in COLUMNS])

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def read_manifest(data_dir: Path) -> Manifest | None:
    """Read the manifest of a training set; None where there is none.

    Raises:
        TrainingSetError: It cannot be read, a column is missing, or its indices do not count the
            samples of each split from 0.
    """
    path = data_dir / MANIFEST_NAME
    if not path.is_file():
        return None
    lines = _lines(path)
    header = tuple(name.strip() for name in next(lines, ()))
    missing = [name for name in REQUIRED_COLUMNS if header.count(name) != 1]
    if missing:
        raise _damaged(f"expected one column {missing[0]}, found {', '.join(header) or 'none'}")
    shared: dict[str, str] = {}  # cells repeat: one text for all of them
    columns: list[list[str]] = [[] for _ in header]
    for number, row in enumerate(lines):
        if len(row) != len(header):
            raise _damaged(f"row {number}: expected {len(header)} cells, found {len(row)}")
        for cells, cell in zip(columns, row, strict=True):
            cells.append(shared.setdefault(cell, cell))
    manifest = Manifest(
        {name: tuple(cells) for name, cells in zip(header, columns, strict=True) if name}
    )
    _check_indices(manifest)
    return manifest


def pixel_digest(pixels: NDArray[Any]) -> str:
    """Return a digest of the values of an image or a mask, whatever its byte order.

    BLAKE2b of 16 bytes over the little-endian values, row by row.

    >>> grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    >>> pixel_digest(grey) == pixel_digest(np.asfortranarray(grey))
    True
    """
    values = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    return hashlib.blake2b(values.data, digest_size=DIGEST_BYTES).hexdigest()


def _lines(path: Path) -> Iterator[list[str]]:
    """Yield the lines that are not blank, one by one: a manifest may have 100,000."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from (line for line in csv.reader(stream, strict=True) if line)
    except (csv.Error, UnicodeDecodeError) as error:
        raise _damaged(f"expected a comma-separated table in UTF-8 ({error})") from error


def _check_indices(manifest: Manifest) -> None:
    following = dict.fromkeys(SPLITS, 0)
    splits: Sequence[str] = manifest.columns["split"]
    for row, (split, index) in enumerate(zip(splits, manifest.columns["index"], strict=True)):
        if split not in following:
            raise _damaged(f"row {row}: expected a split of {', '.join(SPLITS)}, found {split!r}")
        if index != str(following[split]):
            raise _damaged(
                f"row {row}: expected index {following[split]} of {split}, found {index!r}"
            )
        following[split] += 1


def _damaged(what: str) -> TrainingSetError:
    return TrainingSetError(f"{MANIFEST_NAME}, {what}", hint=_HINT)


def _cell(value: object) -> str:
    return repr(round(value, 6) + 0.0) if isinstance(value, float) else str(value)


def read_split_rows(data_dir: Path, split: str, samples: int) -> Manifest | None:
    """Read the rows of one split, None if there is no manifest.

    Raises:
        TrainingSetError: The manifest is damaged or lists another number of samples.
    """
    manifest = read_manifest(data_dir)
    rows = None if manifest is None else manifest.of(split)
    if rows is not None and len(rows) != samples:
        raise TrainingSetError(
            f"{data_dir / MANIFEST_NAME}: expected {samples} rows of {split}, found {len(rows)}",
            hint="Prepare the set again, or remove the manifest if the set was changed by hand.",
        )
    return rows
