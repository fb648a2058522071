"""NIfTI volumes in Hounsfield units -> Volume, and label masks back to NIfTI.

NIfTI's world axes point to the patient's right, front and head (RAS); ``Volume`` and DICOM use
left, back and head (LPS), so x and y change sign. Array axes are permuted and the slice axis is
flipped where it runs to the feet; nothing is resampled.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import ImageError, InputNotFoundError, OutputError, SeriesError
from bodycomp.imaging.axial import MAX_OBLIQUITY_DEGREES, obliquity_degrees, slice_normal
from bodycomp.imaging.volume import Volume
from bodycomp.storage import atomic_file

_RAS_TO_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_SUFFIXES: Final = (".nii", ".nii.gz")
_MM_PER_UNIT: Final = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
_SHEAR_TOLERANCE: Final = 1e-3
_AIR_BELOW_HU: Final = -200.0
_INT16: Final = np.iinfo(np.int16)


def read_nifti_volume(path: Path) -> Volume:
    """Read a three-dimensional CT volume in HU from ``.nii`` or ``.nii.gz``.

    Axes in any order and direction are accepted. Values are scaled by ``scl_slope`` and
    ``scl_inter``; HU are int16 when all are whole numbers, else float32.

    Raises:
        InputNotFoundError: The file is not there.
        SeriesError: Not NIfTI or damaged; not 3-D; no orientation stated; sheared, or further from
            axial than DICOM slices may be; values that cannot be HU.
    """
    image = _load(path)
    affine = _lps_affine(image, path)
    try:
        values = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError) as error:
        raise SeriesError(f"{path.name}: voxels cannot be read ({error})") from error
    if values.ndim > 3 and values.shape[3:] == (1,) * (values.ndim - 3):
        values = values.reshape(values.shape[:3])
    if values.ndim != 3:
        raise SeriesError(
            f"{path.name}: expected a 3-D volume, found shape {values.shape}",
            hint="Extract one volume first.",
        )
    column_axis, row_axis, slice_axis = _axes(affine)
    hu = _as_hu(values.transpose(slice_axis, row_axis, column_axis), path)
    return _volume(hu, affine[:, [column_axis, row_axis, slice_axis, 3]], path)


def read_nifti_labels(path: Path, volume: Volume) -> NDArray[np.uint8]:
    """Read a label mask that lies on ``volume``, as ``write_nifti_labels`` wrote it.

    Returns:
        (slice, row, column) labels on the volume's grid.

    Raises:
        InputNotFoundError: The file is not there.
        SeriesError: Not NIfTI or damaged, or its grid is not that of the volume.
    """
    image = _load(path)
    planes, spacing_mm = _regular_planes(volume)
    expected = _volume_affine(volume, spacing_mm)
    shape = (*volume.hu.shape[:0:-1], planes[-1] + 1)
    if image.shape != shape or not np.allclose(_lps_affine(image, path), expected, atol=1e-2):
        raise SeriesError(
            f"{path.name}: expected a mask of {shape} voxels on the grid of the volume, "
            f"found {image.shape} voxels or another place in the patient"
        )
    grid = np.asarray(image.dataobj, dtype=np.uint8)
    return np.ascontiguousarray(grid.transpose(2, 1, 0)[planes])


def write_nifti_labels(path: Path, volume: Volume, labels: NDArray[np.uint8]) -> None:
    """Write a label mask so that it lies on the volume in any viewer.

    Slices missing from an otherwise regular stack are filled with background, because NIfTI has
    one slice distance for the whole volume.

    Args:
        path: ``.nii`` or ``.nii.gz``; replaced in one step if it is there.
        volume: The volume that was labelled.
        labels: (slice, row, column), the volume's shape.

    Raises:
        ImageError: The mask has another shape.
        OutputError: Another suffix, slices too uneven for NIfTI, or the file cannot be written.
    """
    if labels.shape != volume.hu.shape:
        raise ImageError(f"expected a mask of shape {volume.hu.shape}, found {labels.shape}")
    if not path.name.endswith(_SUFFIXES):
        raise OutputError(f"expected a name that ends in .nii or .nii.gz, found {path.name}")
    planes, spacing_mm = _regular_planes(volume)
    grid = np.zeros((*labels.shape[:0:-1], planes[-1] + 1), dtype=np.uint8)
    grid[:, :, planes] = labels.transpose(2, 1, 0)
    affine = _RAS_TO_LPS @ _volume_affine(volume, spacing_mm)
    image: Any = nib.Nifti1Image(grid, affine)  # type: ignore[no-untyped-call] # nibabel's own
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code="scanner")
    image.set_sform(affine, code="scanner")
    try:
        with atomic_file(path) as temporary:
            # nibabel compresses by suffix, and the temporary name has another one.
            data = image.to_bytes()
            gzipped = path.suffix == ".gz"
            temporary.write_bytes(gzip.compress(data, 1, mtime=0) if gzipped else data)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error}") from error


def _load(path: Path) -> Any:
    if not path.is_file():
        raise InputNotFoundError(f"expected a NIfTI file, found nothing at {path}")
    try:
        image = nib.load(path)
    except (nib.filebasedimages.ImageFileError, OSError, EOFError, ValueError) as error:
        raise SeriesError(f"{path.name}: expected a NIfTI volume, found {error}") from error
    if not isinstance(image, nib.Nifti1Pair):
        raise SeriesError(f"{path.name}: expected NIfTI, found {type(image).__name__}")
    return image


def _lps_affine(image: Any, path: Path) -> NDArray[np.float64]:
    """Return the 4 x 4 matrix from array index to LPS millimetres.

    Raises:
        SeriesError: No orientation stated, an unknown unit, sheared axes or non-axial slices.
    """
    header = image.header
    if int(header["qform_code"]) == 0 and int(header["sform_code"]) == 0:
        raise SeriesError(
            f"{path.name}: expected qform or sform, found neither: left and right are unknown",
            hint="Convert the series from DICOM again.",
        )
    affine = _RAS_TO_LPS @ np.asarray(image.affine, dtype=np.float64)
    affine[:3] *= _MM_PER_UNIT[header.get_xyzt_units()[0]]
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.all(np.isfinite(affine)) or np.any(lengths <= 0):
        raise SeriesError(f"{path.name}: expected an invertible affine, found {affine.tolist()}")
    cosines = affine[:3, :3] / lengths
    if np.abs(cosines.T @ cosines - np.eye(3)).max() > _SHEAR_TOLERANCE:
        raise SeriesError(
            f"{path.name}: expected perpendicular axes, found sheared ones, as with gantry tilt",
            hint="Resample the volume onto an upright grid first.",
        )
    column_axis, row_axis, _ = _axes(affine)
    degrees = obliquity_degrees((*cosines[:, column_axis], *cosines[:, row_axis]))
    if degrees > MAX_OBLIQUITY_DEGREES:
        raise SeriesError(
            f"{path.name}: expected slices within {MAX_OBLIQUITY_DEGREES:.0f} degrees of axial, "
            f"found {degrees:.0f}",
            hint="Resample the volume onto an axial grid first.",
        )
    return affine


def _axes(affine: NDArray[np.float64]) -> tuple[int, int, int]:
    """Return the array axes that serve as column, row and slice index.

    The slice axis is the one nearest to head-feet. Of the others the first counts columns, which
    is the order in which converters from DICOM write them.
    """
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    slice_axis = int(np.argmax(np.abs(affine[2, :3] / lengths)))
    column_axis, row_axis = (axis for axis in range(3) if axis != slice_axis)
    return column_axis, row_axis, slice_axis


def _volume(
    hu: NDArray[np.int16] | NDArray[np.float32], affine: NDArray[np.float64], path: Path
) -> Volume:
    """Build the volume from (slice, row, column) HU and a (column, row, slice) affine, LPS."""
    if affine[2, 2] < 0:
        affine = affine.copy()
        affine[:, 3] += affine[:, 2] * (len(hu) - 1)
        affine[:, 2] *= -1
        hu = np.flip(hu, axis=0)
    column_mm, row_mm, _ = (float(n) for n in np.linalg.norm(affine[:3, :3], axis=0))
    a, b, c = (float(x) + 0.0 for x in affine[:3, 0] / column_mm)
    d, e, f = (float(x) + 0.0 for x in affine[:3, 1] / row_mm)
    x, y, z = (float(v) for v in affine[:3, 3])
    try:
        return Volume(
            hu=hu,
            pixel_spacing_mm=(row_mm, column_mm),
            slice_z_mm=z + affine[2, 2] * np.arange(len(hu)),
            orientation=(a, b, c, d, e, f),
            first_pixel_mm=(x, y, z),
        )
    except ImageError as error:
        raise SeriesError(f"{path.name}: {error.message}") from error


def _as_hu(values: NDArray[Any], path: Path) -> NDArray[np.int16] | NDArray[np.float32]:
    """Return values as HU, in the smaller of both types that holds them exactly enough.

    Raises:
        SeriesError: Empty, complex or not finite, or no air: a CT slice has air around the body.
    """
    if values.size == 0 or values.dtype.kind not in "iuf":
        raise SeriesError(f"{path.name}: expected numbers, found {values.dtype} {values.shape}")
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise SeriesError(f"{path.name}: expected HU, found NaN or infinity")
    if low > _AIR_BELOW_HU:
        raise SeriesError(
            f"{path.name}: expected HU with air far below {_AIR_BELOW_HU:.0f}, "
            f"found values from {low:g} to {high:g}",
            hint="Store the CT values themselves, not windowed, scaled or shifted ones.",
        )
    fits = low >= _INT16.min and high <= _INT16.max
    if fits and (values.dtype.kind in "iu" or bool(np.all(values == np.rint(values)))):
        return values.astype(np.int16, order="C")
    return values.astype(np.float32, order="C")


def _regular_planes(volume: Volume) -> tuple[NDArray[np.intp], float]:
    """Return each slice's plane in a regular stack, and the distance of its planes along z.

    Raises:
        OutputError: No regular stack holds the slices within a tenth of their distance.
    """
    z_mm = volume.slice_z_mm
    if len(z_mm) == 1:
        return np.zeros(1, dtype=np.intp), 1.0
    step_mm = np.percentile(np.diff(z_mm), 50, method="lower")  # one that occurs
    planes = np.rint((z_mm - z_mm[0]) / step_mm).astype(np.intp)
    spacing_mm = float((z_mm[-1] - z_mm[0]) / max(int(planes[-1]), 1))
    off_mm = np.abs(planes * spacing_mm - (z_mm - z_mm[0])).max()
    if np.any(np.diff(planes) < 1) or off_mm > 0.1 * spacing_mm:
        raise OutputError(
            "expected evenly spaced slices for NIfTI, found distances from "
            f"{np.diff(z_mm).min():.2f} to {np.diff(z_mm).max():.2f} mm"
        )
    return planes, spacing_mm


def _volume_affine(volume: Volume, spacing_z_mm: float) -> NDArray[np.float64]:
    """Return the 4 x 4 matrix from (column, row, slice) index to LPS millimetres."""
    row_mm, column_mm = volume.pixel_spacing_mm
    normal = slice_normal(volume.orientation)
    affine = np.eye(4)
    affine[:3, 0] = np.asarray(volume.orientation[:3]) * column_mm
    affine[:3, 1] = np.asarray(volume.orientation[3:]) * row_mm
    affine[:3, 2] = normal * (spacing_z_mm / normal[2])
    affine[:3, 3] = (*volume.first_pixel_mm[:2], volume.slice_z_mm[0])
    return affine
