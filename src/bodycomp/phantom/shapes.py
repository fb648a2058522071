"""Closed curves as tables of radius over angle, and how much of a pixel they cover.

Angles run from -pi to pi, 0 to the front, positive to the patient's left. A table has ``ANGLES``
bins, even in the "diamond angle" x / (|x| + |y|), which costs no arctangent per pixel; ``THETA``
holds the angle of each bin.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

ANGLES: Final = 1440


def _angle_table() -> Floats:
    diamond = ((np.arange(ANGLES) + 0.5) / ANGLES * 2 - 1) * 2
    left = np.where(np.abs(diamond) <= 1, diamond, np.sign(diamond) * (2 - np.abs(diamond)))
    table = np.asarray(np.arctan2(left, 1 - np.abs(diamond)), dtype=np.float32)
    table.setflags(write=False)
    return table


THETA: Final = _angle_table()
SIN: Final = np.sin(THETA)
COS: Final = np.cos(THETA)
BIN_WIDTH: Final = np.gradient(THETA)
"""Angle in radians that each bin stands for; they add up to a full turn."""
DEGREES: Final = np.abs(np.degrees(THETA)).astype(np.float32)
"""Angle away from the front, 0..180, alike on both sides."""


def angle_index(x: Floats, y: Floats) -> NDArray[np.intp]:
    """Return the table bin of each direction (x to the left, y to the back)."""
    total = np.abs(x)
    total += np.abs(y)
    total += np.float32(1e-6)
    diamond = x / total
    behind = np.copysign(np.float32(2.0), x)
    behind -= diamond
    diamond = np.where(y > 0, behind, diamond)
    diamond += np.float32(2.0)
    diamond *= np.float32(ANGLES / 4)
    index = diamond.astype(np.intp)
    np.minimum(index, ANGLES - 1, out=index)
    return index


def superellipse(half_width: float, front: float, back: float, power: float = 2.3) -> Floats:
    """Return the radii of an oval with different depth to the front and to the back, in mm."""
    depth = np.where(COS > 0, front, back)
    total = np.abs(SIN / half_width) ** power + np.abs(COS / depth) ** power
    return np.asarray(total ** (-1.0 / power), dtype=np.float32)


def ray_to_ellipse(x: float, y: float, half_width: float, half_depth: float) -> Floats:
    """Return where each ray leaves an ellipse at (x, y), 0 where it misses."""
    px, py = x / half_width, y / half_depth
    dx, dy = SIN / half_width, -COS / half_depth
    a = dx * dx + dy * dy
    b = dx * px + dy * py
    disc = b * b - a * (px * px + py * py - 1.0)
    hit = (b + np.sqrt(np.maximum(disc, 0.0))) / a
    return np.asarray(np.where((disc > 0) & (hit > 0), hit, 0.0), dtype=np.float32)


def ray_to_line(y: float, slope: float) -> Floats:
    """Return the distance along each ray to the line at depth ``y + slope * |x|``, far if none."""
    closing = -COS - slope * np.abs(SIN)
    distance = np.where(closing > 1e-3, y / np.maximum(closing, 1e-3), 1e4)
    return np.asarray(distance, dtype=np.float32)


def smooth_max(a: Floats, b: Floats, blend_mm: float) -> Floats:
    """Return the larger of two contours, rounded where they cross."""
    gap = np.maximum(blend_mm - np.abs(a - b), 0.0) / blend_mm
    return np.asarray(np.maximum(a, b) + gap * gap * (blend_mm / 4.0), dtype=np.float32)


def smooth_min(a: Floats, b: Floats, blend_mm: float) -> Floats:
    """Return the smaller of two contours, rounded where they cross."""
    return -smooth_max(-a, -b, blend_mm)


def plateau(value: Floats, low: float, high: float | Floats, ramp: float) -> Floats:
    """Return 1 between ``low`` and ``high``, falling smoothly to 0 over ``ramp`` at both ends."""
    rise = np.clip((value - low) / ramp + 0.5, 0.0, 1.0)
    fall = np.clip((high - value) / ramp + 0.5, 0.0, 1.0)
    step = rise * fall
    return np.asarray(step * step * (3.0 - 2.0 * step), dtype=np.float32)


def presence(value: float, low: float, high: float, ramp: float) -> float:
    """Return how much of a slab lies between ``low`` and ``high``; linear over ``ramp``."""
    rise = min(max((value - low) / ramp + 0.5, 0.0), 1.0)
    fall = min(max((high - value) / ramp + 0.5, 0.0), 1.0)
    return rise * fall


def knots(u: float, at: Sequence[float], values: Sequence[float]) -> float:
    """Interpolate a profile along the spine at the level coordinate ``u``; constant outside.

    >>> knots(15.5, (14, 15, 16), (1.0, 2.0, 4.0))
    3.0
    """
    right = bisect_right(at, u)
    if right == 0:
        return float(values[0])
    if right == len(at):
        return float(values[-1])
    share = (u - at[right - 1]) / (at[right] - at[right - 1])
    return float(values[right - 1] + share * (values[right] - values[right - 1]))


def wavy(rng: np.random.Generator, depth: float, waves: int = 5) -> Floats:
    """Return a random periodic factor around 1 with relative ``depth``, lower waves stronger."""
    factor = np.ones(ANGLES)
    for order in range(1, waves + 1):
        phase = rng.uniform(0, 2 * np.pi)
        factor += rng.normal(0, depth / order) * np.cos(order * THETA + phase)
    return np.asarray(np.clip(factor, 0.4, 1.8), dtype=np.float32)
