"""Painting the pelvis: iliac wings, sacrum and hip joints; bladder, uterus or prostate, rectum."""

from __future__ import annotations

import numpy as np

from bodycomp.phantom.canvas import Capsule, Ellipse, Ink
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.shapes import DEGREES, THETA, Floats, knots, plateau, presence
from bodycomp.phantom.wall.paint_wall import paint_band
from bodycomp.phantom.wall.wall_layers import wing_at


def paint_pelvis(frame: SliceFrame) -> None:
    """Paint iliac wings from their crest to the hip joint, sacrum and coccyx."""
    below = frame.u - frame.patient.iliac_crest_level
    if below > -0.15:
        _paint_wings(frame, below)
    if frame.u > 17.4:
        _paint_sacrum(frame)
    if frame.u > 21.3:
        _paint_hips(frame)


def _paint_wings(frame: SliceFrame, below: float) -> None:
    section, scale = frame.section, frame.scale
    wing = wing_at(max(below, 0.0), scale, section.spine_y - section.y)
    thick = knots(below, (-0.15, 0.2, 0.6, 1.5, 3, 4.5, 6), (0, 4.5, 4.8, 4.0, 4.5, 7, 9)) * scale
    span = max(wing.stop_deg - wing.start_deg, 4.0)
    half = thick * plateau(DEGREES, wing.start_deg, wing.stop_deg, 4)
    ends = plateau(DEGREES, wing.start_deg - 5, wing.start_deg + 0.14 * span, 5)
    ends = ends + 1.3 * plateau(DEGREES, wing.stop_deg - 0.28 * span, wing.stop_deg + 5, 8)
    oblique = np.hypot(1.0, np.gradient(np.minimum(wing.radii, 250.0), THETA) / wing.radii)
    half = half * (1.0 + 0.75 * min(below, 1.0) * ends) * np.minimum(oblique, 1.6)
    inks = Ink(frame.materials.cortical + 40), Ink(frame.materials.marrow)
    paint_band(frame, wing.radii, half.astype(np.float32), inks)


def _paint_sacrum(frame: SliceFrame) -> None:
    """Sacral body, wings and foramina; narrows from S1 to the coccyx."""
    section, canvas, materials = frame.section, frame.canvas, frame.materials
    u, scale, variety = frame.u, frame.scale, frame.curve.variety
    part = presence(u, 17.62, 24.0, frame.ramp)
    wing = knots(u, (17.6, 18, 19, 20, 21, 22, 23, 24), (40, 56, 54, 46, 36, 26, 12, 6)) * scale
    wing *= variety.sacrum_width
    deep = knots(u, (17.6, 18.5, 20, 22, 24), (13, 18, 14, 9, 6)) * scale
    x, y = section.spine_x, section.spine_y + knots(u, (17.6, 18.4, 20), (14, 12, 4)) * scale
    y += variety.sacrum_back_mm * knots(u, (17.6, 20.0), (0.0, 1.0))
    for thinner, ink in (
        (0, Ink(materials.cortical - 80)),
        (2, Ink(materials.marrow - 40, 0, 25)),
    ):
        for side in (-1.0, 1.0):
            end = (x + side * (wing - deep * 0.8), y + 5 * scale)
            ala = Capsule(x, y, *end, deep - thinner, deep * 0.8 - thinner)
            canvas.capsule(ala, ink, part)
    for side in (-1.0, 1.0):
        crest = Capsule(x + side * wing * 0.5, y + deep, x, y + deep + 14 * scale, 3.5, 3.5)
        canvas.capsule(crest, Ink(materials.cortical - 150), part * presence(u, 17.7, 21, 0.3))
        hole = Ellipse(x + side * wing * 0.42, y + 2, 6 * scale, 5 * scale)
        open_part = part * (0.5 + 0.5 * float(np.cos(2 * np.pi * (u - 0.5)))) * (u < 21.5)
        canvas.ellipse(hole, Ink(materials.fat + 30), 1.0, open_part)
    canal = Ellipse(x, y + deep * 0.9, 11 * scale, 6 * scale)
    canvas.ellipse(canal, Ink(materials.canal - 20), 1.0, part * presence(u, 17.6, 20.5, 0.6))


def _paint_hips(frame: SliceFrame) -> None:
    """Acetabulum, femoral head and shaft, pubic rami."""
    section, scale, u = frame.section, frame.scale, frame.u
    cortex, marrow = Ink(frame.materials.cortical), Ink(frame.materials.marrow + 60, 0, 20)
    for side in (-1.0, 1.0):
        out = 88 * frame.curve.variety.hip_out
        x, y = section.x + side * out * scale, section.y + 8 * scale
        cup = max(0.0, 1.0 - ((u - 23.0) / 1.7) ** 2) ** 0.5
        for radius, ink in ((32.0, cortex), (29.0, marrow), (25.0, cortex), (23.0, marrow)):
            size = (radius - 32 * (1 - cup)) * scale
            if size > 1:
                frame.canvas.ellipse(Ellipse(x, y, size, size), ink)
        part = presence(u, 23.2, 25.5, 0.4)
        ramus = Capsule(x - side * 24, y - 14, section.x + side * 8, y - 42, 9, 7)
        frame.canvas.capsule(ramus, cortex, part)


def paint_pelvic_organs(frame: SliceFrame, inside: Floats) -> None:
    """Paint bladder, uterus or prostate, and rectum."""
    section, u, scale, canvas = frame.section, frame.u, frame.scale, frame.canvas
    if u < 19.5:
        return
    zeta = (u - 22.4) / 1.9
    if abs(zeta) < 1:
        size = float(1 - zeta * zeta) ** 0.5 * scale
        bag = Ellipse(section.x, section.y - 0.35 * section.front, 40 * size, 30 * size)
        canvas.ellipse(bag, Ink(frame.materials.bowel_wall), 1.0, inside)
        late = 250.0 if frame.patient.contrast_phase == "late" else 6.0
        lumen = Ellipse(bag.x, bag.y, bag.half_width - 4, bag.half_depth - 4)
        canvas.ellipse(lumen, Ink(late), 1.0, inside)
    if frame.patient.sex == "F" and 20.0 < u < 22.4:
        womb = Ellipse(section.x + 4, section.y + 4, 32 * scale, 22 * scale)
        canvas.ellipse(womb, Ink(48 + 0.6 * (frame.materials.bowel_wall - 38)), 1.0, inside)
    gut = Ellipse(section.x, section.spine_y - 24 * scale, 19 * scale, 15 * scale)
    canvas.ellipse(gut, Ink(frame.materials.bowel_wall), 1.0, inside)
    core = Ellipse(gut.x, gut.y - 1, 13 * scale, 9 * scale)
    canvas.ellipse(
        core, Ink(frame.materials.stool - 120 * frame.patient.bowel_gas, 0, 90), 1.0, inside
    )
