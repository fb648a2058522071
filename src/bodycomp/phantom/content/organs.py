"""Solid organs and stomach of the upper abdomen: liver, gallbladder, spleen, kidneys, pancreas."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bodycomp.anatomy import VISCERAL_FAT
from bodycomp.phantom.canvas import Capsule, Ellipse, Ink
from bodycomp.phantom.content.lumps import paint_lumps
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import COS, SIN, Floats, knots, presence, wavy


@dataclass(frozen=True, eq=False)
class OrganLayout:
    """Where one patient's organs lie; levels in u, lengths in mm at 1700 mm height."""

    left_kidney_u: float
    right_kidney_u: float
    kidney_half_length: float
    spleen_u: float
    spleen_half_length: float
    stomach_u: float
    stomach_fill: float
    pancreas_u: float
    duodenum_u: float
    gallbladder: float
    liver_wave: Floats
    kidney_tilt: float
    aortic_fork_u: float
    psoas_shift_u: float


def layout_organs(patient: PatientParameters) -> OrganLayout:
    """Draw the organ positions that the patient's parameters leave open."""
    rng = np.random.default_rng([patient.anatomy_seed, 4])
    kidneys = 13.25 + patient.kidney_shift_level + 0.15 * patient.inspiration_level
    return OrganLayout(
        left_kidney_u=kidneys - 0.2 + float(rng.normal(0, 0.12)),
        right_kidney_u=kidneys + 0.25 + float(rng.normal(0, 0.12)),
        kidney_half_length=float(np.clip(rng.normal(54, 4), 44, 64)),
        spleen_u=11.3 + 0.5 * patient.inspiration_level + float(rng.normal(0, 0.2)),
        spleen_half_length=float(np.clip(rng.normal(50, 7), 36, 75)),
        stomach_u=11.4 + float(rng.normal(0, 0.35)),
        stomach_fill=float(rng.uniform(0.65, 1.15)),
        pancreas_u=13.2 + float(rng.normal(0, 0.2)),
        duodenum_u=15.0 + float(rng.normal(0, 0.22)),
        gallbladder=float(rng.uniform(0, 1)),
        liver_wave=wavy(rng, 0.03),
        kidney_tilt=float(rng.uniform(0.08, 0.25)),
        aortic_fork_u=float(np.clip(rng.normal(16.2, 0.25), 15.6, 16.9)),
        psoas_shift_u=float(np.clip(rng.normal(0.0, 0.25), -0.6, 0.6)),
    )


