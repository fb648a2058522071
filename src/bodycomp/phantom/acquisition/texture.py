"""Noise and tissue texture from small precomputed tiles.

A tile is a periodic random field of unit variance; slices cut it at positions that move with z, so
that neighbouring slices resemble each other (tissue) or do not (noise).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bodycomp.phantom.shapes import Floats

Positions = NDArray[np.floating]

_TILE: Final = 512
_NOISE_TILE: Final = 768


def periodic_field(rng: np.random.Generator, size: int, sigma: tuple[float, float]) -> Floats:
    """Return a periodic field of unit variance with Gaussian correlation of ``sigma`` pixels."""
    white = rng.standard_normal((size, size), dtype=np.float32)
    smooth = gaussian_filter(white, sigma, mode="wrap")
    smooth -= smooth.mean()
    smooth /= smooth.std()
    return np.asarray(smooth, dtype=np.float32)


class TissueTexture:
    """Immutable texture of one patient's tissues at two scales; millimetre grid, periodic."""

    def __init__(self, anatomy_seed: int) -> None:
        rng = np.random.default_rng([anatomy_seed, 8])
        self._fine = periodic_field(rng, _TILE, (2.0, 2.0))
        self._fine_z = periodic_field(rng, _TILE, (2.0, 2.0))
        self._coarse = periodic_field(rng, _TILE, (5.0, 11.0))
        self._coarse_z = periodic_field(rng, _TILE, (6.0, 9.0))

    def fine(self, x_mm: Positions, y_mm: Positions, z_mm: float) -> Floats:
        """Return the fine texture (about 3 mm) for columns at ``x_mm`` and rows at ``y_mm``."""
        return _mix(self._fine, self._fine_z, x_mm, y_mm, z_mm)

    def coarse(self, x_mm: Positions, y_mm: Positions, z_mm: float) -> Floats:
        """Return the coarse texture (about 10 mm)."""
        return _mix(self._coarse, self._coarse_z, x_mm, y_mm, z_mm)


def _mix(a: Floats, b: Floats, x_mm: Positions, y_mm: Positions, z_mm: float) -> Floats:
    step = 0.7
    first = a.take(_wrap(y_mm / step), 0).take(_wrap((x_mm + 0.4 * z_mm) / step), 1)
    second = b.take(_wrap((y_mm + 0.45 * z_mm) / step), 0).take(_wrap(x_mm / step), 1)
    first += second
    first *= np.float32(np.sqrt(0.5))
    return first


def _wrap(position: Positions) -> NDArray[np.intp]:
    return np.mod(np.rint(position).astype(np.intp), _TILE)


@lru_cache(maxsize=4)
def _noise_tiles(seed: int, sharpness: float) -> tuple[Floats, Floats]:
    """Return the grainy and the streaky noise tile of one scan (pure, kept for reuse)."""
    rng = np.random.default_rng([seed, 9])
    sigma = 1.15 - 0.65 * sharpness
    grain = periodic_field(rng, _NOISE_TILE, (sigma, sigma))
    broad = periodic_field(rng, _NOISE_TILE, (sigma * 3, sigma * 3))
    grain = grain - np.float32(0.35 * sharpness) * broad
    streak = periodic_field(rng, _NOISE_TILE, (0.8, 9.0))
    grain /= grain.std()
    for tile in (grain, streak):
        tile.setflags(write=False)
    return grain, streak


def scanner_noise(
    seed: int, sharpness: float, z_mm: float, shape: tuple[int, int], streakiness: float
) -> Floats:
    """Return (row, column) noise of unit variance for the slice at ``z_mm``.

    ``streakiness`` (0..1) is the share of horizontal streaks, as through shoulders and hips.
    """
    grain, streak = _noise_tiles(seed, sharpness)
    rng = np.random.default_rng([seed, round((z_mm + 10000.0) * 1000.0)])
    noise = _crop(grain, rng, shape) + _crop(grain, rng, shape)[::-1]
    noise *= np.float32(np.sqrt(0.5 * (1 - streakiness)))
    noise += _crop(streak, rng, shape) * np.float32(np.sqrt(streakiness))
    return noise


def _crop(tile: Floats, rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    row, column = rng.integers(0, _NOISE_TILE, 2)
    if max(shape) > _NOISE_TILE:
        rows = (row + np.arange(shape[0])) % _NOISE_TILE
        columns = (column + np.arange(shape[1])) % _NOISE_TILE
        return tile[np.ix_(rows, columns)]
    row, column = row % (_NOISE_TILE - shape[0] + 1), column % (_NOISE_TILE - shape[1] + 1)
    return tile[row : row + shape[0], column : column + shape[1]]
