"""What comparisons of images need beside their facts: kept in a file, so that memory stays flat."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.fingerprint import THUMBNAIL_SIDE, part_means
from bodycomp.data.pieces import read_into

GRAIN_SIDE: Final = 48
GRAIN_MARGIN: Final = 2
"""Grains are compared under shifts of up to so many pixels."""

ALIGNED_SIDE: Final = 24

_GRAIN: Final = GRAIN_SIDE + 2 * GRAIN_MARGIN
DETAIL: Final = np.dtype(
    [
        ("known", "u1"),
        ("thumbnail", "<f2", (THUMBNAIL_SIDE, THUMBNAIL_SIDE)),
        ("grain", "i1", (_GRAIN, _GRAIN)),
        ("aligned", "<f2", (ALIGNED_SIDE, ALIGNED_SIDE)),
    ]
)
"""Per image, in grey levels 0..255 of the window 40/400: means of 32 x 32 parts; half the
Laplacian of the 52 x 52 pixels in the middle, which is mostly noise and so the image's own; and the
24 x 24 parts of the body's box, less their mean and in units of their standard deviation."""


def describe_details(
    image: NDArray[Any], box: tuple[int, int, int, int], grey_per_unit: float
) -> np.void:
    """Return ``DETAIL`` of a windowed image.

    Args:
        image: (row, column), 0 where black.
        box: First and last row, first and last column of the body.
        grey_per_unit: Grey levels 0..255 per unit of the image.
    """
    detail: np.void = np.zeros(1, DETAIL)[0]
    step = max(1, (min(image.shape) // 256) ** 2)  # a part then has 64 pixels
    coarse = image[::step]
    means = part_means(coarse, THUMBNAIL_SIDE) * np.float32(grey_per_unit)
    top, bottom, left, right = box
    body = coarse[top // step : bottom // step + 1, left : right + 1]
    if min(body.shape) >= ALIGNED_SIDE:
        parts = part_means(body, ALIGNED_SIDE)
        detail["aligned"] = (parts - parts.mean()) / max(float(parts.std()), 1e-3)
    if means.shape == (THUMBNAIL_SIDE, THUMBNAIL_SIDE) and min(image.shape) >= _GRAIN + 2:
        detail["thumbnail"] = means
        detail["grain"] = _grain(image, grey_per_unit)
        detail["known"] = 1
    return detail


def _grain(image: NDArray[Any], grey_per_unit: float) -> NDArray[np.float32]:
    rows, columns = ((side - _GRAIN) // 2 - 1 for side in image.shape)
    middle = image[rows : rows + _GRAIN + 2, columns : columns + _GRAIN + 2].astype(np.float32)
    laplacian = 4 * middle[1:-1, 1:-1] - middle[:-2, 1:-1] - middle[2:, 1:-1]
    laplacian -= middle[1:-1, :-2] + middle[1:-1, 2:]
    scaled = np.rint(laplacian * np.float32(grey_per_unit / 2))
    clipped: NDArray[np.float32] = np.clip(scaled, -127, 127)
    return clipped


class DetailStore:
    """``DETAIL`` of many images in a file without a name; threads may write at once.

    Args:
        count: Number of images; those never written read as zeros.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._file = tempfile.TemporaryFile(prefix="bodycomp-")  # noqa: SIM115 - closed by __exit__
        self._file.truncate(count * DETAIL.itemsize)

    def __len__(self) -> int:
        return self._count

    def write(self, index: int, detail: np.void) -> None:
        """Keep the details of one image."""
        os.pwrite(self._file.fileno(), detail.tobytes(), index * DETAIL.itemsize)

    def read(self, start: int, stop: int) -> NDArray[np.void]:
        """Return the details of images ``start`` to ``stop``."""
        details = np.empty(stop - start, DETAIL)
        if len(details):
            read_into(self._file.fileno(), start * DETAIL.itemsize, details.view(np.uint8))
        return details

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
