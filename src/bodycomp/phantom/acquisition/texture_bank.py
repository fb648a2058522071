"""Tiles of texture that many patients share, each at a place, angle and scale of its own.

A new patient per training step cannot afford random fields of its own. A bank holds few tiles that
are drawn once; patients of another bank (the held-out anatomy) never see them. All tiles are
periodic with ``TILE`` pixels, and pure: the same bank and number give the same tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.phantom.acquisition.texture import periodic_field
from bodycomp.phantom.shapes import Floats

TILE: Final = 512
NUMBERS: Final = 6
"""How many tiles of a kind a bank holds."""


@lru_cache(maxsize=64)
def field_tile(bank: int, number: int, grain: float, stretch: float = 1.0) -> Floats:
    """Return a random field of unit variance; ``grain`` is its correlation length in pixels.

    ``stretch`` draws it out along the columns.
    """
    rng = np.random.default_rng([bank, number, round(grain * 100), round(stretch * 100)])
    tile = periodic_field(rng, TILE, (grain, grain * stretch))
    tile.setflags(write=False)
    return tile


@lru_cache(maxsize=32)
def septa_tile(bank: int, number: int, grain: float, stretch: float = 1.0) -> Floats:
    """Return the distance (pixels) to a web of thin curved lines about ``4 * grain`` apart.

    The lines are the zeros of a random field; its slope turns values into distances.
    """
    rng = np.random.default_rng([bank, number, 17, round(grain * 100)])
    nearest = np.full((TILE, TILE), 1e3, dtype=np.float32)
    for size in (grain, 1.7 * grain):
        field = periodic_field(rng, TILE, (size, size * stretch))
        down = np.roll(field, -1, 0) - np.roll(field, 1, 0)
        across = np.roll(field, -1, 1) - np.roll(field, 1, 1)
        slope = 0.5 * np.hypot(down, across) + np.float32(0.1 / size)
        np.minimum(nearest, np.abs(field) / slope, out=nearest)
    nearest.setflags(write=False)
    return nearest


@dataclass(frozen=True)
class Placing:
    """How a patient lays a tile over the body.

    Attributes:
        scale_per_mm: Tile pixels per mm.
        angle_deg: Direction of the tile's rows.
        x0: Offset in tile pixels; ``y0`` likewise.
        drift: Tile pixels that the pattern moves per mm along the body.
    """

    scale_per_mm: float
    angle_deg: float
    x0: float
    y0: float
    drift: float = 0.5

    def sample(self, tile: Floats, x_mm: Floats, y_mm: Floats, z_mm: float) -> Floats:
        """Return the tile's values at positions in mm (any shape)."""
        turn = np.radians(self.angle_deg)
        cos, sin = np.cos(turn) * self.scale_per_mm, np.sin(turn) * self.scale_per_mm
        column = x_mm * np.float32(cos) + y_mm * np.float32(sin)
        row = y_mm * np.float32(cos) - x_mm * np.float32(sin)
        column += np.float32((self.x0 + self.drift * z_mm) % TILE + 4 * TILE)
        row += np.float32((self.y0 + 0.6 * self.drift * z_mm) % TILE + 4 * TILE)
        index: NDArray[np.int32] = row.astype(np.int32) & (TILE - 1)
        index *= TILE
        index += column.astype(np.int32) & (TILE - 1)
        return tile.reshape(-1).take(index)


def draw_placing(rng: np.random.Generator, scale_per_mm: float) -> Placing:
    """Draw where and how a patient meets a tile."""
    x0, y0 = rng.uniform(0, TILE, 2)
    return Placing(
        scale_per_mm, float(rng.uniform(-180, 180)), float(x0), float(y0),
        float(rng.uniform(0.2, 1.0)),
    )  # fmt: skip
