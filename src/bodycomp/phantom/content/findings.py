"""Painting free fluid and gas, hernias, stomas, spots in the skin fat, and breasts.

Free fluid lies where fat was and is 0. Fat in a hernia's sac was and stays visceral fat, though
it lies outside the wall: readers who outline by compartment follow the peritoneum, which the sac
is. Fat that drapes a stoma is subcutaneous.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import SUBCUTANEOUS_FAT, VISCERAL_FAT
from bodycomp.phantom.canvas import Canvas, Capsule, Ellipse, Ink
from bodycomp.phantom.content.bowel import BowelPiece, paint_bowel
from bodycomp.phantom.content.bowel_fill import BowelFill
from bodycomp.phantom.content.finding_variety import Findings, Hernia, Stoma
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.shapes import ANGLES, DEGREES, THETA, Floats, angle_index, knots, plateau


def paint_findings(frame: SliceFrame) -> None:
    """Paint what was found in this patient, over organs, wall and fat."""
    findings = frame.content.findings
    if findings is None:
        return
    if findings.hernia is not None:
        _paint_hernia(frame, findings.hernia)
    if findings.stoma is not None:
        _paint_stoma(frame, findings.stoma)
    if findings.ascites_mm and frame.u > 9:
        _paint_free_fluid(frame, findings)
    _paint_nodules(frame, findings)
    if frame.patient.sex == "F" and 4.0 < frame.u < 10.2:
        _paint_breasts(frame, findings)


def _paint_free_fluid(frame: SliceFrame, findings: Findings) -> None:
    """Replace visceral fat along the flanks and below a level by fluid.

    Fat behind the peritoneum, beside the spine, stays.
    """
    canvas, section = frame.canvas, frame.section
    labels = canvas.labels.reshape(-1)
    flat = np.flatnonzero(labels == VISCERAL_FAT.label)
    x = canvas.x.reshape(-1).take(flat) - np.float32(section.x)
    y = canvas.y.reshape(-1).take(flat) - np.float32(section.y)
    angle = angle_index(x, y)
    radius = np.sqrt(x * x + y * y)
    blotch = canvas.blotch.reshape(-1).take(flat)
    deep = section.cavity.take(angle) - radius
    where = plateau(DEGREES, 35, 128, 30) + np.float32(0.15)
    where = where * plateau(DEGREES, -1, 142, 12)
    layer = np.float32(findings.ascites_mm) * where.take(angle)
    lower = knots(frame.u, (12, 18, 21), (0.0, 0.15, 0.5)) + findings.ascites_level
    level = section.spine_y - section.y - 25.0 - lower * (section.front + 0.3 * section.back)
    free = (DEGREES < 140).take(angle)
    inside = np.maximum(layer - deep, (y - np.float32(level)) * free - 60.0 * ~free)
    if findings.ascites_level <= 0:
        inside = layer - deep
    cover = np.clip((inside + 2.0 * blotch) / np.float32(2.0) + 0.5, 0.0, 1.0)
    canvas.fill_flat(flat, cover, Ink(findings.ascites_hu, 0, 2.0))


def _direction(theta: float) -> tuple[int, float, float]:
    """Return the table bin of a direction, and its unit vector (x to the left, y to the back)."""
    index = int(np.argmin(np.abs(THETA - theta))) % ANGLES
    return index, float(np.sin(theta)), -float(np.cos(theta))


def _paint_hernia(frame: SliceFrame, hernia: Hernia) -> None:
    off = (frame.u - hernia.u) / hernia.half_u
    if abs(off) >= 1:
        return
    section, canvas = frame.section, frame.canvas
    index, out_x, out_y = _direction(hernia.theta)
    cavity, fascia = float(section.cavity[index]), float(section.fascia[index])
    room = float(section.skin[index]) - section.skin_mm - fascia
    depth = 0.5 * hernia.size * (room - 3.0) * float(np.sqrt(1 - off * off))
    if depth < 3.0:
        return
    middle = fascia + depth + 1.0
    x, y = section.x + out_x * middle, section.y + out_y * middle
    wide = depth * (1.3 + hernia.gap_mm / 15)
    turn = float(np.degrees(hernia.theta))
    fat = Ink(frame.materials.fat, VISCERAL_FAT.label, 6.0)
    gap = min(hernia.gap_mm, 0.8 * wide)
    neck = Capsule(
        section.x + out_x * (cavity - 6), section.y + out_y * (cavity - 6), x, y, gap, gap
    )
    cover = np.asarray(frame.grid.fascia, dtype=np.float32)
    canvas.capsule(neck, fat, cover)
    canvas.ellipse(Ellipse(x, y, wide, depth, turn), Ink(20.0), 0.0, 0.8)
    canvas.ellipse(Ellipse(x, y, wide - 1.0, depth - 1.0, turn), fat)
    bridge = Capsule(x - out_x * depth, y - out_y * depth, x, y, 0.8 * gap, 0.6 * gap)
    canvas.capsule(bridge, fat)
    if hernia.bowel and depth > 7:
        run = 0.5 * (wide - depth)
        fill = BowelFill(lumen_hu=frame.materials.lumen, gas=0.3 * (hernia.size > 0.7))
        side_x, side_y = -out_y * run, out_x * run
        loop = BowelPiece(
            x - side_x, y - side_y, x + side_x, y + side_y, 0.62 * depth, 0.9, 1.6, "fluid", 0.0,
            fill,
        )  # fmt: skip
        paint_bowel(frame, [loop], np.ones_like(canvas.hu))


def _paint_stoma(frame: SliceFrame, stoma: Stoma) -> None:
    off = (frame.u - stoma.u) / stoma.half_u
    if abs(off) >= 1:
        return
    section, canvas = frame.section, frame.canvas
    index, out_x, out_y = _direction(stoma.theta)
    inner, outer = float(section.cavity[index]) - 18.0, float(section.skin[index]) + 5.0
    radius = stoma.radius_mm * float(np.sqrt(1 - off * off))
    if radius < 4.0:
        return
    if stoma.bag:
        bag_x, bag_y = section.x + out_x * (outer + 12), section.y + out_y * (outer + 12)
        turn = float(np.degrees(stoma.theta))
        canvas.ellipse(Ellipse(bag_x, bag_y, 42, 13, turn), Ink(-40.0), 0.0, _outside(frame))
        canvas.ellipse(Ellipse(bag_x, bag_y, 41, 12, turn), Ink(-970.0), 0.0, _outside(frame))
    fill = BowelFill(lumen_hu=frame.materials.stool, fine_hu=20.0, bubbles=1.0)
    loop = BowelPiece(
        section.x + out_x * inner, section.y + out_y * inner,
        section.x + out_x * outer, section.y + out_y * outer, radius, 0.8, 2.6, "stool", 0.0, fill,
    )  # fmt: skip
    paint_bowel(frame, [loop], np.ones_like(canvas.hu))


def _outside(frame: SliceFrame) -> Floats:
    """Return how much of a pixel is air outside the skin."""
    return np.asarray(np.clip((-300.0 - frame.canvas.hu) / 300.0, 0.0, 1.0), dtype=np.float32)


def _paint_nodules(frame: SliceFrame, findings: Findings) -> None:
    section, canvas = frame.section, frame.canvas
    for nodule in findings.nodules:
        off = (frame.u - nodule.u) * frame.pitch_mm / nodule.radius_mm
        if abs(off) >= 1:
            continue
        index, out_x, out_y = _direction(nodule.theta)
        fascia = float(section.fascia[index])
        room = float(section.skin[index]) - section.skin_mm - fascia
        radius = min(nodule.radius_mm * float(np.sqrt(1 - off * off)), 0.45 * room)
        if radius < 1.0:
            continue
        at = fascia + radius + nodule.depth * (room - 2 * radius)
        turn = float(np.degrees(nodule.theta))
        spot = Ellipse(
            section.x + out_x * at, section.y + out_y * at, radius, radius * nodule.flat, turn
        )
        canvas.ellipse(spot, Ink(nodule.hu, 0, 4.0), 1.5, 0.9)


def _tint_islands(canvas: Canvas, flat: NDArray[np.intp], cover: Floats) -> None:
    """Blend gland into fat; what is gland by half or more is no longer fat."""
    canvas.tint_flat(flat, cover, 32.0)
    canvas.labels.reshape(-1)[flat[cover >= 0.5]] = 0


def _paint_breasts(frame: SliceFrame, findings: Findings) -> None:
    """Paint glandular tissue in the fat of the breasts as islands, and implants."""
    canvas, section = frame.canvas, frame.section
    covers = frame.grid.covers
    labels = canvas.labels.reshape(-1)
    height = knots(frame.u, (4.0, 5.5, 8.5, 10.2), (0.0, 1.0, 1.0, 0.0))
    share = plateau(DEGREES, 18, 62, 20) * np.float32(height)
    near = np.flatnonzero(
        (labels.take(covers.flat) == SUBCUTANEOUS_FAT.label) & (share > 0.2).take(covers.angle)
    )
    flat, angle = covers.flat.take(near), covers.angle.take(near)
    room = np.maximum(section.skin - section.fascia, 8.0).take(angle)
    depth = (section.skin.take(angle) - covers.radius.take(near)) / room
    island = canvas.blotch.reshape(-1).take(flat) + np.float32(2.4 * findings.glandular - 1.8)
    cover = np.clip(island * 1.5, 0.0, 1.0) * share.take(angle) * np.clip(6 * depth - 0.8, 0.0, 1.0)
    cover *= np.clip(6 * (1 - depth) - 0.6, 0.0, 1.0)
    _tint_islands(canvas, flat, cover * (room > 14))
    if findings.implant_hu:
        for side in (-1.0, 1.0):
            index, out_x, out_y = _direction(side * 0.7)
            half = 0.32 * (float(section.skin[index] - section.fascia[index]) - 6.0) * height
            at = float(section.fascia[index]) + half + 2.0
            if half > 5:
                bag = Ellipse(
                    section.x + out_x * at, section.y + out_y * at, 2.2 * half, half,
                    float(np.degrees(side * 0.7)),
                )  # fmt: skip
                canvas.ellipse(bag, Ink(findings.implant_hu), 0.0)
