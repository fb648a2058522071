"""NIfTI volumes and label maps -> arrays on a grid in the patient, and label masks back to NIfTI.

NIfTI's world axes point to the patient's right, front and head (RAS); ``Grid`` and DICOM use
left, back and head (LPS), so x and y change sign.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import ImageError, InputNotFoundError, OutputError, SeriesError
from bodycomp.imaging.grid import RAS_TO_LPS, Grid, volume_on_grid
from bodycomp.imaging.label_map import LabelMap, as_labels
from bodycomp.imaging.nifti_forms import stated_affine
from bodycomp.imaging.square_field import AIR_HU
from bodycomp.imaging.volume import Volume
from bodycomp.storage import atomic_file

_SUFFIXES: Final = (".nii", ".nii.gz")
_DAMAGES: Final = (
    nib.filebasedimages.ImageFileError,
    nib.spatialimages.HeaderDataError,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    zlib.error,
)
_MM_PER_UNIT: Final = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}


def read_nifti_volume(path: Path) -> Volume:
    """Read a three-dimensional CT volume in HU from ``.nii`` or ``.nii.gz``.

    Axes in any order and direction are accepted; ``scl_slope`` and ``scl_inter`` are applied.

    Raises:
        InputNotFoundError: The file is not there.
        SeriesError: Not NIfTI or damaged; not 3-D; no orientation stated; what ``volume_on_grid``
            refuses.
    """
    image = _load(path)
    return volume_on_grid(_voxels(image, path), _grid(image, path), path.name)


def read_nifti_labels(path: Path) -> LabelMap:
    """Read a label map, or the mask of one structure.

    Raises:
        InputNotFoundError: The file is not there.
        SeriesError: Not NIfTI or damaged; not 3-D; no orientation stated; no whole numbers.
    """
    image = _load(path)
    return LabelMap(as_labels(_voxels(image, path), path.name), _grid(image, path))


def read_nifti_grid(path: Path) -> Grid:
    """Read where the voxels lie, without the voxels; raises as ``read_nifti_labels``."""
    return _grid(_load(path), path)


def write_nifti_labels(path: Path, volume: Volume, labels: NDArray[np.uint8]) -> None:
    """Write a (slice, row, column) label mask of a volume so that it lies on it in any viewer.

    Slices missing from an otherwise regular stack are filled with background, because NIfTI has
    one slice distance for the whole volume. The file is replaced in one step.

    Raises:
        ImageError: The mask has another shape.
        OutputError: No ``.nii`` or ``.nii.gz``, slices too uneven for it, or it cannot be written.
    """
    if labels.shape != volume.hu.shape:
        raise ImageError(f"expected a mask of shape {volume.hu.shape}, found {labels.shape}")
    _write(path, volume, labels, fill=0)


def write_nifti_volume(path: Path, volume: Volume) -> None:
    """Write the HU of a volume; missing slices are air, all else is as for labels."""
    _write(path, volume, volume.hu, fill=AIR_HU)


def _write(path: Path, volume: Volume, values: NDArray[Any], fill: float) -> None:
    if not path.name.endswith(_SUFFIXES):
        raise OutputError(f"expected a name that ends in .nii or .nii.gz, found {path.name}")
    planes, spacing_mm = _regular_planes(volume)
    grid = values
    if len(planes) <= planes[-1]:
        grid = np.full((planes[-1] + 1, *values.shape[1:]), fill, dtype=values.dtype)
        grid[planes] = values
    affine = RAS_TO_LPS @ Grid.of_volume(volume, spacing_mm).affine
    # As a view, columns first: a file holds voxels in the order in which a volume has them.
    image: Any = nib.Nifti1Image(grid.T, affine)  # type: ignore[no-untyped-call] # nibabel's own
    image.header.set_xyzt_units("mm")
    # A quaternion cannot shear, as the slices of a tilted gantry are sheared: no qform then.
    image.set_qform(affine, code="scanner" if volume.stack_direction is None else "unknown")
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
    except _DAMAGES as error:
        raise SeriesError(
            f"{path.name}: expected a NIfTI volume, cannot read it: {error}"
        ) from error
    if not isinstance(image, nib.Nifti1Pair):
        raise SeriesError(f"{path.name}: expected NIfTI, found {type(image).__name__}")
    return image


def _voxels(image: Any, path: Path) -> NDArray[Any]:
    try:
        values = np.asanyarray(image.dataobj)
    except _DAMAGES as error:
        raise SeriesError(f"{path.name}: voxels cannot be read ({error})") from error
    voxels: NDArray[Any] = values.reshape(_shape(image, path))
    return voxels


def _shape(image: Any, path: Path) -> tuple[int, int, int]:
    shape = tuple(int(n) for n in image.shape)
    shape = (*shape, 1) if len(shape) == 2 else shape  # a picture with its place in the patient
    if len(shape) < 3 or shape[3:] != (1,) * (len(shape) - 3):
        raise SeriesError(
            f"{path.name}: expected a 3-D volume, found shape {shape}",
            hint="Extract one volume first.",
        )
    return shape[0], shape[1], shape[2]


def _grid(image: Any, path: Path) -> Grid:
    """Return where the voxels lie.

    Raises:
        SeriesError: No orientation stated, two that contradict one another, not 3-D, or an affine
            that cannot be used.
    """
    header = image.header
    try:
        mm = np.diag([*[_MM_PER_UNIT[header.get_xyzt_units()[0]]] * 3, 1.0])
        forms = (header.get_sform(coded=True), header.get_qform(coded=True))
        sform, qform = (None if not code else mm @ affine for affine, code in forms)
        spacing_mm = mm[0, 0] * _stored_spacing(image)
        affine, notes = stated_affine(sform, qform, spacing_mm, path.name)
        return Grid(_shape(image, path), RAS_TO_LPS @ affine, notes)
    except KeyError as error:
        raise SeriesError(f"{path.name}: expected lengths in mm, m or um, found none") from error
    except SeriesError:
        raise
    except ImageError as error:
        raise SeriesError(f"{path.name}: {error.message}") from error
    except _DAMAGES as error:
        raise SeriesError(f"{path.name}: expected a place in its header, found {error}") from error


def _stored_spacing(image: Any) -> NDArray[np.float64]:
    """Return pixdim as it is stored: nibabel takes 1 for 0, and drops signs."""
    holder = image.file_map.get("header", image.file_map["image"])
    with holder.get_prepare_fileobj("rb") as stream:
        header = type(image.header).from_fileobj(stream, check=False)
    return np.asarray(header["pixdim"][1:4], np.float64)


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
