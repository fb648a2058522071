"""The varied scanner: noise with the spectrum of a kernel, and the artefacts of acquisition."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2
from scipy.ndimage import convolve1d

from bodycomp.phantom.acquisition.scanner_variety import ScannerVariety
from bodycomp.phantom.canvas import Canvas, Window
from bodycomp.phantom.scan import ScanParameters
from bodycomp.phantom.shapes import ANGLES, SIN, Floats, angle_index

_TILE: Final = 576
_METAL_HU: Final = 2000.0


@lru_cache(maxsize=4)
def _noise_tile(seed: int, scanner: ScannerVariety, pixel_mm: float) -> Floats:
    """Return a periodic tile of unit variance with the spectrum of the scanner's kernel."""
    rng = np.random.default_rng([seed, 29])
    fy = np.fft.fftfreq(_TILE, pixel_mm).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(_TILE, pixel_mm).astype(np.float32)[None]
    round_ = np.sqrt(fx * fx + fy * fy)
    power = _power(round_, scanner) * (1 - scanner.streaks)
    if scanner.streaks > 0.02:
        power += _power(np.sqrt(25 * fx * fx + fy * fy), scanner) * scanner.streaks
    if scanner.blotches:
        waxy = _power(round_ * np.float32(scanner.peak_per_mm / 0.045), scanner)
        power += scanner.blotches * (waxy - power)
    size = (2, *power.shape)
    real, imaginary = rng.standard_normal(size, dtype=np.float32)
    wave = np.sqrt(power) * (real + np.complex64(1j) * imaginary)
    tile = np.asarray(irfft2(wave, s=(_TILE, _TILE)), dtype=np.float32)
    tile /= tile.std()
    tile.setflags(write=False)
    return tile


def _power(frequency: Floats, scanner: ScannerVariety) -> Floats:
    """Return a spectrum that rises to the scanner's peak and falls behind it; its mean is 1."""
    relative = frequency * np.float32(1 / scanner.peak_per_mm)
    fall = np.exp(-((frequency * np.float32(1 / scanner.fall_per_mm)) ** scanner.steepness))
    power = (np.float32(scanner.floor) + np.minimum(relative, 3.0)) * fall
    power[0, 0] = 0.0
    return np.asarray(power / power.mean(), dtype=np.float32)


def kernel_noise(scan: ScanParameters, scanner: ScannerVariety, z_mm: float) -> Floats:
    """Return (row, column) noise of unit variance for the slice at ``z_mm``."""
    tile = _noise_tile(scan.noise_seed, scanner, scan.pixel_spacing_mm)
    rng = np.random.default_rng([scan.noise_seed, round((z_mm + 10000.0) * 1000.0)])
    noise = _crop(tile, rng, scan.matrix) + _crop(tile, rng, scan.matrix)[::-1]
    noise *= np.float32(np.sqrt(0.5))
    return noise


