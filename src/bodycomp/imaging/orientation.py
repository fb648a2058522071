"""Quarter turns and flips between a source pixel grid and the standard view.

The standard view has the patient's right on the left of the picture and the front on top.
Both networks are trained in it. The turn is exact: pixels move, none is interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import ImageError

Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True, slots=True)
class OrientationTransform:
    """Transpose first, then flip rows and columns: source grid -> standard view.

    >>> turn = OrientationTransform.from_orientation((0, 1, 0, 1, 0, 0))
    >>> turn.transpose
    True
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @classmethod
    def from_orientation(cls, orientation: Sequence[float]) -> Self:
        """Derive the turn from six direction cosines of a near-axial slice (LPS frame).

        Raises:
            ImageError: The slice is not within 45 degrees of axial.
        """
        along_row, along_column = np.asarray(orientation[:3]), np.asarray(orientation[3:])
        axis_of_row, axis_of_column = (
            int(np.argmax(np.abs(vector))) for vector in (along_row, along_column)
        )
        if {axis_of_row, axis_of_column} != {0, 1}:
            raise ImageError(f"expected an axial slice, found orientation {tuple(orientation)}")
        transpose = axis_of_row == 1
        to_left = along_column[0] if transpose else along_row[0]
        to_back = along_row[1] if transpose else along_column[1]
        return cls(transpose, flip_rows=bool(to_back < 0), flip_columns=bool(to_left < 0))

    def apply(self, image: NDArray[Pixel]) -> NDArray[Pixel]:
        """Turn the last two axes of ``image`` from the source grid to the standard view."""
        turned = np.swapaxes(image, -1, -2) if self.transpose else image
        return self._flip(turned)

    def undo(self, image: NDArray[Pixel]) -> NDArray[Pixel]:
        """Turn the last two axes of ``image`` from the standard view back to the source grid."""
        flipped = self._flip(image)
        return np.swapaxes(flipped, -1, -2) if self.transpose else flipped

    def _flip(self, image: NDArray[Pixel]) -> NDArray[Pixel]:
        rows = slice(None, None, -1) if self.flip_rows else slice(None)
        columns = slice(None, None, -1) if self.flip_columns else slice(None)
        return image[..., rows, columns]
