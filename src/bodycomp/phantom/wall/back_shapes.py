"""Outlines of the muscles beside the spine as closed curves, for varied patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d

from bodycomp.phantom.shapes import ANGLES, COS, SIN, THETA, Floats, angle_index, knots
from bodycomp.phantom.wall.wall_variety import MuscleShape


@dataclass(frozen=True, eq=False)
class MuscleOutline:
    """A muscle cut at one level: the curve ``radii`` (mm, over the angle) around (x, y).

    Positions are relative to the centre of the vertebral body: x to the left, y to the back.
    """

    side: float
    x: float
    y: float
    half_width: float
    half_depth: float
    radii: Floats
    shape: MuscleShape


def quadratus_place(u: float, scale: float, size: float) -> tuple[float, float, float, float]:
    """Return x, y, half width and half depth in mm of the standard quadratus lumborum at ``u``."""
    at = (12.3, 13, 14, 15, 16, 16.6)
    return (
        knots(u, (12.3, 13, 15, 16.6), (46, 52, 64, 74)) * scale,
        knots(u, (12.3, 15, 16.6), (28, 33, 33)) * scale,
        knots(u, at, (9, 14, 18, 22, 25, 24)) * size,
        knots(u, at, (3.5, 5, 6.5, 8, 8.5, 6)) * size,
    )


def muscle_outline(
    place: tuple[float, float, float, float], shape: MuscleShape, side: float, scale: float
) -> MuscleOutline:
    """Return one muscle from the standard one's ``place`` (x, y, half width, half depth in mm).

    ``side`` is 1 for the left and -1 for the right, ``scale`` the size of the skeleton.
    """
    x, y, wide, deep = place
    half_width = max(wide * shape.width, 0.5)
    front, back = max(deep * shape.front, 0.5), max(deep * shape.back, 0.5)
    turned = side * THETA + np.float32(np.radians(shape.angle_deg))
    sin, cos = np.sin(turned), np.cos(turned)
    depth = np.where(cos > 0, np.float32(front), np.float32(back))
    power = np.where(sin < 0, np.float32(shape.medial_power), np.float32(shape.power))
    total = np.abs(sin / half_width) ** power + np.abs(cos / depth) ** power
    radii = (total ** (-1.0 / power) * shape.wave).astype(np.float32)
    return MuscleOutline(
        side, side * (x + shape.dx * scale), y + shape.dy * scale, half_width,
        (front + back) / 2, radii, shape,
    )  # fmt: skip


def outline_reach(outline: MuscleOutline, ahead_mm: float, grow_mm: float) -> Floats:
    """Return where each ray of the trunk's polar frame leaves the muscle, 0 where it misses.

    ``ahead_mm`` is how far the trunk's centre lies before the vertebral body; the muscle is grown
    by ``grow_mm`` first.
    """
    radii = outline.radii + np.float32(grow_mm)
    x = (radii * SIN + np.float32(outline.x)).astype(np.float32)
    y = (np.float32(outline.y + ahead_mm) - radii * COS).astype(np.float32)
    reach = np.zeros(ANGLES, dtype=np.float32)
    np.maximum.at(reach, angle_index(x, y), np.hypot(x, y))
    return np.asarray(maximum_filter1d(reach, 3, mode="wrap"), dtype=np.float32)
