"""A CT volume in Hounsfield units with its place in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import ImageError

STANDARD_ORIENTATION: Final = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""Columns run to the patient's left, rows to the back (DICOM PS3.3 C.7.6.2.1.1)."""


@dataclass(frozen=True, eq=False)
class Volume:
    """Axial CT slices on their source pixel grid, ordered from feet to head.

    Attributes:
        hu: (slice, row, column), int16 or float32, Hounsfield units.
        pixel_spacing_mm: Distance between rows, distance between columns.
        slice_z_mm: (slice,), position of each slice along the patient's z axis, ascending.
        orientation: Direction cosines of a row's columns and of a column's rows in the patient's
            LPS frame (DICOM Image Orientation (Patient)), constant over the slices.
        first_pixel_mm: LPS position of the centre of pixel (0, 0) of the first slice.
        notes: What the reader of a volume file corrected; nothing identifying.

    Raises:
        ImageError: Shapes disagree, spacings are not positive, or z does not ascend.
    """

    hu: NDArray[np.int16] | NDArray[np.float32]
    pixel_spacing_mm: tuple[float, float]
    slice_z_mm: NDArray[np.float64]
    orientation: tuple[float, float, float, float, float, float] = STANDARD_ORIENTATION
    first_pixel_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.hu.ndim != 3 or 0 in self.hu.shape:
            raise ImageError(f"expected (slice, row, column) pixels, found shape {self.hu.shape}")
        if self.hu.dtype not in (np.dtype(np.int16), np.dtype(np.float32)):
            raise ImageError(f"expected int16 or float32 pixels, found {self.hu.dtype}")
        if self.slice_z_mm.shape != self.hu.shape[:1]:
            raise ImageError(
                f"expected one z position per slice ({self.hu.shape[0]}), "
                f"found shape {self.slice_z_mm.shape}"
            )
        if not np.all(np.isfinite(self.slice_z_mm)) or np.any(np.diff(self.slice_z_mm) <= 0):
            raise ImageError("expected slice positions that ascend from feet to head")
        if not all(np.isfinite(s) and s > 0 for s in self.pixel_spacing_mm):
            raise ImageError(f"expected positive pixel spacing, found {self.pixel_spacing_mm} mm")

    def __len__(self) -> int:
        return int(self.hu.shape[0])

    @property
    def slice_shape(self) -> tuple[int, int]:
        """Rows and columns of one slice."""
        return int(self.hu.shape[1]), int(self.hu.shape[2])

    @property
    def pixel_area_mm2(self) -> float:
        """Area of one pixel in mm2."""
        return self.pixel_spacing_mm[0] * self.pixel_spacing_mm[1]

    @property
    def slice_spacing_mm(self) -> float | None:
        """Median distance between neighbouring slices, None for a single slice."""
        return float(np.median(np.diff(self.slice_z_mm))) if len(self) > 1 else None

    def nearest_slice(self, z_mm: float) -> int:
        """Return the index of the slice nearest to ``z_mm``."""
        return int(np.argmin(np.abs(self.slice_z_mm - z_mm)))
