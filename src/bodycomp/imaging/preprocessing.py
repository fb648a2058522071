"""The one pipeline from Hounsfield units to a network's input, shared by training and running.

Both networks see the soft-tissue window of a slice's ``SquareField``, scaled to ``[0, input_max]``:

- segmentation:    HU -> size -> window -> float
- slice selection: HU -> window -> 8-bit grey -> size -> 8-bit grey -> float

Slice selection is quantised because its training format is an 8-bit PNG; the same rounding at
run time is what makes both arrays equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import ModelError
from bodycomp.imaging.resize import resize_gray, resize_image
from bodycomp.imaging.square_field import AIR_HU
from bodycomp.imaging.window import PNG_WHITE, SOFT_TISSUE, Window
from bodycomp.json_file import from_plain

SEGMENTATION_SIZE: Final = (512, 512)
SLICE_SELECTION_SIZE: Final = (256, 256)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a slice becomes a network's input.

    Attributes:
        quantised: Whether the windowed image is rounded to 8-bit grey levels.
        input_max: Value of white at the network's input: 1 for models trained here,
            255 for models of the earlier Keras implementation.
    """

    size: tuple[int, int]
    window: Window = SOFT_TISSUE
    quantised: bool = False
    input_max: float = 1.0

    def from_hu(self, hu: NDArray[np.generic]) -> NDArray[np.float32]:
        """Turn one (row, column) slice in HU, a ``SquareField``, into the network's input."""
        if self.quantised:
            return self.from_gray(self.window.to_gray(hu))
        if hu.shape != self.size:
            hu = resize_image(np.maximum(hu, np.float32(AIR_HU)), self.size)
        return self.window(hu) * np.float32(self.input_max)

    def from_gray(self, gray: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn one windowed 8-bit (row, column) image of any size into network input."""
        return self.scale_gray(resize_gray(gray, self.size))

    def scale_gray(self, gray: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn 8-bit images that have the network's size into network input, any leading axes."""
        return gray.astype(np.float32) * np.float32(self.input_max / PNG_WHITE)

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Self:
        """Rebuild from ``to_plain``.

        Raises:
            ModelError: A key is missing or a value has the wrong type.
        """
        try:
            found: Self = from_plain(cls, description, complete=True)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"model card: preprocessing cannot be read ({error!r})") from error
        return found


SEGMENTATION_PREPROCESSING: Final = Preprocessing(size=SEGMENTATION_SIZE)
SLICE_SELECTION_PREPROCESSING: Final = Preprocessing(size=SLICE_SELECTION_SIZE, quantised=True)
