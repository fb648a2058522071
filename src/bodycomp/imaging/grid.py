"""Where the voxels of an array lie in the patient, and volumes made of such arrays.

Every format's affine is brought to one meaning here: array index -> millimetres in DICOM's patient
frame, whose axes point to the patient's left, back and head (LPS).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import ImageError, SeriesError
from bodycomp.imaging.hu_range import BLANK_HU, HU_HINT, why_not_hu
from bodycomp.imaging.volume import (
    MAX_OBLIQUITY_DEGREES,
    MAX_SHEAR_DEGREES,
    Volume,
    implausible_pixels,
    obliquity_degrees,
    tilt_note,
)

RAS_TO_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_SHEAR_TOLERANCE: Final = 1e-3
_INT16: Final = np.iinfo(np.int16)


@dataclass(frozen=True, eq=False)
class Grid:
    """The place of a three-dimensional array in the patient.

    Attributes:
        shape: Voxels along the array's axes, in the order in which they are stored.
        affine: (4, 4), array index -> LPS millimetres.
        notes: What the file's own statements were corrected by; nothing identifying.

    Raises:
        ImageError: The affine is not finite or an axis has no length.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not np.all(np.isfinite(self.affine)) or not np.all(self.spacing_mm > 0):
            raise ImageError(f"expected an invertible affine, found {self.affine.tolist()}")

    @classmethod
    def of_volume(cls, volume: Volume, slice_step_mm: float | None = None) -> Self:
        """Return the grid of a volume with axes (column, row, slice).

        Args:
            volume: Slices are taken as evenly spaced.
            slice_step_mm: Distance of the planes along z; the mean distance of slices if None.
        """
        row_mm, column_mm = volume.pixel_spacing_mm
        extent_mm = float(volume.slice_z_mm[-1] - volume.slice_z_mm[0])
        step_mm = extent_mm / (len(volume) - 1) if len(volume) > 1 else 1.0
        affine = np.eye(4)
        affine[:3, 0] = np.asarray(volume.orientation[:3]) * column_mm
        affine[:3, 1] = np.asarray(volume.orientation[3:]) * row_mm
        affine[:3, 2] = volume.step_per_z * (slice_step_mm or step_mm)
        affine[:3, 3] = (*volume.first_pixel_mm[:2], volume.slice_z_mm[0])
        rows, columns = volume.slice_shape
        return cls((columns, rows, len(volume)), affine)

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Distance of neighbouring voxels along each axis."""
        lengths: NDArray[np.float64] = np.linalg.norm(self.affine[:3, :3], axis=0)
        return lengths

    @property
    def directions(self) -> NDArray[np.float64]:
        """(3, 3) direction cosines, one column for each axis."""
        cosines: NDArray[np.float64] = self.affine[:3, :3] / self.spacing_mm
        return cosines

    def __str__(self) -> str:
        size = " x ".join(str(n) for n in self.shape)
        spacing = " x ".join(f"{s:.4g}" for s in self.spacing_mm)
        origin = ", ".join(f"{x:.2f}" for x in self.affine[:3, 3] + 0.0)
        axes = "; ".join(
            ", ".join(f"{x:.3g}" for x in np.round(axis, 4) + 0.0) for axis in self.directions.T
        )
        return (
            f"{size} voxels of {spacing} mm, first voxel at ({origin}) mm, "
            f"axes along ({axes}) in LPS"
        )


def volume_on_grid(values: NDArray[Any], grid: Grid, where: str) -> Volume:
    """Return CT values as a volume; axes are permuted and flipped, nothing is resampled.

    The slice axis is the one nearest to head-feet. Of the others the first counts columns, which
    is the order in which converters from DICOM write them. HU are int16 when all are whole
    numbers, else float32.

    Raises:
        SeriesError: Sheared, or further from axial than slices may be; values that cannot be HU.
    """
    hu, affine = _upright(values, grid, where)
    volume = _volume(_as_hu(hu, where), affine, where)
    tilt = () if volume.stack_direction is None else (tilt_note(volume.orientation),)
    return replace(volume, notes=(*grid.notes, *tilt))


def blank_volume(grid: Grid, where: str) -> Volume:
    """Return air alone on a grid: the place of a label map whose scan is not at hand."""
    hu, affine = _upright(np.full(grid.shape, BLANK_HU, np.int16), grid, where)
    return _volume(np.ascontiguousarray(hu), affine, where)


def _upright(
    values: NDArray[Any], grid: Grid, where: str
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return values as (slice, row, column) from feet to head, and (column, row, slice) -> LPS."""
    column_axis, row_axis, slice_axis = _axes(grid)
    _check_axial(grid, (column_axis, row_axis), where)
    turned = values.transpose(slice_axis, row_axis, column_axis)
    affine = grid.affine[:, [column_axis, row_axis, slice_axis, 3]]
    if affine[2, 2] < 0:
        affine[:, 3] += affine[:, 2] * (len(turned) - 1)
        affine[:, 2] *= -1
        turned = np.flip(turned, axis=0)
    return turned, affine


