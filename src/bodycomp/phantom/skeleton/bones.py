"""Ribs with their cartilage, sternum and shoulder blades."""

from __future__ import annotations

from typing import Final

import numpy as np

from bodycomp.anatomy import MUSCLE
from bodycomp.phantom.canvas import Capsule, Ellipse, Ink
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.shapes import ANGLES, BIN_WIDTH, DEGREES, Floats, knots, presence
from bodycomp.phantom.wall.paint_wall import paint_band

# How far rib 1..13 falls from its head to its lowest point, mm at 1700 mm height.
_DROP_MM: Final = (34, 56, 76, 92, 105, 115, 123, 129, 132, 128, 92, 52, 30)
# How much farther each falls where ``AxisVariety.low_rib_drop`` is 1: the lowest point of the tenth
# lies beside L2 then, from L1 to L3 in most people (Mirjalili et al., Clin Anat 25, 2012).
_LOW_DROP: Final = (0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, -0.02, 0.2, 1.6, 1.6)
# Share of the way round the chest at which bone, then cartilage, ends.
_BONE_END: Final = (0.74, 0.76, 0.77, 0.77, 0.77, 0.76, 0.75, 0.74, 0.72, 0.69, 0.48, 0.27, 0.16)
_CARTILAGE_END: Final = (1.0, 1.0, 1.0, 1.0, 1.0, 0.99, 0.97, 0.93, 0.88, 0.82, 0.5, 0.28, 0.17)
_HALF_HEIGHT_MM: Final = 6.8
_HALF_THICKNESS_MM: Final = 3.9


def _rib_bands(frame: SliceFrame) -> tuple[Floats, Floats]:
    """Return half thickness in mm, over the angle, of bone and of cartilage cut by the slice.

    Each rib runs round the chest from 155 degrees to the sternum, falls to the cartilage and rises
    again; the slice cuts it where its height is within half a rib of the slice.
    """
    bone = np.zeros(ANGLES, dtype=np.float32)
    cartilage = np.zeros(ANGLES, dtype=np.float32)
    patient = frame.patient
    way = np.clip((158.0 - DEGREES) / (158.0 - 11.0), 0.0, 1.02)
    arc_mm = 0.5 * (frame.section.half_width + frame.section.front) * BIN_WIDTH
    for n in range(1, frame.curve.variety.ribs + 1):
        drop = _DROP_MM[n - 1] * frame.scale * patient.rib_drop
        drop *= 1.0 + frame.curve.variety.low_rib_drop * _LOW_DROP[n - 1]
        head = frame.curve.vertebra_z_mm(n - 0.25)
        if not head - drop - 12 < frame.z_mm < head + 16:
            continue
        eleventh = 1.0 + 0.3 * (patient.rib12_length - 1) * (n == 11)
        stretch = patient.rib12_length if n == 12 else eleventh
        if n == 13:
            stretch = frame.curve.variety.rib13_length
        fall = np.sin(np.minimum(way / 0.76, 1.0) * (np.pi / 2)) ** 1.15
        rise = np.clip(way - 0.78, 0.0, 1.0) * (1.6 if n < 8 else 1.1)
        z = head - drop * (fall - rise)
        slope = np.abs(np.gradient(z)) / arc_mm
        off = np.abs(z - frame.z_mm) / np.sqrt(1 + slope * slope)
        reach = _HALF_HEIGHT_MM * frame.scale + 0.2 * frame.thickness_mm
        cut = np.sqrt(np.maximum(1.0 - (off / reach) ** 2, 0.0)) * _HALF_THICKNESS_MM * frame.scale
        end = _BONE_END[n - 1] * stretch
        is_bone = (way > 0.0) & (way < end)
        last = max(_CARTILAGE_END[n - 1], end + 0.01)
        np.maximum(bone, np.where(is_bone, cut, 0), out=bone)
        np.maximum(cartilage, np.where((way >= end) & (way < last), cut, 0), out=cartilage)
    return bone, cartilage


