"""Whose slice a sample of a segmentation set is and how large its pixels are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.manifest import MANIFEST_NAME, read_manifest
from bodycomp.errors import TrainingSetError

_SPACING_COLUMNS: Final = ("row_spacing_mm", "column_spacing_mm")


@dataclass(frozen=True, eq=False)
class SampleOrigins:
    """What the manifest of a set says of the samples of one split, if there is one.

    Attributes:
        patients: (sample,) pseudonyms; None without a manifest.
        spacing_mm: (sample, 2) between rows and between columns, NaN where not stated; None
            without a manifest or its columns.
    """

    patients: tuple[str, ...] | None = None
    spacing_mm: NDArray[np.float64] | None = None

    def patient(self, index: int) -> str | None:
        """Return whose sample it is, None if nothing says so."""
        return (self.patients[index] or None) if self.patients else None

    def pixel_spacing_mm(self, index: int) -> tuple[float, float] | None:
        """Return the distance between rows and between columns, None unless both are stated."""
        if self.spacing_mm is None or not (self.spacing_mm[index] > 0).all():
            return None
        row_mm, column_mm = self.spacing_mm[index]
        return float(row_mm), float(column_mm)


def read_origins(data_dir: Path, split: str, count: int) -> SampleOrigins:
    """Read what the manifest beside a split says of its samples.

    Raises:
        TrainingSetError: The manifest is damaged or lists another number of samples.
    """
    manifest = read_manifest(data_dir)
    if manifest is None:
        return SampleOrigins()
    rows = manifest.of(split)
    if len(rows) != count:
        raise TrainingSetError(
            f"{data_dir / MANIFEST_NAME}: expected {count} rows of {split}, found {len(rows)}",
            hint="Prepare the set again, or remove the manifest if the set was changed by hand.",
        )
    spacing = None
    if all(name in rows for name in _SPACING_COLUMNS):
        spacing = np.stack([rows.numbers(name) for name in _SPACING_COLUMNS], axis=1)
    return SampleOrigins(rows.texts("patient"), spacing)
