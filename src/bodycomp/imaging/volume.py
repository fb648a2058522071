"""A CT volume in Hounsfield units with its place in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import ImageError

MAX_OBLIQUITY_DEGREES: Final = 25.0
"""Beyond this a cross-section is no longer an axial one: areas grow by more than a tenth."""


MAX_SHEAR_DEGREES: Final = 1.0
"""Between the way from slice to slice and what it follows: the slices' normal, or with a tilted
gantry the patient's axis. Rounding and table sag stay below."""


def slice_normal(orientation: Sequence[float]) -> NDArray[np.float64]:
    """Return the unit normal of slices with these six direction cosines, pointing headwards.

    >>> slice_normal((1, 0, 0, 0, -1, 0)).tolist()
    [0.0, 0.0, 1.0]
    """
    normal = np.cross(np.asarray(orientation[:3], float), np.asarray(orientation[3:], float))
    length = np.linalg.norm(normal)
    # Adding zero turns -0.0 into 0.0.
    unit: NDArray[np.float64] = (-normal if normal[2] < 0 else normal) / length + 0.0
    return unit


def obliquity_degrees(orientation: Sequence[float]) -> float:
    """Return the angle between slices with these six direction cosines and the axial plane.

    >>> obliquity_degrees((1, 0, 0, 0, 0, -1))
    90.0
    """
    return float(np.degrees(np.arccos(np.clip(slice_normal(orientation)[2], 0.0, 1.0))))


def tilt_note(orientation: Sequence[float]) -> str:
    """Return the note on slices of a tilted gantry."""
    return (
        f"gantry tilted by {obliquity_degrees(orientation):.1f} degrees: areas are those on the "
        "tilted slices, positions those along the table"
    )


MIN_SLICES: Final = 10
"""Fewer cannot show how the score crosses zero at a level; such stacks are timing runs, dose
reports, biopsy steps or samples. Training a segmentation takes single slices all the same."""

TOO_FEW_HINT: Final = "Give the whole series; a level cannot be found in fewer slices."

STANDARD_ORIENTATION: Final = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""Columns run to the patient's left, rows to the back (DICOM PS3.3 C.7.6.2.1.1)."""


def too_few_slices(found: int, min_slices: int = MIN_SLICES) -> str | None:
    """Return why a stack has too few slices, None if it has enough.

    >>> too_few_slices(9)
    'expected at least 10 slices, found 9'
    """
    return f"expected at least {min_slices} slices, found {found}" if found < min_slices else None


_SMALLEST_PIXEL_MM: Final = 0.1
"""Scanners reconstruct fields of view of 5 cm or more in 512 columns, for ears and wrists."""
_WIDEST_FIELD_MM: Final = 1500.0
"""Bores of CT scanners are at most 0.9 m wide; resampled volumes may have a margin."""


def implausible_pixels(pixel_spacing_mm: Sequence[float], shape: tuple[int, int]) -> str | None:
    """Return why slices cannot be those of a patient in a CT scanner, None if they can.

    Lengths in cm, m or um that are stated or taken as mm show by it: areas would be a hundred
    times as small, or larger.

    >>> implausible_pixels((0.7, 0.7), (512, 512))
    >>> implausible_pixels((0.07, 0.07), (512, 512))
    'expected pixels of at least 0.1 mm, found 0.07 x 0.07 mm: are the lengths in mm?'
    """
    row_mm, column_mm = pixel_spacing_mm
    if min(row_mm, column_mm) < _SMALLEST_PIXEL_MM:
        expected = f"pixels of at least {_SMALLEST_PIXEL_MM} mm"
        found = f"{row_mm:.4g} x {column_mm:.4g} mm"
    elif max(row_mm * shape[0], column_mm * shape[1]) > _WIDEST_FIELD_MM:
        expected = f"slices of at most {_WIDEST_FIELD_MM:.0f} mm"
        found = f"{row_mm * shape[0]:.0f} x {column_mm * shape[1]:.0f} mm"
    else:
        return None
    return f"expected {expected}, found {found}: are the lengths in mm?"


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
        stack_direction: LPS direction, headwards, in which pixel (0, 0) moves from slice to slice;
            None for the slices' normal. With a tilted gantry it is that of the table.

    Raises:
        ImageError: Shapes disagree, spacings are not positive, or z does not ascend.
    """

    hu: NDArray[np.int16] | NDArray[np.float32]
    pixel_spacing_mm: tuple[float, float]
    slice_z_mm: NDArray[np.float64]
    orientation: tuple[float, float, float, float, float, float] = STANDARD_ORIENTATION
    first_pixel_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    notes: tuple[str, ...] = ()
    stack_direction: tuple[float, float, float] | None = None

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
        if self.stack_direction is not None and not self.stack_direction[2] > 0:
            raise ImageError(f"expected a headward stack, found direction {self.stack_direction}")

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

    @property
    def step_per_z(self) -> NDArray[np.float64]:
        """Way of pixel (0, 0) from slice to slice in LPS, per mm of z."""
        if self.stack_direction is None:
            direction = slice_normal(self.orientation)
        else:
            direction = np.asarray(self.stack_direction, np.float64)
        step: NDArray[np.float64] = direction / direction[2]
        return step

    @property
    def depth_per_z(self) -> float:
        """Distance of slices along their normal, per mm of z."""
        return float(self.step_per_z @ slice_normal(self.orientation))

    @property
    def first_pixels_mm(self) -> NDArray[np.float64]:
        """(slice, 3) LPS positions of pixel (0, 0)."""
        first = np.array([*self.first_pixel_mm[:2], self.slice_z_mm[0]])
        rise_mm = self.slice_z_mm - self.slice_z_mm[0]
        positions: NDArray[np.float64] = first + rise_mm[:, None] * self.step_per_z
        return positions

    def nearest_slice(self, z_mm: float) -> int:
        """Return the index of the slice nearest to ``z_mm``."""
        return int(np.argmin(np.abs(self.slice_z_mm - z_mm)))
