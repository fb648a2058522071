"""Painting the trunk wall: skin, subcutaneous fat, fascia, muscle sheets, plates of bone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import MUSCLE, SUBCUTANEOUS_FAT
from bodycomp.phantom.canvas import Canvas, Ink, Window
from bodycomp.phantom.shapes import Floats, angle_index
from bodycomp.phantom.trunk import TrunkSection


@dataclass(frozen=True, eq=False)
class Pixels:
    """A set of single pixels: flat index in the slice, radius in mm and table bin of each."""

    flat: NDArray[np.intp]
    radius: Floats
    angle: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class TrunkGrid:
    """Where the pixels of the body lie in the trunk's polar frame.

    Attributes:
        window: The body's place in the slice.
        cavity: (row, column) of the slice, how much of a pixel is inside the cavity.
        fascia: Likewise for all inside the muscle fascia.
        covers: Pixels between fascia and air.
        wall: Pixels between cavity and fascia.
    """

    window: Window
    cavity: Floats
    fascia: Floats
    covers: Pixels
    wall: Pixels


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
    to_cavity = radius - section.cavity.take(angle)
    to_fascia = radius - section.fascia.take(angle)
    maps = []
    for distance in (to_cavity, to_fascia):
        whole = np.zeros(canvas.hu.shape, dtype=np.float32)
        whole[window] = canvas.cover(distance)
        maps.append(whole)
    flat = np.add.outer(
        np.arange(window[0].start, window[0].stop) * canvas.hu.shape[1],
        np.arange(window[1].start, window[1].stop),
    )
    thickest = float((section.skin - section.fascia).max()) + 2.0
    sets = []
    for mask in ((to_fascia > -2) & (to_fascia < thickest), (to_cavity > -3) & (to_fascia < 3)):
        near = np.flatnonzero(mask)
        sets.append(Pixels(flat.take(near), radius.take(near), angle.take(near)))
    return TrunkGrid(window, maps[0], maps[1], sets[0], sets[1])


def paint_covers(canvas: Canvas, section: TrunkSection, grid: TrunkGrid, fat_hu: float) -> None:
    """Paint skin, subcutaneous fat with its septum, and fat between the muscles (label 0)."""
    flat, radius, angle = grid.covers.flat, grid.covers.radius, grid.covers.angle
    canvas.fill_flat(flat, canvas.cover(radius - section.skin.take(angle)), Ink(15.0))
    inside_skin = section.skin - np.float32(section.skin_mm)
    cover = canvas.cover(radius - inside_skin.take(angle))
    canvas.fill_flat(flat, cover, Ink(fat_hu, SUBCUTANEOUS_FAT.label, 5.0))
    middle = (section.fascia + np.float32(0.45) * (inside_skin - section.fascia)).take(angle)
    septum = canvas.cover(np.abs(radius - middle) - np.float32(0.25)) * np.float32(0.35)
    septum *= 1 + canvas.grain.reshape(-1).take(flat)
    canvas.tint_flat(flat, np.clip(septum, 0.0, 0.6), -20.0)
    canvas.fill(grid.window, grid.fascia[grid.window], Ink(fat_hu + 12.0))
    sheath = canvas.cover(np.abs(radius - section.fascia.take(angle)) - np.float32(0.5))
    canvas.tint_flat(flat, sheath * np.float32(0.8), 25.0)


def paint_sheets(canvas: Canvas, section: TrunkSection, grid: TrunkGrid, muscle_hu: float) -> None:
    """Paint the three muscle sheets; only pixels of the wall are visited."""
    radius, angle = grid.wall.radius, grid.wall.angle
    cover = np.zeros(radius.shape, dtype=np.float32)
    for low, high in section.sheets:
        middle, half = (low + high) * np.float32(0.5), (high - low) * np.float32(0.5)
        part = canvas.cover(np.abs(radius - middle.take(angle)) - half.take(angle))
        part *= np.clip(half * 1.5 - 0.6, 0.0, 1.0).take(angle)
        np.maximum(cover, part, out=cover)
    canvas.fill_flat(grid.wall.flat, cover, Ink(muscle_hu, MUSCLE.label))


def paint_band(
    canvas: Canvas, grid: TrunkGrid, middle: Floats, half: Floats, inks: tuple[Ink, Ink]
) -> None:
    """Paint plates of bone in the wall: ``middle`` radius and ``half`` thickness (0: none) in mm.

    The first ink is cortical bone, the second the marrow inside a cortex of 1.6 mm.
    """
    near = np.flatnonzero((half > 0.1).take(grid.wall.angle))
    if not near.size:
        return
    angle, flat = grid.wall.angle.take(near), grid.wall.flat.take(near)
    off = np.abs(grid.wall.radius.take(near) - middle.take(angle))
    canvas.fill_flat(flat, canvas.cover(off - half.take(angle)), inks[0])
    marrow = np.maximum(half - np.float32(1.6), 0.0)
    cover = canvas.cover(off - marrow.take(angle)) * (marrow > 0).take(angle)
    canvas.fill_flat(flat, cover, inks[1])
