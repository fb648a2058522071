"""Write a segmentation split slice by slice; memory does not grow with the split."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from bodycomp.data.naming import images_path, masks_path
from bodycomp.data.segmentation_set import SAMPLE_SHAPE
from bodycomp.errors import ImageError, OutputError
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE
from bodycomp.storage import atomic_file

LARGEST_LABEL: Final = 255


class SegmentationWriter:
    """Context manager that appends slices and masks; both files appear at its end, or neither.

    Args:
        data_dir: The training set; made if missing.
        split: One of ``SPLITS``.
        count: Number of samples that will be appended; None if not known beforehand.
        dtype: Type of the images on disk, signed integer of 16 bits or more, or floating point.

    Raises:
        OutputError: The split is there already, or fewer or more samples came than announced.
    """

    def __init__(
        self,
        data_dir: Path,
        split: str,
        count: int | None = None,
        *,
        dtype: DTypeLike = np.int16,
    ) -> None:
        self._paths = images_path(data_dir, split), masks_path(data_dir, split)
        self._dtypes = np.dtype(dtype), np.dtype(np.uint8)
        self._count = count
        self._appended = 0
        self._stack = ExitStack()
        self._streams: tuple[BinaryIO, ...] = ()

    def __enter__(self) -> Self:
        for path in self._paths:
            if path.exists():
                raise OutputError(
                    f"the training set has this file already: {path}",
                    hint="Name another folder, or remove the old split first.",
                )
        made = not self._paths[0].parent.exists()
        with ExitStack() as stack:
            if made:
                stack.callback(_remove_if_empty, self._paths[0].parent)
            # Entered in reverse: contexts end last in, first out, so that the masks appear before
            # the images and images never stand alone.
            temporary = [stack.enter_context(atomic_file(path)) for path in self._paths]
            self._streams = tuple(stack.enter_context(path.open("wb")) for path in temporary)
            self._write_headers()
            self._stack = stack.pop_all()
        return self

    def append(self, hu: NDArray[Any], labels: NDArray[Any]) -> None:
        """Add one sample.

        Args:
            hu: (512, 512) HU; rounded if the file holds integers.
            labels: (512, 512) labels, integers 0..255.

        Raises:
            ImageError: A shape is wrong, or a value does not fit the file's type.
            OutputError: More samples than announced.
        """
        if self._count is not None and self._appended >= self._count:
            raise OutputError(f"{self._paths[0].name}: expected {self._count} samples, got more")
        pixels = (_as_hu(hu, self._dtypes[0]), _as_labels(labels))
        for stream, values in zip(self._streams, pixels, strict=True):
            stream.write(np.ascontiguousarray(values).data)
        self._appended += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            if self._count not in (None, self._appended):
                raise OutputError(
                    f"{self._paths[0].name}: expected {self._count} samples, got {self._appended}"
                )
            for stream in self._streams:
                stream.seek(0)
            self._write_headers()

    def _write_headers(self) -> None:
        """Write both headers for what was appended; NumPy leaves room for a growing first axis."""
        for stream, dtype in zip(self._streams, self._dtypes, strict=True):
            header = {
                "descr": npy.dtype_to_descr(dtype),
                "fortran_order": False,
                "shape": (self._appended, *SAMPLE_SHAPE),
            }
            npy.write_array_header_1_0(stream, header)


def _as_hu(hu: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    _check_shape("an image", hu)
    if dtype.kind == "f":
        return hu.astype(dtype, copy=False)
    values = np.rint(hu) if hu.dtype.kind == "f" else hu
    limits = np.iinfo(dtype)
    low, high = values.min(), values.max()
    if not (low >= limits.min and high <= limits.max):  # also catches NaN
        raise ImageError(f"expected HU that fit {dtype}, found values from {low} to {high}")
    return values.astype(dtype, copy=False)


def _as_labels(labels: NDArray[Any]) -> NDArray[np.uint8]:
    _check_shape("a mask", labels)
    if labels.dtype.kind not in "iub" or labels.min() < 0 or labels.max() > LARGEST_LABEL:
        raise ImageError(f"expected integer labels 0..255, found {labels.dtype} values")
    return labels.astype(np.uint8, copy=False)


def _check_shape(what: str, array: NDArray[Any]) -> None:
    if array.shape != SEGMENTATION_SIZE:
        raise ImageError(f"expected {what} of 512 x 512 pixels, found shape {array.shape}")


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
