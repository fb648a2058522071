"""Painting the trunk wall (skin, fat, fascia, muscle sheets, plates of bone) and back muscles."""

from __future__ import annotations

from typing import Final

import numpy as np

from bodycomp.anatomy import (
    ABDOMINAL_WALL,
    ERECTOR_SPINAE,
    INTERMUSCULAR_FAT,
    MUSCLE,
    PSOAS,
    QUADRATUS_LUMBORUM,
    SUBCUTANEOUS_FAT,
)
from bodycomp.phantom.canvas import Ellipse, Ink
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.shapes import DEGREES, Floats, knots, presence, superellipse
from bodycomp.phantom.trunk import Trunk
from bodycomp.phantom.wall.back_muscles import (
    fat_in_pixels,
    paint_erectors,
    paint_psoas,
    paint_quadrati,
)
from bodycomp.phantom.wall.back_shapes import quadratus_place

# Psoas: place beside and behind the vertebral body centre and half axes, mm at 1700 mm height.
_PSOAS_U: Final = (12.4, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23.5)
_PSOAS_X: Final = (22, 27, 33, 39, 44, 48, 53, 60, 68, 76, 84, 92)
_PSOAS_Y: Final = (8, 6, 4, 1, -2, -6, -24, -48, -72, -92, -100, -100)
_PSOAS_WIDE: Final = (2, 8, 13, 17.5, 21, 22.5, 22, 20, 18, 18, 18, 16)
_PSOAS_DEEP: Final = (3, 11, 17, 22, 25, 25, 23, 21, 20, 19, 19, 18)

FIRST_WALL_U: Final = 12.0
"""Above, muscle of the wall is that of the chest, and of the pelvis below the iliac crest."""
_RECTUS_DEG: Final = 38.0
# Shares of fat in muscle below this cannot be seen.
_SOME_FAT: Final = 0.02


def paint_covers(frame: SliceFrame) -> None:
    """Paint skin, subcutaneous fat with its septum, and fat between the muscles."""
    canvas, section, grid = frame.canvas, frame.section, frame.grid
    fat_hu = frame.materials.fat
    flat, radius, angle = grid.covers.flat, grid.covers.radius, grid.covers.angle
    canvas.fill_flat(flat, canvas.cover(radius - section.skin.take(angle)), Ink(15.0))
    inside_skin = section.skin - np.float32(section.skin_mm)
    cover = canvas.cover(radius - inside_skin.take(angle))
    canvas.fill_flat(flat, cover, Ink(fat_hu, SUBCUTANEOUS_FAT.label, 5.0))
    place, density = section.variety.skin.scarpa
    middle = (section.fascia + np.float32(place) * (inside_skin - section.fascia)).take(angle)
    septum = canvas.cover(np.abs(radius - middle) - np.float32(0.25)) * np.float32(density)
    septum *= 1 + canvas.grain.reshape(-1).take(flat)
    canvas.tint_flat(flat, np.clip(septum, 0.0, 0.6), -20.0)
    streaks = section.variety.skin.streaks_at(section.u, section.navel_u)
    if streaks is not None:
        fibrous = streaks.take(angle) * cover * (0.7 + 0.3 * canvas.grain.reshape(-1).take(flat))
        canvas.tint_flat(flat, np.clip(fibrous, 0.0, 0.9), 30.0)
    between = Ink(fat_hu + 12.0, INTERMUSCULAR_FAT.label)
    canvas.fill(grid.window, grid.fascia[grid.window], between)
    half = section.variety.skin.sheath_at()
    if isinstance(half, np.ndarray):
        half = half.take(angle)
    sheath = canvas.cover(np.abs(radius - section.fascia.take(angle)) - half)
    canvas.tint_flat(flat, sheath * np.float32(0.8), 25.0)


def paint_sheets(frame: SliceFrame) -> None:
    """Paint the three muscle sheets; only pixels of the wall are visited."""
    canvas, wall = frame.canvas, frame.grid.wall
    radius, angle = wall.radius, wall.angle
    cover = np.zeros(radius.shape, dtype=np.float32)
    for low, high in frame.section.sheets:
        middle, half = (low + high) * np.float32(0.5), (high - low) * np.float32(0.5)
        part = canvas.cover(np.abs(radius - middle.take(angle)) - half.take(angle))
        part *= np.clip(half * 1.5 - 0.6, 0.0, 1.0).take(angle)
        np.maximum(cover, part, out=cover)
    flank, rectus = frame.section.variety.flank.fat, frame.section.variety.rectus.fat
    if max(flank, rectus) > _SOME_FAT:
        share = np.where(DEGREES < _RECTUS_DEG, np.float32(rectus), np.float32(flank))
        cover *= 1 - fat_in_pixels(frame, wall.flat, share.take(angle))
    hu = frame.materials.muscle + frame.section.variety.flank.hu
    last_u = frame.patient.iliac_crest_level + 1.0
    muscle = ABDOMINAL_WALL if FIRST_WALL_U < frame.u < last_u else MUSCLE
    canvas.fill_flat(wall.flat, cover, Ink(hu, muscle.label))


