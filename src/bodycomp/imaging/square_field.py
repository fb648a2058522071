"""From a slice's source grid to the square field of view that the networks see, and back.

A slice is turned to the standard view. Where its field of view is no square, as with a matrix of
512 x 400 or pixels of 0.8 x 1.2 mm, the shorter side gets air at both ends, because a network's
input is a square: without it bodies would be stretched. Pixels are moved, none is interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import ImageError
from bodycomp.imaging.orientation import OrientationTransform, Pixel
from bodycomp.imaging.volume import Volume

AIR_HU: Final = -1024.0
"""Outside the scan. Padding below it would bleed into the body when an image is resized."""

MAX_ASPECT: Final = 10.0
"""No scanner's field of view is longer than this many widths; filled up, it would fill memory."""


@dataclass(frozen=True, slots=True)
class SquareField:
    """The way between a slice on its source grid and its square field in the standard view.

    Attributes:
        inner_shape: Rows and columns of the slice in the standard view.
        spacing_mm: Distance between rows and between columns in the standard view.
        shape: Rows and columns with the air. Where the sides differ by less than half a pixel it is
            ``inner_shape``, and images pass as they are, without a copy.

    >>> SquareField.of_grid((512, 400), (0.8, 0.8)).shape
    (512, 512)
    """

    turn: OrientationTransform
    inner_shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    shape: tuple[int, int]

    @classmethod
    def of_grid(
        cls,
        shape: tuple[int, int],
        spacing_mm: tuple[float, float],
        turn: OrientationTransform | None = None,
    ) -> Self:
        """Return the field of slices with this matrix and spacing on the source grid.

        Raises:
            ImageError: One side is more than ``MAX_ASPECT`` times as long as the other.
        """
        turn = turn or OrientationTransform()
        rows, columns = shape[::-1] if turn.transpose else shape
        row_mm, column_mm = spacing_mm[::-1] if turn.transpose else spacing_mm
        high_mm, wide_mm = rows * row_mm, columns * column_mm
        side_mm = max(high_mm, wide_mm)
        if side_mm > MAX_ASPECT * min(high_mm, wide_mm):
            raise ImageError(
                f"expected a field of view with sides of at most 1 to {MAX_ASPECT:g}, "
                f"found {wide_mm:.4g} x {high_mm:.4g} mm"
            )
        square = (_pixels(side_mm, rows, row_mm), _pixels(side_mm, columns, column_mm))
        return cls(turn, (rows, columns), (row_mm, column_mm), square)

    @classmethod
    def of_volume(cls, volume: Volume) -> Self:
        """Return the field of a volume's slices."""
        turn = OrientationTransform.from_orientation(volume.orientation)
        return cls.of_grid(volume.slice_shape, volume.pixel_spacing_mm, turn)

    def apply(self, image: NDArray[Pixel], fill: float = AIR_HU) -> NDArray[Pixel]:
        """Bring a (row, column) image from the source grid to the square in the standard view.

        Args:
            image: HU or labels.
            fill: Value of what is added: air, or 0 for labels.
        """
        turned = self.turn.apply(image)
        if self.shape == self.inner_shape:
            return turned
        square = np.full(self.shape, fill, dtype=image.dtype)
        square[self._inner] = turned
        return square

    def undo(self, image: NDArray[Pixel]) -> NDArray[Pixel]:
        """Bring a (row, column) image of the square back to the source grid, without the air."""
        return self.turn.undo(image[self._inner])

    def sample_spacing_mm(self, size: tuple[int, int]) -> tuple[float, float]:
        """Return the distance between rows and between columns once the square has this size."""
        (row_mm, column_mm), (rows, columns) = self.spacing_mm, self.shape
        return row_mm * rows / size[0], column_mm * columns / size[1]

    @property
    def _inner(self) -> tuple[slice, slice]:
        """Where the slice lies in the square: in the middle, or half a pixel before it."""
        top, left = ((s - n) // 2 for s, n in zip(self.shape, self.inner_shape, strict=True))
        rows, columns = self.inner_shape
        return slice(top, top + rows), slice(left, left + columns)


def _pixels(side_mm: float, count: int, spacing_mm: float) -> int:
    """Return how many pixels fill a side, never fewer than there are."""
    return count + max(0, round(side_mm / spacing_mm - count))