def _crop(tile: Floats, rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    row, column = rng.integers(0, _TILE, 2)
    if max(shape) <= _TILE:
        row, column = row % (_TILE - shape[0] + 1), column % (_TILE - shape[1] + 1)
        return tile[row : row + shape[0], column : column + shape[1]]
    rows, columns = np.arange(shape[0]) + row, np.arange(shape[1]) + column
    return tile[np.ix_(rows % _TILE, columns % _TILE)]


def shade(canvas: Canvas, window: Window, scan: ScanParameters, scanner: ScannerVariety) -> None:
    """Sharpen or blur edges, then add cupping and bias within the body's window."""
    hu = canvas.hu[window]
    if scanner.sharpen:
        soft = convolve1d(convolve1d(hu, _BINOMIAL, 0), _BINOMIAL, 1)
        hu += np.float32(scanner.sharpen) * (hu - soft)
    rows, columns = hu.shape
    down = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    across = np.linspace(-1, 1, columns, dtype=np.float32)[None]
    column = 0.5 * scanner.tilt_hu * across + scanner.cupping_hu * np.square(across)
    row = 0.5 * scanner.tilt_y_hu * down + scanner.cupping_hu * (np.square(down) - 1)
    dense = np.clip(hu * np.float32(0.002) + 1.2, 0.0, 1.0)
    hu += (row + column) * dense
    if scanner.ring_hu:
        hu += _rings(window, scan, scanner) * dense


_BINOMIAL: Final = np.array([1, 4, 6, 4, 1], dtype=np.float32) / 16


def _rings(window: Window, scan: ScanParameters, scanner: ScannerVariety) -> Floats:
    """Return rings around the gantry's axis, alike on every slice of a scan."""
    rng = np.random.default_rng([scan.noise_seed, 31])
    profile = rng.standard_normal(1024).astype(np.float32) * (rng.random(1024) < 0.15)
    profile = convolve1d(profile, np.array([0.5, 1, 0.5])) * np.float32(scanner.ring_hu)
    x = scan.first_pixel_mm[0] + scan.pixel_spacing_mm * np.arange(window[1].start, window[1].stop)
    y = scan.first_pixel_mm[1] + scan.pixel_spacing_mm * np.arange(window[0].start, window[0].stop)
    radius = np.sqrt(np.add.outer(np.square(y), np.square(x)).astype(np.float32))
    index: NDArray[np.int32] = np.minimum(radius / scan.pixel_spacing_mm, 1023).astype(np.int32)
    return np.asarray(profile.take(index), dtype=np.float32)


def dark_bands(
    canvas: Canvas, window: Window, scanner: ScannerVariety, noise_seed: int, strength: float
) -> None:
    """Add bands along the rows, as between arms, shoulders or hips, dark with bright rims."""
    rng = np.random.default_rng([noise_seed, 37])
    rows = window[0].stop - window[0].start
    at = np.arange(rows, dtype=np.float32) * np.float32(canvas.pixel_mm)
    profile = np.zeros(rows, dtype=np.float32)
    for _ in range(int(rng.integers(2, 9))):
        middle, width = rng.uniform(0, at[-1]), rng.uniform(2.0, 22.0)
        bump = np.exp(-np.square((at - np.float32(middle)) / np.float32(width)))
        profile -= np.float32(rng.uniform(-0.5, 1.0)) * bump
    hu = canvas.hu[window]
    dense = np.clip(hu * np.float32(0.002) + 1.2, 0.0, 1.0)
    dense *= np.float32(scanner.band_hu * strength) * profile[:, None]
    hu += dense


def metal_fans(canvas: Canvas, window: Window, noise_seed: int) -> None:
    """Add bright and dark rays around metal, stronger the more of it the slice cuts.

    Screws and rods, clips and coils are whatever exceeds ``_METAL_HU``; metal that lies apart, as
    in both hips, has a fan on either side.
    """
    hu = canvas.hu[window]
    rows, columns = np.nonzero(hu > _METAL_HU)
    if not rows.size:
        return
    rng = np.random.default_rng([noise_seed, 41])
    middle = columns.mean()
    apart = np.ptp(columns) * canvas.pixel_mm > 25.0
    groups = (columns <= middle, columns > middle) if apart else (columns >= 0,)
    dense = np.clip(hu * np.float32(0.002) + 1.2, 0.0, 1.0)
    change = np.zeros_like(hu)
    for group in groups:
        area_mm2 = np.count_nonzero(group) * canvas.pixel_mm**2
        if not area_mm2:
            continue
        depth_hu = min(2.5 * area_mm2, 160.0) * float(rng.uniform(0.2, 1.0))
        down = np.arange(hu.shape[0], dtype=np.float32)[:, None] - np.float32(rows[group].mean())
        across = np.arange(hu.shape[1], dtype=np.float32) - np.float32(columns[group].mean())
        x, y = np.broadcast_to(across, hu.shape), np.broadcast_to(down, hu.shape)
        rays = rng.standard_normal(ANGLES).astype(np.float32)
        rays = convolve1d(rays, np.ones(21, dtype=np.float32) / 21, mode="wrap") * 4
        rays -= np.square(SIN) ** 4  # darkest along the rows, where bodies are widest
        away_mm = np.sqrt(x * x + y * y) * np.float32(canvas.pixel_mm)
        change += rays.take(angle_index(x, y)) * np.float32(depth_hu) / (1 + away_mm / 30)
    hu += change * dense * (hu < _METAL_HU)
