"""Painting the trunk wall: skin, subcutaneous fat, fascia, muscle sheets, ribs and iliac wings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import MUSCLE, SUBCUTANEOUS_FAT
from bodycomp.phantom.canvas import Canvas, Ink, Window
from bodycomp.phantom.shapes import Floats, angle_index
from bodycomp.phantom.trunk import TrunkSection


@dataclass(frozen=True, eq=False)
class TrunkGrid:
    """Where each pixel of the body lies in the trunk's polar frame.

    ``radius`` and ``angle`` cover ``window``; ``cavity`` is a map of the whole slice: how much of a
    pixel is inside the cavity; ``fascia`` likewise for the muscle compartment.
    """

    window: Window
    radius: Floats
    angle: NDArray[np.int32]
    cavity: Floats
    fascia: Floats


def trunk_grid(canvas: Canvas, section: TrunkSection) -> TrunkGrid | None:
    """Lay the polar frame of ``section`` over the slice; None if the body is out of view."""
    reach = float(section.skin.max()) + 2.0
    window = canvas.window(section.x, section.y, reach, reach)
    if window is None:
        return None
    dx = canvas.x[window] - np.float32(section.x)
    dy = canvas.y[window] - np.float32(section.y)
    radius = np.sqrt(dx * dx + dy * dy)
    angle = angle_index(dx, dy)
    maps = []
    for table in (section.cavity, section.fascia):
        whole = np.zeros(canvas.hu.shape, dtype=np.float32)
        whole[window] = canvas.cover(radius - table[angle])
        maps.append(whole)
    return TrunkGrid(window, radius, angle, maps[0], maps[1])


def paint_covers(canvas: Canvas, section: TrunkSection, grid: TrunkGrid, fat_hu: float) -> None:
    """Paint skin, subcutaneous fat with its fascia, and fat between the muscles (label 0)."""
    radius, angle, window = grid.radius, grid.angle, grid.window
    cover = canvas.cover(radius - section.skin[angle])
    canvas.fill(window, cover, Ink(15.0))
    inside_skin = section.skin - np.float32(section.skin_mm)
    cover = canvas.cover(radius - inside_skin[angle])
    canvas.fill(window, cover, Ink(fat_hu, SUBCUTANEOUS_FAT.label, 5.0))
    middle = section.fascia + 0.45 * (inside_skin - section.fascia)
    line = np.abs(radius - middle[angle].astype(np.float32)) - np.float32(0.25)
    cover = canvas.cover(line) * np.float32(0.35)
    np.multiply(cover, 1.0 + canvas.grain[window], out=cover)
    canvas.fill_hu(window, np.clip(cover, 0, 0.6), -20.0)
    canvas.fill(window, grid.fascia[window], Ink(fat_hu + 12.0))
    sheath = canvas.cover(np.abs(radius - section.fascia[angle]) - np.float32(0.5))
    canvas.fill_hu(window, sheath * np.float32(0.8), 25.0)


def paint_sheets(canvas: Canvas, section: TrunkSection, grid: TrunkGrid, muscle_hu: float) -> None:
    """Paint the three muscle sheets; only pixels of the wall are visited."""
    inner, outer = section.cavity[grid.angle], section.fascia[grid.angle]
    near = np.flatnonzero((grid.radius > inner - 2) & (grid.radius < outer + 2))
    radius = grid.radius.ravel()[near]
    angle = grid.angle.ravel()[near]
    cover = np.zeros(radius.shape, dtype=np.float32)
    for low, high in section.sheets:
        middle, half = (low + high) * np.float32(0.5), (high - low) * np.float32(0.5)
        part = canvas.cover(np.abs(radius - middle[angle]) - half[angle])
        part *= np.clip(half * 1.5 - 0.6, 0.0, 1.0)[angle]
        np.maximum(cover, part, out=cover)
    canvas.fill_flat(grid.window, near, cover, Ink(muscle_hu, MUSCLE.label))


def paint_band(
    canvas: Canvas, grid: TrunkGrid, middle: Floats, half: Floats, inks: tuple[Ink, Ink]
) -> None:
    """Paint plates of bone in the wall: ``middle`` radius and ``half`` thickness (0: none) in mm.

    The first ink is cortical bone, the second the marrow inside a cortex of 1.6 mm.
    """
    if not np.any(half > 0.1):
        return
    low = (middle - half - 2)[grid.angle]
    near = np.flatnonzero((grid.radius > low) & (half[grid.angle] > 0.1))
    radius = grid.radius.ravel()[near]
    angle = grid.angle.ravel()[near]
    off = np.abs(radius - middle[angle])
    cover = canvas.cover(off - half[angle])
    canvas.fill_flat(grid.window, near, cover, inks[0])
    marrow = np.maximum(half - np.float32(1.6), 0.0)
    cover = canvas.cover(off - marrow[angle]) * (marrow[angle] > 0)
    canvas.fill_flat(grid.window, near, cover, inks[1])
