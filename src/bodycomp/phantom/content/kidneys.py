"""Kidneys with their sinus, pelvis and cysts, transplants, and the ureters."""

from __future__ import annotations

import numpy as np

from bodycomp.anatomy import VISCERAL_FAT
from bodycomp.phantom.canvas import Ellipse, Ink
from bodycomp.phantom.content.lumps import paint_lumps
from bodycomp.phantom.content.organ_variety import KidneyVariety
from bodycomp.phantom.content.organs import OrganLayout, soft_end
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.shapes import Floats, knots

_USUAL = KidneyVariety(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, ())


def paint_kidneys(frame: SliceFrame, layout: OrganLayout, inside: Floats) -> None:
    """Paint both kidneys with renal sinus fat (labelled visceral) and pelvis."""
    organs = frame.content.organs
    pair = (_USUAL, _USUAL) if organs is None else organs.kidneys
    levels = (layout.right_kidney_u, layout.left_kidney_u)
    for side, level, variety in zip((-1.0, 1.0), levels, pair, strict=True):
        if variety.size:
            middle = level + variety.low_u
            above = frame.z_mm - frame.curve.z_at(middle)
            zeta = above / (layout.kidney_half_length * frame.scale * variety.size)
            if abs(zeta) < 1:
                _paint_kidney(frame, layout, inside, side, float(zeta), variety)
    if organs is not None and organs.transplant:
        _paint_transplant(frame, inside, float(organs.transplant))


def _paint_kidney(
    frame: SliceFrame,
    layout: OrganLayout,
    inside: Floats,
    side: float,
    zeta: float,
    variety: KidneyVariety,
) -> None:
    section, scale, materials = frame.section, frame.scale, frame.materials
    above = zeta * layout.kidney_half_length * scale
    size = float(1 - abs(zeta) ** 2.6) ** 0.5 * scale * variety.size
    room = max(section.half_width - 112 * scale, 0.0)
    x = section.spine_x + side * (
        63 * scale + 0.35 * room - layout.kidney_tilt * above + variety.out_mm
    )
    y = section.spine_y + knots(zeta, (-1, 1), (0, 14)) * scale - 0.15 * room
    kidney = Ellipse(x, y, 29 * size, 25 * size, -side * 35)
    capsule = Ellipse(x, y, kidney.half_width + 4, kidney.half_depth + 4, kidney.angle_deg)
    frame.canvas.ellipse(capsule, Ink(materials.fat, VISCERAL_FAT.label, 6.0), 1.0, inside)
    shade = 12.0 if frame.patient.contrast_phase in ("arterial", "portal") else 2.0
    soft = soft_end(frame, zeta)
    frame.canvas.ellipse(kidney, Ink(materials.kidney + variety.cortex_hu, 0, shade), soft, inside)
    if variety.cortex_hu:
        core = Ellipse(x, y, 0.74 * kidney.half_width, 0.72 * kidney.half_depth, kidney.angle_deg)
        frame.canvas.ellipse(core, Ink(materials.kidney, 0, shade), 3.0, inside)
    if abs(zeta) < 0.6:
        _paint_sinus(frame, (x, y), side, float(np.sqrt(1 - (zeta / 0.6) ** 2)), variety)
    if variety.lumps:
        host = (x, y, 1.1 * kidney.half_width, 1.1 * kidney.half_depth)
        kidney_u = (layout.left_kidney_u if side > 0 else layout.right_kidney_u) + variety.low_u
        paint_lumps(frame, variety.lumps, host, inside, kidney_u)


def _paint_sinus(
    frame: SliceFrame, middle: tuple[float, float], side: float, depth: float, kidney: KidneyVariety
) -> None:
    materials, scale = frame.materials, frame.scale
    x, y = middle
    sinus = Ellipse(
        x - side * 15 * scale, y - 6 * scale, 13 * scale * depth, 8 * scale * depth, side * 25
    )
    frame.canvas.ellipse(sinus, Ink(materials.fat + 4, VISCERAL_FAT.label), 1.0)
    pelvis = Ellipse(x - side * 14 * scale, y - 5 * scale, 5 * depth, 3.5 * depth, side * 25)
    late = 500.0 if frame.patient.contrast_phase == "late" else materials.vein - 15
    if kidney.dilated:
        late = 500.0 if frame.patient.contrast_phase == "late" else 8.0
        wide = 1 + 3.5 * kidney.dilated
        pelvis = Ellipse(
            pelvis.x - side * 4 * kidney.dilated, pelvis.y, pelvis.half_width * wide,
            pelvis.half_depth * wide, pelvis.angle_deg,
        )  # fmt: skip
    frame.canvas.ellipse(pelvis, Ink(late))
    if kidney.stone_hu:
        frame.canvas.ellipse(Ellipse(x - side * 10, y + 2, 3.5, 2.5), Ink(kidney.stone_hu), 1.0)


def _paint_transplant(frame: SliceFrame, inside: Floats, side: float) -> None:
    """Paint a kidney in the iliac fossa, close to the wall in front of the psoas."""
    zeta = (frame.u - 17.5) / 1.7
    if abs(zeta) >= 1:
        return
    section, size = frame.section, float(np.sqrt(1 - zeta * zeta)) * frame.scale
    x = section.x + side * 0.62 * section.half_width
    y = section.y - 0.35 * section.front
    kidney = Ellipse(x, y, 27 * size, 33 * size, -side * 20)
    frame.canvas.ellipse(kidney, Ink(frame.materials.kidney, 0, 6.0), soft_end(frame, zeta), inside)
    if abs(zeta) < 0.6:
        sinus = Ellipse(x - side * 12 * size, y + 8 * size, 9 * size, 13 * size)
        frame.canvas.ellipse(sinus, Ink(frame.materials.fat, VISCERAL_FAT.label), 1.0, inside)


def paint_ureters(frame: SliceFrame) -> None:
    """Paint the ureters on the psoas below the kidneys."""
    if not 14.2 < frame.u < 20:
        return
    hu = 480.0 if frame.patient.contrast_phase == "late" else 22.0
    for side in (-1.0, 1.0):
        out = side * knots(frame.u, (14, 16, 18, 20), (42, 40, 34, 52)) * frame.scale
        ahead = knots(frame.u, (14, 16, 18, 20), (26, 32, 44, 62)) * frame.scale
        spot = Ellipse(frame.section.spine_x + out, frame.section.spine_y - ahead, 2.3, 2.3)
        frame.canvas.ellipse(spot, Ink(hu))