def paint_liver(frame: SliceFrame, layout: OrganLayout, inside: Floats) -> None:
    """Paint right and left lobe within the map ``inside`` (cavity below the diaphragm)."""
    section, tip = frame.section, frame.patient.liver_tip_level
    variety, size, ahead, grain = frame.content.organs, 1.0, 0.0, 3.0
    if variety is not None:
        tip = float(np.clip(tip + variety.liver_low_u, 12.8, 17.2))
        size, ahead, grain = variety.liver_size, variety.liver_ahead, variety.liver_grain_hu
    full = size * knots(frame.u, (8, 11, tip - 1.4, tip - 0.5, tip), (0.58, 0.56, 0.40, 0.26, 0.0))
    if full <= 0.01:
        return
    ink = Ink(frame.materials.liver, 0, grain)
    base = section.half_width / (1.0 + 0.5 * (frame.section.half_width / (125 * frame.scale) - 1))
    wide = full * base
    deep = section.back * knots(frame.u, (9, 12, tip - 1, tip), (1.05, 1.12, 0.80, 0.55))
    y = section.y + section.back * knots(frame.u, (9, 12, tip), (-0.12, -0.05, 0.12))
    y -= ahead * section.front
    x = section.x - section.half_width + wide - 1.0
    part = inside * presence(frame.u, 7.0, tip - 0.05, frame.ramp)
    radii = wide * deep / np.hypot(deep * SIN, wide * COS)
    frame.canvas.curve(x, y, (radii * layout.liver_wave).astype(np.float32), ink, part)
    left = size * knots(frame.u, (8.5, 10.5, 11.8, 13.0), (0.62, 0.62, 0.48, 0.0))
    if left > 0.05:
        lobe = Ellipse(
            section.x - 0.22 * base, section.y - 0.52 * section.front, left * base,
            section.front * 0.42 * min(1.0, left * 2), 12.0,
        )  # fmt: skip
        frame.canvas.ellipse(lobe, ink, 0.0, part)
        fissure = Capsule(
            section.x - 0.05 * base, section.y - 0.62 * section.front,
            section.x - 0.12 * base, section.y - 0.25 * section.front, 2.0, 3.5,
        )  # fmt: skip
        seen = presence(frame.u, 11.2, 13.0, 0.4)
        frame.canvas.capsule(fissure, Ink(frame.materials.fat, VISCERAL_FAT.label), seen * part)
    _paint_liver_vessels(frame, part)
    if variety is not None:
        paint_lumps(frame, variety.liver_lumps, (x, y, 0.8 * wide, 0.8 * deep), part)
    middle_u = min(13.1, tip)
    if layout.gallbladder > 0.2 and abs(frame.u - middle_u) < 0.8:
        width = 17 * frame.scale * np.sqrt(1 - ((frame.u - middle_u) / 0.8) ** 2)
        bile = 8.0
        if variety is not None:
            width, bile = width * variety.gallbladder_size, variety.gallbladder_hu
        bag = Ellipse(x + wide * 0.75, y - deep * 0.55, float(width), float(width) * 0.75, 30)
        frame.canvas.ellipse(bag, Ink(bile), 0.0, inside)


def _paint_liver_vessels(frame: SliceFrame, part: Floats) -> None:
    section = frame.section
    is_portal = frame.patient.contrast_phase == "portal"
    ink = Ink(frame.materials.vein if is_portal else frame.materials.liver - 12)
    for k in range(4):
        sway = 0.35 + 0.13 * k + 0.05 * np.sin(frame.u * 2.2 + k)
        x = section.x - section.half_width * float(sway)
        y = section.y + section.back * float(-0.35 + 0.22 * k + 0.1 * np.cos(frame.u * 1.7 + 2 * k))
        vein = Ellipse(x, y, 3.0 + (k % 2) * 2.5, 2.5, 40.0 * k)
        frame.canvas.ellipse(vein, ink, 1.0, part * presence(frame.u, 8.5, 12.8, 0.3))


def paint_spleen(frame: SliceFrame, layout: OrganLayout, inside: Floats) -> None:
    """Paint the spleen: a crescent under the left posterior ribs."""
    variety, grown, level = frame.content.organs, 1.0, layout.spleen_u
    if variety is not None:
        grown, level = variety.spleen_size, level + variety.spleen_low_u
    half_length = max(layout.spleen_half_length * frame.scale * grown, 1.0)
    zeta = (frame.curve.z_at(level) - frame.z_mm) / half_length
    if abs(zeta) >= 1 or not grown:
        return
    size = float(np.sqrt(1 - zeta * zeta)) * frame.scale * grown
    section = frame.section
    x = section.x + section.half_width * 0.74
    y = section.y + section.back * 0.32
    spleen = Ellipse(x, y, 30 * size, 52 * size, -26)
    frame.canvas.ellipse(spleen, Ink(frame.materials.spleen, 0, 2.0), soft_end(frame, zeta), inside)


def soft_end(frame: SliceFrame, zeta: float) -> float:
    """Edge softness in mm where a slice of this thickness cuts an ellipsoid obliquely."""
    slope = min(abs(zeta) / np.sqrt(max(1 - zeta * zeta, 0.05)), 3.0)
    return float(slope * frame.thickness_mm * 0.5)