def _volume(
    hu: NDArray[np.int16] | NDArray[np.float32], affine: NDArray[np.float64], where: str
) -> Volume:
    column_mm, row_mm, _ = (float(n) for n in np.linalg.norm(affine[:3, :3], axis=0))
    a, b, c = (float(x) + 0.0 for x in affine[:3, 0] / column_mm)
    d, e, f = (float(x) + 0.0 for x in affine[:3, 1] / row_mm)
    x, y, z = (float(v) for v in affine[:3, 3])
    fault = implausible_pixels((row_mm, column_mm), hu.shape[1:])
    if fault is not None:
        raise SeriesError(
            f"{where}: {fault}",
            hint="Correct the unit or the voxel size in the header, or convert the series from "
            "DICOM again.",
        )
    direction = _stack_direction(affine, where)
    try:
        return Volume(
            hu=hu,
            pixel_spacing_mm=(row_mm, column_mm),
            slice_z_mm=z + affine[2, 2] * np.arange(len(hu)),
            orientation=(a, b, c, d, e, f),
            first_pixel_mm=(x, y, z),
            stack_direction=direction,
        )
    except ImageError as error:
        raise SeriesError(f"{where}: {error.message}") from error


def _axes(grid: Grid) -> tuple[int, int, int]:
    """Return the array axes that serve as column, row and slice index."""
    slice_axis = int(np.argmax(np.abs(grid.directions[2])))
    column_axis, row_axis = (axis for axis in range(3) if axis != slice_axis)
    return column_axis, row_axis, slice_axis


def _stack_direction(affine: NDArray[np.float64], where: str) -> tuple[float, float, float] | None:
    """Return the way of the table where slices are sheared along it, as with a tilted gantry.

    ``affine`` is (column, row, slice) -> LPS, slices headwards. None where all axes are
    perpendicular.
    """
    column, row, step = affine[:3, :3].T / np.linalg.norm(affine[:3, :3], axis=0)[:, None]
    shear = np.abs([column @ row, column @ step, row @ step])
    if shear.max() <= _SHEAR_TOLERANCE:
        return None
    if shear[0] > _SHEAR_TOLERANCE or step[2] < np.cos(np.radians(MAX_SHEAR_DEGREES)):
        raise SeriesError(
            f"{where}: expected perpendicular axes, or slices of a tilted gantry stacked along the "
            "patient's axis; found axes sheared in another way",
            hint="Resample the volume onto an upright grid first.",
        )
    x, y, z = (float(v) + 0.0 for v in step)
    return x, y, z


def _check_axial(grid: Grid, in_plane: tuple[int, int], where: str) -> None:
    cosines = grid.directions
    degrees = obliquity_degrees((*cosines[:, in_plane[0]], *cosines[:, in_plane[1]]))
    if degrees > MAX_OBLIQUITY_DEGREES:
        raise SeriesError(
            f"{where}: expected slices within {MAX_OBLIQUITY_DEGREES:.0f} degrees of axial, "
            f"found {degrees:.0f}",
            hint="Resample the volume onto an axial grid first.",
        )


def _as_hu(values: NDArray[Any], where: str) -> NDArray[np.int16] | NDArray[np.float32]:
    """Return values as HU, in the smaller of both types that holds them exactly enough."""
    if values.size == 0 or values.dtype.kind not in "iuf":
        raise SeriesError(f"{where}: expected numbers, found {values.dtype} {values.shape}")
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise _not_finite(values, where)
    fault = why_not_hu(values)
    if fault:
        raise SeriesError(f"{where}: {fault}", hint=HU_HINT)
    fits = low >= _INT16.min and high <= _INT16.max
    if fits and (values.dtype.kind in "iu" or bool(np.all(values == np.rint(values)))):
        return values.astype(np.int16, order="C")
    return values.astype(np.float32, order="C")


def _not_finite(values: NDArray[Any], where: str) -> SeriesError:
    """Return the refusal of NaN and infinity, which says how many there are and where.

    They are not taken for air: outside a field of view that is what they mean, but a scan that was
    masked has them in place of tissue.
    """
    wrong = ~np.isfinite(values)
    index, row, column = (int(n) for n in np.argwhere(wrong)[0])
    slices = int(np.count_nonzero(wrong.any(axis=(1, 2))))
    count = int(np.count_nonzero(wrong))
    return SeriesError(
        f"{where}: expected HU in every voxel, found NaN or infinity in {count} of {values.size} "
        f"({count / values.size:.1%}), on {slices} of {len(values)} slices, "
        f"{_beyond_circle(wrong)}; first at slice {index} from the feet (counted from 0), "
        f"row {row}, column {column}",
        hint="If these voxels lie outside the field of view, set them to air, -1024 HU, and save "
        "the volume again; if they take the place of tissue, use the scan before it was masked.",
    )


def _beyond_circle(wrong: NDArray[np.bool_]) -> str:
    """Return whether voxels lie outside the circle that touches the sides of every slice."""
    rows, columns = wrong.shape[1:]
    down, across = (np.abs(np.arange(n) - (n - 1) / 2) * 2 / n for n in (rows, columns))
    inside = wrong & (down[:, None] ** 2 + across**2 <= 1)
    count = int(np.count_nonzero(inside))
    which = f"{count} of them within" if count else "all of them outside"
    return f"{which} the circle of the field of view"
