"""Volume -> CT Image Storage files, byte for byte reproducible (phantom studies, tests)."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from bodycomp.dicom.attributes import Stack, decimal_string, series_dataset
from bodycomp.dicom.header import PixelFormat, SeriesHeader, Storage
from bodycomp.dicom.pixels import is_integral
from bodycomp.errors import OutputError
from bodycomp.imaging.volume import Volume

_CORONAL: Final = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
_RAW: Final = frozenset({Storage.EXPLICIT, Storage.IMPLICIT, Storage.DEFLATED})


def write_ct_series(folder: Path, volume: Volume, header: SeriesHeader) -> tuple[Path, ...]:
    """Write ``volume`` as one CT Image Storage file per slice.

    The folder may hold other series already; all files appear at the end or none does.

    Returns:
        The files, ordered like the volume's slices (feet to head).

    Raises:
        OutputError: A file of that name is there already, two slices get the same name, or the
            folder cannot be written.
    """
    headwards = header.first_instance == "feet"
    order = slice(None) if headwards else slice(None, None, -1)
    stack = Stack(
        hu=volume.hu[order],
        positions_mm=volume.first_pixels_mm[order],
        orientation=volume.orientation,
        pixel_spacing_mm=volume.pixel_spacing_mm,
        thickness_mm=volume.slice_spacing_mm,
    )
    files = _write(folder, stack, header)
    return files if headwards else files[::-1]


def write_localizer(
    folder: Path,
    image: NDArray[np.generic],
    header: SeriesHeader,
    *,
    pixel_spacing_mm: tuple[float, float],
    first_pixel_mm: tuple[float, float, float],
) -> Path:
    """Write a coronal scout view, as makers put it before the axial series of a study.

    Args:
        folder: Where to write; may hold other series already.
        image: (row, column) values, rows from head to feet, columns to the patient's left.
        header: Its ``image_type`` is replaced by ORIGINAL, PRIMARY, LOCALIZER.
        pixel_spacing_mm: Distance between rows, distance between columns.
        first_pixel_mm: LPS position of the centre of pixel (0, 0).

    Raises:
        OutputError: As for ``write_ct_series``.
    """
    stack = Stack(
        hu=np.asarray(image)[None],
        positions_mm=np.array([first_pixel_mm], dtype=np.float64),
        orientation=_CORONAL,
        pixel_spacing_mm=pixel_spacing_mm,
        thickness_mm=None,
    )
    header = replace(header, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    return _write(folder, stack, header)[0]


def _write(folder: Path, stack: Stack, header: SeriesHeader) -> tuple[Path, ...]:
    names = [header.file_name(number + 1) for number in range(len(stack.hu))]
    _check_names(folder, names)
    folder = folder.absolute()
    staging = (
        folder if folder.exists() else folder.parent
    ) / f".partial-{folder.name}-{os.getpid()}"
    try:
        staging.mkdir(parents=True)
        dataset = series_dataset(stack, header)
        for index, name in enumerate(names):
            _fill(dataset, index, stack, header)
            dataset.save_as(staging / name, enforce_file_format=True)
        _publish(staging, folder, names)
    except (OSError, RuntimeError) as error:  # RuntimeError: an image that a codec cannot take
        raise OutputError(f"cannot write DICOM files to {folder}: {error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return tuple(folder / name for name in names)


def _check_names(folder: Path, names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise OutputError("expected a file name of its own for every slice, found one twice")
    for name in names:
        if Path(name).name != name:
            raise OutputError(f"expected a plain file name, found {name!r}")
        if (folder / name).exists():
            raise OutputError(
                f"{folder / name} is there already", hint="Choose an empty folder or other names."
            )


def _publish(staging: Path, folder: Path, names: list[str]) -> None:
    """Move the finished files into place: the folder at once if it is new, else file by file."""
    if folder.exists():
        for name in names:
            (staging / name).replace(folder / name)
    else:
        staging.replace(folder)


def _fill(dataset: FileDataset, index: int, stack: Stack, header: SeriesHeader) -> None:
    """Set what differs from image to image, pixels included."""
    number = index + 1
    uid = header.instance_uid(number)
    position = [decimal_string(coordinate) for coordinate in stack.positions_mm[index]]
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID(uid)
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = position
    dataset.SliceLocation = position[2]
    storage = header.pixels.storage
    raw = storage in _RAW
    dataset.file_meta.TransferSyntaxUID = UID(storage.value) if raw else ExplicitVRLittleEndian
    dataset.add_new("PixelData", "OW", _stored(stack.hu[index], header.pixels).tobytes())
    if not raw:
        dataset.compress(UID(storage.value), generate_instance_uid=False)


def _stored(hu: NDArray[Any], pixels: PixelFormat) -> NDArray[Any]:
    """Return stored values (row, column), little endian 16 bit, clipped to the stored range."""
    dtype = "<i2" if pixels.signed else "<u2"
    if hu.dtype.kind in "iu" and pixels.slope_hu == 1 and is_integral(1, pixels.intercept_hu):
        values = hu.astype(np.int32) - int(pixels.intercept_hu)
    else:
        values = np.rint((hu.astype(np.float64) - pixels.intercept_hu) / pixels.slope_hu)
    clipped: NDArray[Any] = np.clip(values, pixels.lowest, pixels.highest).astype(dtype)
    return clipped