def paint_ribs(frame: SliceFrame) -> None:
    """Paint ribs in the inner part of the chest wall, their necks, cartilage and the sternum."""
    materials = frame.materials
    if frame.u < 16.5:
        bone, cartilage = _rib_bands(frame)
        middle = frame.section.cavity + np.float32(5.2)
        if frame.section.variety.spinal is not None:
            wall = frame.section.fascia - frame.section.cavity
            middle = frame.section.cavity + np.clip(np.float32(0.5) * wall, 4.2, 5.2)
        cortex, marrow = Ink(materials.cortical + 60), Ink(materials.marrow + 40)
        paint_band(frame, middle, bone, (cortex, marrow))
        soft = Ink(materials.cartilage)
        paint_band(frame, middle, cartilage, (soft, soft))
    _paint_rib_necks(frame)
    _paint_sternum(frame)


def _paint_rib_necks(frame: SliceFrame) -> None:
    """Head and neck of the rib, from the side of the body to the wall."""
    section, scale = frame.section, frame.scale
    ribs = frame.curve.variety.ribs
    number = frame.curve.vertebra_at(frame.u)
    for n in range(max(1, int(number)), min(ribs, int(number) + 1) + 1):
        v = number - n
        part = presence(v, -0.42, 0.12, frame.ramp)
        if part < 0.02:
            continue
        half = knots(n, (1, 4, 8, 12), (17, 16, 18, 22)) * scale
        back = knots(n, (1, 8, 12), (26, 28, 22)) * scale
        for side in (-1.0, 1.0):
            neck = Capsule(
                *(section.spine_x + side * half, section.spine_y + 10 * scale),
                *(section.spine_x + side * (half + 20 * scale), section.spine_y + back + 6),
                *(4.6 * scale, 3.8 * scale),
            )
            frame.canvas.capsule(neck, Ink(frame.materials.cortical - 60), part)


def _paint_sternum(frame: SliceFrame) -> None:
    part = presence(frame.u, 2.6, 9.6, frame.ramp)
    if part < 0.02:
        return
    wide = knots(frame.u, (2.6, 3.5, 4.5, 7, 8.6, 9.6), (30, 28, 17, 18, 16, 6)) * frame.scale
    y = frame.section.y - float(frame.section.cavity[ANGLES // 2]) - 6.5
    bone = Ellipse(frame.section.x, y, wide, 6.0)
    frame.canvas.ellipse(bone, Ink(frame.materials.cortical - 40), 1.0, part)
    core = Ellipse(frame.section.x, y, wide - 1.8, 4.2)
    frame.canvas.ellipse(core, Ink(frame.materials.marrow - 30), 1.0, part)


def paint_shoulder_blades(frame: SliceFrame) -> None:
    """Paint the scapulae with the muscles on both faces, behind the upper ribs."""
    part = presence(frame.u, 0.5, 7.2, 0.4)
    if part < 0.02:
        return
    section, scale = frame.section, frame.scale
    inner = knots(frame.u, (1, 4, 8), (62, 66, 88)) * scale
    length = knots(frame.u, (1, 3, 6, 8), (50, 58, 34, 8)) * scale
    depth = knots(frame.u, (1, 4, 8), (36, 46, 52)) * scale
    for side in (-1.0, 1.0):
        x0, y0 = section.spine_x + side * inner, section.spine_y + depth
        x1, y1 = x0 + side * length, y0 - 0.62 * length
        meat = Ink(frame.materials.muscle, MUSCLE.label)
        bulk = Capsule(x0, y0, x1, y1, 9 * frame.muscle, 13 * frame.muscle)
        frame.canvas.capsule(bulk, meat, part * frame.grid.fascia)
        blade = Capsule(x0, y0, x1, y1, 2.0, 3.6)
        frame.canvas.capsule(blade, Ink(frame.materials.cortical), part * frame.grid.fascia)
