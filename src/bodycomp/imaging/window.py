"""Window level and width: the range of Hounsfield units that is shown or fed to a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import UsageError

PNG_WHITE: Final = 255


@dataclass(frozen=True, slots=True)
class Window:
    """A linear window with clipping at both ends.

    ``level - width / 2`` becomes 0 and ``level + width / 2`` becomes 1. This is the LINEAR_EXACT
    function of DICOM PS3.3 C.11.2.1.3.2, not LINEAR, whose ends lie half a unit further in.

    Attributes:
        level_hu: Centre in HU.
        width_hu: Width in HU, positive.

    >>> float(SOFT_TISSUE(np.float32(40.0)))
    0.5
    """

    level_hu: float
    width_hu: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.level_hu) and np.isfinite(self.width_hu) and self.width_hu > 0):
            raise UsageError(
                f"expected a finite window level and a positive width, "
                f"found {self.level_hu} / {self.width_hu} HU"
            )

    @property
    def low_hu(self) -> float:
        """The HU value that becomes 0."""
        return self.level_hu - self.width_hu / 2

    @property
    def high_hu(self) -> float:
        """The HU value that becomes 1."""
        return self.level_hu + self.width_hu / 2

    def __call__(self, hu: NDArray[np.generic] | np.generic) -> NDArray[np.float32]:
        """Map HU of any shape to float32 in [0, 1]."""
        scaled = (np.asarray(hu, dtype=np.float32) - np.float32(self.low_hu)) / np.float32(
            self.width_hu
        )
        clipped: NDArray[np.float32] = np.clip(scaled, np.float32(0), np.float32(1))
        return clipped

    def to_gray(self, hu: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Map HU to 8-bit grey levels 0..255, rounded to the nearest (the PNG training format)."""
        gray: NDArray[np.uint8] = np.rint(self(hu) * np.float32(PNG_WHITE)).astype(np.uint8)
        return gray


SOFT_TISSUE: Final = Window(40.0, 400.0)
"""The window of both training formats: <= -160 HU is black, >= 240 HU is white."""
