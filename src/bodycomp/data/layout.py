"""File names and column names of both training sets, and the digest of a set's files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from bodycomp.level_names import is_level_name

SPLITS: Final = ("train", "val", "test")
OPTIONAL_SPLITS: Final = ("test",)

PATIENT_COLUMN: Final = "PatientID"
SERIES_COLUMN: Final = "SeriesInstanceUID"
PLAIN_OFFSET_COLUMN: Final = "ZOffset"
"""Accepted for a training set of a single level."""

LABELS_NAME: Final = "labels.json"
"""Declares the label of pixels that are not annotated; see ``label_file``."""

PNG_NAME: Final = re.compile(r"(\d{6})\.png", re.ASCII)
MAX_SLICES: Final = 1_000_000
"""Six digits name no more."""


def images_path(data_dir: Path, split: str) -> Path:
    """Return where the CT slices of a segmentation split lie."""
    return data_dir / f"{split}_images.npy"


def masks_path(data_dir: Path, split: str) -> Path:
    """Return where the masks of a segmentation split lie."""
    return data_dir / f"{split}_masks.npy"


def segmentation_files(data_dir: Path) -> list[Path]:
    """Return the files of a segmentation set that are there."""
    arrays = (at(data_dir, split) for split in SPLITS for at in (images_path, masks_path))
    return [path for path in (*arrays, data_dir / LABELS_NAME) if path.exists()]


def png_folder(data_dir: Path, split: str) -> Path:
    """Return the folder of a slice-selection split's PNG files."""
    return data_dir / "images" / split


def png_name(index: int) -> str:
    """Return the file name of a slice.

    >>> png_name(12)
    '000012.png'
    """
    return f"{index:06d}.png"


def png_path(data_dir: Path, split: str, index: int) -> Path:
    """Return where slice ``index`` of a slice-selection split lies."""
    return png_folder(data_dir, split) / png_name(index)


def table_path(data_dir: Path, split: str) -> Path:
    """Return where the offsets of a slice-selection split lie."""
    return data_dir / "meta" / f"{split}.csv"


def offset_column(level: str) -> str:
    """Return the name of the column that holds a level's offsets in mm.

    >>> offset_column("L3")
    'ZOffset_L3'
    """
    return f"{PLAIN_OFFSET_COLUMN}_{level}"


def levels_of_columns(columns: Iterable[str]) -> dict[str, str]:
    """Return level -> column of every column that ``offset_column`` can name.

    >>> levels_of_columns(["PatientID", "ZOffset_umbilicus", "ZOffset", "ZOffset_L3 (second)"])
    {'umbilicus': 'ZOffset_umbilicus'}
    """
    begin = offset_column("")
    named = {name.removeprefix(begin): name for name in columns if name.startswith(begin)}
    return {level: name for level, name in named.items() if is_level_name(level)}


WHOLE_FILE_BYTES: Final = 256 * 2**20
SAMPLED_CHUNKS: Final = 256
CHUNK_BYTES: Final = 2**20


def data_digest(data_dir: Path, files: Iterable[Path], contents: Mapping[str, bytes]) -> str:
    """Return a SHA-256 over names, sizes and contents of a training set's files.

    Files above 256 MiB are read at 256 evenly spaced places of 1 MiB, first and last included.
    ``contents`` are digests of further contents that were read already, by name.
    """
    digest = hashlib.sha256()
    for name, content in sorted(contents.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    for path in sorted(files):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(data_dir).as_posix()}\0{size}\0".encode())
        with path.open("rb") as stream:
            if size <= WHOLE_FILE_BYTES:
                while chunk := stream.read(CHUNK_BYTES):
                    digest.update(chunk)
                continue
            for index in range(SAMPLED_CHUNKS):
                stream.seek((size - CHUNK_BYTES) * index // (SAMPLED_CHUNKS - 1))
                digest.update(stream.read(CHUNK_BYTES))
    return digest.hexdigest()
