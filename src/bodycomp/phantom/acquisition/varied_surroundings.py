"""Painting tables, mattresses, blankets, cables and arms of varied patients; all unlabelled."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from bodycomp.phantom.acquisition.surrounding_variety import Surroundings
from bodycomp.phantom.canvas import Canvas, Capsule, Ellipse, Ink, Window
from bodycomp.phantom.materials import Materials
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import ANGLES, THETA, Floats, knots
from bodycomp.phantom.trunk import TrunkSection


def paint_varied_table(
    canvas: Canvas, around: Surroundings, table_y: float, rotation_deg: float
) -> None:
    """Paint mattress and table under the body; they do not roll with the patient."""
    roll = np.radians(rotation_deg)
    cos, sin = np.float32(np.cos(roll)), np.float32(np.sin(roll))
    window = canvas.window(float(sin) * table_y, float(cos) * table_y, 260.0, 150.0)
    if window is None or around.table == "none":
        return
    x, y = canvas.x[window], canvas.y[window]
    across: Floats = np.abs(x * cos - y * sin)
    depth: Floats = y * cos + x * sin - np.float32(table_y + around.gap_mm)
    rise = np.square(across) * np.float32(around.table_curve_mm / 200.0**2)
    if around.table in ("flat", "trapezoid"):
        rise *= np.float32(0.25)
    if around.table == "cradle":
        rise = np.maximum(across - 60.0, 0.0) * np.float32(0.006 * around.table_curve_mm + 0.1)
    top = depth + rise
    half = 215.0 if around.table != "cradle" else 190.0
    if around.pad_mm > 1:
        pad = canvas.cover(np.abs(top - np.float32(0.5 * around.pad_mm)) - 0.5 * around.pad_mm)
        canvas.fill(window, pad * _within(canvas, across, half - 15), Ink(around.pad_hu))
    shell = top - np.float32(around.pad_mm + around.table_mm)
    _line(canvas, window, shell, _within(canvas, across, half), around)
    _paint_underside(canvas, window, shell, across, half, around)


def _within(canvas: Canvas, across: Floats, half: float) -> Floats:
    part = np.clip((np.float32(half) - across) / np.float32(canvas.pixel_mm), 0.0, 1.0)
    return np.asarray(part, dtype=np.float32)


def _line(
    canvas: Canvas, window: Window, depth: Floats, part: Floats, around: Surroundings
) -> None:
    cover = canvas.cover(np.abs(depth) - np.float32(around.table_mm)) * part
    canvas.fill(window, cover, Ink(around.table_hu))


def _paint_underside(
    canvas: Canvas,
    window: Window,
    shell: Floats,
    across: Floats,
    half: float,
    around: Surroundings,
) -> None:
    """Paint what a table has below its shell: a second shell, a trapezoid, foam, or rails."""
    deep = around.table_deep_mm
    part = _within(canvas, across, half)
    if around.table == "trapezoid":
        slant = np.float32(half) - across
        sides = np.clip(slant * np.float32(1 / (0.35 * half)), 0.0, 1.0)
        lower = np.asarray(shell - np.float32(deep) * sides, dtype=np.float32)
        _line(canvas, window, lower, part, around)
        return
    if around.table in ("flat", "double"):
        foam = canvas.cover(np.abs(shell - 0.5 * deep) - 0.5 * deep) * part
        canvas.fill(window, foam, Ink(-940.0))
        _line(canvas, window, shell, part, around)
        _line(canvas, window, shell - deep, _within(canvas, across, 0.9 * half), around)
    if around.table in ("trough", "double", "cradle"):
        sag = np.square(across) * np.float32(0.5 * deep / half**2)
        lower = np.asarray(shell - np.float32(deep) + sag, dtype=np.float32)
        _line(canvas, window, lower, _within(canvas, across, 0.62 * half), around)
        rail = canvas.cover(np.hypot(across - half, shell - 6.0) - 5.0)
        canvas.fill(window, rail, Ink(around.table_hu))


def paint_over(canvas: Canvas, around: Surroundings, section: TrunkSection, seed: int) -> None:
    """Paint a blanket and cables in the air around the skin."""
    for theta, away, radius, hu in around.cables:
        index = int(np.argmin(np.abs(THETA - theta))) % ANGLES
        at = float(section.skin[index]) + away + radius
        spot = Ellipse(
            section.x + at * float(np.sin(theta)), section.y - at * float(np.cos(theta)),
            radius, radius,
        )  # fmt: skip
        canvas.ellipse(spot, Ink(hu))
    if around.blanket_mm:
        _paint_blanket(canvas, around, section, seed)


def _paint_blanket(canvas: Canvas, around: Surroundings, section: TrunkSection, seed: int) -> None:
    """Paint a sheet from side to side over the front as short segments of a wavy line."""
    rng = np.random.default_rng([seed, 71])
    waves = rng.normal(0, 0.25, 24).cumsum() + 1.0
    ink = Ink(around.blanket_hu)
    points = []
    for theta, wave in zip(np.linspace(-1.5, 1.5, 24), waves, strict=True):
        index = int(np.argmin(np.abs(THETA - theta))) % ANGLES
        at = float(section.skin[index]) + around.blanket_mm * float(np.clip(wave, 0.2, 2.5)) + 2
        points.append(
            (section.x + at * float(np.sin(theta)), section.y - at * float(np.cos(theta)))
        )
    for start, end in pairwise(points):
        canvas.capsule(Capsule(*start, *end, 0.8, 0.8), ink, 0.8)


def paint_varied_arms(
    canvas: Canvas,
    patient: PatientParameters,
    materials: Materials,
    around: Surroundings,
    section: TrunkSection,
    place: tuple[float, float],
) -> None:
    """Paint arms at the sides, or forearms that lie over the belly."""
    u = section.u
    if around.arms == "up" or u < 1.5:
        return
    scale = patient.height_scale * around.arm_bulk * (0.85 + 0.006 * (patient.bmi_kg_m2 - 10))
    one = around.arms.startswith("one")
    crossed = around.arms.endswith("belly")
    sides = ((-1.0,), (1.0,))[patient.anatomy_seed % 2] if one else (-1.0, 1.0)
    for side in sides:
        if crossed and u > 12.7:
            _paint_forearm(canvas, (patient, materials), around.arm_gap_mm, section, side, scale)
        else:
            bulk = scale * knots(
                u, (1.5, 6, 12, 13, 17, 19.5, 21, 23.5), (62, 50, 42, 44, 34, 27, 36, 20)
            )
            x = side * (place[0] + bulk + around.arm_gap_mm)
            y = place[1] + around.arm_back_mm + 8 * side
            bones = ((0.0, 0.0, 11.5),) if u < 12.5 else ((-9.0, 4.0, 7.0), (9.0, -4.0, 7.5))
            _paint_limb(canvas, (patient, materials), ((x, y), (x + 3, y + 5)), bulk, bones)


def _paint_forearm(
    canvas: Canvas,
    who: tuple[PatientParameters, Materials],
    gap_mm: float,
    section: TrunkSection,
    side: float,
    scale: float,
) -> None:
    """Paint the forearm from beside the trunk to the front; the slice cuts it along its course."""
    level = 14.6 + 0.7 * side
    off = abs(section.u - level) / 1.5
    if off >= 1:
        return
    bulk = 33 * scale * float(np.sqrt(1 - off * off))
    if bulk < 6:
        return
    index = ANGLES // 2
    front = section.y - float(section.skin[index]) - bulk - max(gap_mm, 0.5)
    wide = float((section.skin * np.abs(np.sin(THETA))).max())
    start = (section.x + side * (0.85 * wide), front + 0.35 * float(section.skin[index]))
    end = (section.x - side * 0.1 * wide, front)
    bones = ((0.0, -6.0, 6.0), (0.0, 6.0, 6.0))
    _paint_limb(canvas, who, (start, end), bulk, bones)


def _paint_limb(
    canvas: Canvas,
    who: tuple[PatientParameters, Materials],
    ends: tuple[tuple[float, float], tuple[float, float]],
    bulk: float,
    bones: tuple[tuple[float, float, float], ...],
) -> None:
    """Paint skin, fat, muscle and bones around the line between two points."""
    (patient, materials), ((x0, y0), (x1, y1)) = who, ends
    fat_mm = min(2.0 + 0.25 * max(patient.bmi_kg_m2 - 18, 0.0), 0.5 * bulk)
    layers = (
        (0.0, Ink(15.0)), (1.8, Ink(materials.fat, 0, 5.0)),
        (fat_mm, Ink(materials.muscle, 0, 5.0)),
    )  # fmt: skip
    for inset, ink in layers:
        radius = bulk - inset
        canvas.capsule(Capsule(x0, y0, x1, y1, radius, 0.85 * radius), ink)
    scale = bulk / 36.0
    for dx, dy, radius in bones:
        size = min(radius * scale, 0.5 * bulk)
        for inset, ink in ((0.0, Ink(materials.cortical + 300)), (3.2, Ink(materials.marrow - 60))):
            if size > inset + 0.5:
                shape = Capsule(
                    x0 + dx * scale, y0 + dy * scale, x1 + dx * scale, y1 + dy * scale,
                    size - inset, size - inset,
                )  # fmt: skip
                canvas.capsule(shape, ink)