def paint_band(frame: SliceFrame, middle: Floats, half: Floats, inks: tuple[Ink, Ink]) -> None:
    """Paint plates of bone in the wall: ``middle`` radius and ``half`` thickness (0: none) in mm.

    The first ink is cortical bone, the second the marrow inside a cortex of 1.6 mm.
    """
    canvas, wall = frame.canvas, frame.grid.wall
    near = np.flatnonzero((half > 0.1).take(wall.angle))
    if not near.size:
        return
    angle, flat = wall.angle.take(near), wall.flat.take(near)
    off = np.abs(wall.radius.take(near) - middle.take(angle))
    canvas.fill_flat(flat, canvas.cover(off - half.take(angle)), inks[0])
    marrow = np.maximum(half - np.float32(1.6), 0.0)
    cover = canvas.cover(off - marrow.take(angle)) * (marrow > 0).take(angle)
    canvas.fill_flat(flat, cover, inks[1])


# --- muscles on the spine: erector spinae, multifidus, quadratus lumborum, psoas, crura -----------


def paint_back_muscles(frame: SliceFrame, trunk: Trunk) -> None:
    """Paint erector spinae and multifidus inside the fascia."""
    muscles = frame.section.variety.spinal
    if muscles is not None:
        paint_erectors(frame, muscles, frame.section.erectors)
        return
    ink = Ink(frame.materials.muscle, ERECTOR_SPINAE.label)
    x, y = frame.section.spine_x, frame.section.spine_y
    for side in (-1.0, 1.0):
        for out, back, wide, deep in trunk.back_bellies(frame.u):
            radii = superellipse(wide, deep, deep, 2.7)
            frame.canvas.curve(x + side * out, y + back, radii, ink, frame.grid.fascia)


def paint_psoas_and_quadratus(frame: SliceFrame, shift_u: float) -> None:
    """Paint psoas, growing from T12 to L5 and then leaving the spine, and quadratus lumborum.

    ``shift_u`` moves the growth of the psoas towards the feet.
    """
    size = frame.scale * frame.muscle**0.8
    hu = frame.materials.muscle + 1.0
    x0, y0, u = frame.section.spine_x, frame.section.spine_y, frame.u
    wide = knots(u - shift_u, _PSOAS_U, _PSOAS_WIDE) * size
    deep = knots(u - shift_u, _PSOAS_U, _PSOAS_DEEP) * size
    part = presence(u, 12.5, 30.0, max(frame.ramp, 0.3))
    out = knots(u, _PSOAS_U, _PSOAS_X) * frame.scale + 0.35 * (wide - wide / frame.muscle**0.8)
    back = knots(u, _PSOAS_U, _PSOAS_Y) * frame.scale
    turn = knots(u, (13, 16, 19), (12.0, 18.0, -20.0))
    shown = presence(u, 12.4, frame.patient.iliac_crest_level + 0.6, max(frame.ramp, 0.3))
    muscles = frame.section.variety.spinal
    if muscles is not None:
        paint_psoas(frame, muscles, (out, back, wide, deep), turn, part)
        paint_quadrati(frame, shown)
        return
    middle, behind, flat, thin = quadratus_place(u, frame.scale, size)
    for side in (-1.0, 1.0):
        psoas = Ellipse(x0 + side * out, y0 + back, wide, deep, side * turn)
        frame.canvas.ellipse(psoas, Ink(hu, PSOAS.label), 0.0, part)
        quadratus = Ellipse(x0 + side * middle, y0 + behind, flat, thin, side * 14.0)
        frame.canvas.ellipse(quadratus, Ink(hu, QUADRATUS_LUMBORUM.label), 0.0, shown)


def paint_crura(frame: SliceFrame) -> None:
    """Paint the crura of the diaphragm beside the aorta; not part of the muscle label."""
    part = presence(frame.u, 11.2, 14.9, max(frame.ramp, 0.4))
    if part < 0.02:
        return
    x0, y0, u = frame.section.spine_x, frame.section.spine_y, frame.u
    for side, low in ((-1.0, 14.9), (1.0, 14.2)):
        thick = knots(u, (11.2, 12.5, low), (3.0, 5.0, 1.2)) * frame.scale
        crus = Ellipse(
            x0 + side * 17 * frame.scale, y0 - knots(u, (11, 13, 15), (22, 22, 20)) * frame.scale,
            thick, 9 * frame.scale, side * 20,
        )  # fmt: skip
        frame.canvas.ellipse(crus, Ink(frame.materials.muscle), 0.0, part)
