"""Which texture a patient's tissues have."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bodycomp.phantom.acquisition.texture import Positions, TissueTexture
from bodycomp.phantom.acquisition.texture_bank import NUMBERS, TILE, field_tile
from bodycomp.phantom.canvas import Canvas, Window
from bodycomp.phantom.content.content_variety import ContentVariety
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import Floats


class Texture(Protocol):
    """Fine and coarse texture of a slice for columns at ``x_mm`` and rows at ``y_mm``."""

    def fine(self, x_mm: Positions, y_mm: Positions, z_mm: float) -> Floats:
        """Return the fine texture, some 3 mm."""

    def coarse(self, x_mm: Positions, y_mm: Positions, z_mm: float) -> Floats:
        """Return the coarse texture, some 10 mm."""

    def bend(
        self, canvas: Canvas, window: Window, x_mm: Positions, y_mm: Positions, z_mm: float
    ) -> None:
        """Deform what will be painted in the window, if this patient is deformed."""


class BankTexture:
    """Immutable texture from shared tiles: other grain for each patient, and nothing to draw."""

    def __init__(self, content: ContentVariety) -> None:
        rng = np.random.default_rng([content.seed, 43])
        self._bank = content.bank
        self._fine, self._coarse = (int(k) for k in rng.integers(0, NUMBERS, 2))
        self._fine_step, self._coarse_step = (float(s) for s in rng.uniform(0.5, 0.9, 2))
        self._grain = float(rng.choice([1.6, 2.2, 3.2]))
        self._stretch = (1.0, 2.2)[int(rng.random() < 0.6)]
        self._warp_mm = content.warp_mm
        self._offset = rng.integers(0, TILE, 4)

    def fine(self, x_mm: Positions, y_mm: Positions, z_mm: float) -> Floats:
        """Return the fine texture, 1.5 to 4 mm."""
        tile = field_tile(self._bank, self._fine, self._grain)
        return self._cut(tile, self._fine_step, self._offset[:2], x_mm, y_mm, z_mm)

    def coarse(self, x_mm: Positions, y_mm: Positions, z_mm: float) -> Floats:
        """Return the coarse texture, 5 to 15 mm."""
        tile = field_tile(self._bank, self._coarse, 8.0, self._stretch)
        return self._cut(tile, self._coarse_step, self._offset[2:], x_mm, y_mm, z_mm)

    def bend(
        self, canvas: Canvas, window: Window, x_mm: Positions, y_mm: Positions, z_mm: float
    ) -> None:
        """Move positions by a smooth field with a correlation length of about 18 mm."""
        most = np.float32(3 * self._warp_mm)
        shifts = []
        for number in (self._fine, (self._coarse + 1) % NUMBERS):
            tile = field_tile(self._bank, number, 18.0)
            shift = self._cut(tile, 1.0, self._offset[1:3] + number, x_mm, y_mm, z_mm)
            shift *= np.float32(self._warp_mm)
            shifts.append(np.clip(shift, -most, most))
        canvas.warp(window, shifts[0], shifts[1], float(most))

    def _cut(
        self,
        tile: Floats,
        step: float,
        offset: NDArray[np.int64],
        x: Positions,
        y: Positions,
        z: float,
    ) -> Floats:
        """Mix two places of one tile that slide against each other along z."""
        rows, columns = (np.rint(at / step).astype(np.intp) for at in (y, x))
        slide = round(0.5 * z / step)
        first = tile.take((rows + offset[0]) % TILE, 0)
        first = first.take((columns + offset[1] + slide) % TILE, 1)
        second = tile.take((rows + offset[1] + 200 + slide) % TILE, 0)
        first += second.take((columns + offset[0] + 131) % TILE, 1)
        first *= np.float32(np.sqrt(0.5))
        return np.asarray(first, dtype=np.float32)


class OwnTexture(TissueTexture):
    """The standard patient's texture; nothing is deformed."""

    def bend(
        self, canvas: Canvas, window: Window, x_mm: Positions, y_mm: Positions, z_mm: float
    ) -> None:
        """Leave the canvas as it is."""


def tissue_texture(patient: PatientParameters, content: ContentVariety) -> Texture:
    """Return the patient's own texture, or for varied content one from its bank."""
    if content.varied:
        return BankTexture(content)
    return OwnTexture(patient.anatomy_seed)