def paint_pancreas_and_duodenum(frame: SliceFrame, layout: OrganLayout, inside: Floats) -> None:
    """Paint pancreas (head low, tail high) and the C of the duodenum, crossing at about L3."""
    scale, section, u = frame.scale, frame.section, frame.u
    x0, y0 = section.spine_x, section.spine_y
    ahead = 0.12 * section.front
    ink = Ink(frame.materials.pancreas, 0, 7.0)
    stations = ((-30, -44, 0.55, 14), (-6, -56, 0.15, 10), (26, -56, -0.2, 9), (56, -40, -0.5, 10),
                (80, -22, -0.75, 10))  # fmt: skip
    for (xa, ya, ua, ra), (xb, yb, ub, rb) in pairwise(stations):
        middle = layout.pancreas_u + (ua + ub) / 2
        part = presence(u, middle - 0.42, middle + 0.42, frame.ramp)
        if part > 0.02:
            limb = Capsule(
                *(x0 + xa * scale, y0 + ya * scale - ahead),
                *(x0 + xb * scale, y0 + yb * scale - ahead),
                *(ra * scale, rb * scale),
            )
            frame.canvas.capsule(limb, ink, part * inside)
    wall, lumen = Ink(frame.materials.bowel_wall), Ink(min(frame.materials.lumen, 120.0))
    part = presence(u, 13.0, layout.duodenum_u, frame.ramp)
    x, y = x0 - 45 * scale, y0 - 40 * scale - ahead
    frame.canvas.ellipse(Ellipse(x, y, 15 * scale, 13 * scale), wall, 0.0, part)
    frame.canvas.ellipse(Ellipse(x, y, 11 * scale, 9 * scale), lumen, 0.0, part)
    part = presence(u, layout.duodenum_u - 0.3, layout.duodenum_u + 0.3, frame.ramp)
    front = y0 - 50 * scale
    across = Capsule(x, y + 4, x0 + 4 * scale, front, 12 * scale, 8.5 * scale)
    rest = Capsule(x0 + 4 * scale, front, x0 + 42 * scale, front + 4, 8.5 * scale, 11 * scale)
    for limb in (across, rest):
        frame.canvas.capsule(limb, wall, part)


def paint_stomach(frame: SliceFrame, layout: OrganLayout, inside: Floats) -> None:
    """Paint the stomach: gas rises to the front, the content lies behind it."""
    section, scale = frame.section, frame.scale
    variety, level, grown = frame.content.organs, layout.stomach_u, 1.0
    if variety is not None:
        level, grown = level + variety.stomach_low_u, variety.stomach_size
    zeta = (frame.u - level) / 2.3
    if abs(zeta) >= 1:
        return
    size = float(np.sqrt(1 - zeta * zeta)) * layout.stomach_fill * grown
    x = section.x + (0.44 - 0.30 * zeta) * section.half_width
    y = section.y - knots(zeta, (-1, 0, 1), (0.1, 0.35, 0.55)) * section.front
    bag = Ellipse(x, y, 48 * scale * size, 36 * scale * size, -20 + 10 * zeta)
    frame.canvas.ellipse(bag, Ink(frame.materials.bowel_wall), 1.0, inside)
    inner = Ellipse(x, y, bag.half_width - 4 * scale, bag.half_depth - 4 * scale, bag.angle_deg)
    found = frame.canvas.ellipse_cover(inner, 1.5) if size > 0.3 else None
    if found is not None:
        window, cover = found
        cover *= inside[window]
        if frame.content.stomach is not None:
            depth = np.full_like(cover, 9.0)
            span = y - inner.half_depth, y + inner.half_depth
            wall_hu = frame.materials.bowel_wall
            held = frame.content.stomach.hu(frame.canvas, window, depth, span, wall_hu)
            frame.canvas.fill(window, cover, Ink(0.0), held)
            return
        level = y - bag.half_depth * (0.2 - 0.5 * (frame.patient.bowel_gas - 0.3))
        gas = frame.canvas.cover(frame.canvas.y[window] - np.float32(level), 1.0)
        hu = frame.materials.lumen + 12 * frame.canvas.grain[window]
        hu = hu + gas * (frame.materials.gas - hu)
        frame.canvas.fill(window, cover, Ink(0.0), hu)
