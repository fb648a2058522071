"""The written set is read again, before its folder gets its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.arrays import read_header, read_samples
from bodycomp.data.issues import as_error
from bodycomp.data.layout import (
    PATIENT_COLUMN,
    SPLITS,
    images_path,
    masks_path,
    png_path,
    table_path,
)
from bodycomp.data.manifest import Manifest, pixel_digest, read_manifest
from bodycomp.data.png import read_gray_png
from bodycomp.data.slice_set import read_table
from bodycomp.errors import OutputError
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE
from bodycomp.progress import StepProgress
from bodycomp.validation.check_splits import shared_between_splits

Pixels = tuple[NDArray[np.generic], NDArray[np.generic] | None]


def verify_set(folder: Path, *, with_masks: bool, progress: StepProgress) -> None:
    """Compare every sample with its digest, and check that splits share no patient and no image.

    Images of one grey level, such as slices of air, may be alike in several patients.

    Raises:
        OutputError: They differ; the set was damaged while it was written.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise _wrong("no manifest")
    images: dict[str, list[bytes | str | None]] = {}
    done = 0
    for split in SPLITS:
        rows = manifest.of(split)
        images[split] = []
        samples = (_masks if with_masks else _slices)(folder, split, rows)
        for index, (image, labels) in enumerate(samples):
            digest = pixel_digest(image)
            _compare(rows, "image_digest", index, digest, split)
            if labels is not None:
                _compare(rows, "labels_digest", index, pixel_digest(labels), split)
            images[split].append(None if image.min() == image.max() else digest)
            done += 1
            progress(done, len(manifest))
    patients = {split: manifest.of(split).texts("patient") for split in SPLITS}
    for what, keys in (("a patient", patients), ("an image", images)):
        for one, other, pairs in shared_between_splits(keys):
            raise _wrong(f"{what} in both {one} (sample {pairs[0][0]}) and {other} ({pairs[0][1]})")


def _masks(folder: Path, split: str, rows: Manifest) -> Iterator[Pixels]:
    paths = images_path(folder, split), masks_path(folder, split)
    if not len(rows) and not any(path.exists() for path in paths):
        return
    headers = [read_header(path) for path in paths]
    for path, header in zip(paths, headers, strict=True):
        if header.shape != (len(rows), *SEGMENTATION_SIZE, 1):
            raise _wrong(f"{path.name} of shape {header.shape} for {len(rows)} samples")
    for index in range(len(rows)):
        hu, labels = (
            read_samples(header, index, index + 1).reshape(SEGMENTATION_SIZE) for header in headers
        )
        yield hu, labels


def _slices(folder: Path, split: str, rows: Manifest) -> Iterator[Pixels]:
    path = table_path(folder, split)
    if not len(rows) and not path.exists():
        return
    table, issues = read_table(path, path.name, split)
    if table is None:
        raise as_error(issues[0], path)
    if table.column(PATIENT_COLUMN) != rows.texts("patient"):
        raise _wrong(f"other patients in {path.name} than in the manifest")
    for index in range(len(rows)):
        yield read_gray_png(png_path(folder, split, index)), None


def _compare(rows: Manifest, column: str, index: int, found: str, split: str) -> None:
    if rows.texts(column)[index] != found:
        raise _wrong(f"sample {index} of {split} with another {column} than in the manifest")


def _wrong(found: str) -> OutputError:
    return OutputError(
        f"expected the set as it was prepared, found {found} when it was read again",
        hint="Nothing was left. Remove the folder OUT.parts and try again; check the disk if it "
        "happens again.",
    )
