"""Lungs, diaphragm, heart and mediastinum; and the map of what lies below the diaphragm."""

from __future__ import annotations

import numpy as np

from bodycomp.anatomy import VISCERAL_FAT
from bodycomp.phantom.canvas import Capsule, Ellipse, Ink
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.shapes import Floats, knots, presence

_DIAPHRAGM_MM = 3.0


def paint_cavity(frame: SliceFrame) -> Floats:
    """Fill the cavity with lung above and visceral fat below the diaphragm.

    Returns:
        (row, column), how much of a pixel belongs to the abdominal cavity.
    """
    canvas, grid = frame.canvas, frame.grid
    if frame.u > 14.6:
        fat = Ink(frame.materials.fat, VISCERAL_FAT.label, 6.0)
        canvas.fill(grid.window, grid.cavity[grid.window], fat)
        return grid.cavity
    window = grid.window
    depth = _below_diaphragm(frame)
    slope = np.float32(max(frame.thickness_mm, 2.0) + 1.0)
    lung = np.clip(0.5 - depth / slope, 0.0, 1.0) * grid.cavity[window]
    muscle = np.clip(0.5 + depth / slope, 0.0, 1.0) * grid.cavity[window]
    below = np.clip(0.5 + (depth - _DIAPHRAGM_MM) / slope, 0.0, 1.0) * grid.cavity[window]
    air = frame.materials.lung + 35 * canvas.blotch[window] + 12 * canvas.grain[window]
    vessels = np.clip((canvas.grain[window] - 1.7) * 1.5, 0, 0.8)
    air = air + vessels * (20.0 - air)
    canvas.fill(window, lung, Ink(0.0), air)
    canvas.fill(window, muscle, Ink(frame.materials.muscle))
    canvas.fill(window, below, Ink(frame.materials.fat, VISCERAL_FAT.label, 6.0))
    inside = np.zeros(canvas.hu.shape, dtype=np.float32)
    inside[window] = below
    return inside


def _below_diaphragm(frame: SliceFrame) -> Floats:
    """Return how far (mm) each pixel of the body window lies below the diaphragm's domes."""
    canvas, section = frame.canvas, frame.section
    window = frame.grid.window
    x = (canvas.x[window] - np.float32(section.x)) * np.float32(1 / section.half_width)
    y = (canvas.y[window] - np.float32(section.y)) * np.float32(1 / section.back)
    shift = frame.patient.inspiration_level
    depth: Floats | None = None
    for side, top_u in ((-1.0, 9.2), (1.0, 9.75)):
        top = frame.curve.z_at(top_u + shift)
        across = (x - np.float32(0.42 * side)) / np.float32(0.52)
        along = (y + np.float32(0.36)) / np.float32(1.12)
        bowl = across * across + along * along
        fall = np.float32(38.0 * frame.scale) * bowl + np.float32(9.0 * frame.scale) * bowl * bowl
        below = np.float32(top - frame.z_mm) - fall
        if depth is None:
            depth = below
        else:
            blend = np.maximum(36.0 - np.abs(depth - below), 0.0)
            depth = np.maximum(depth, below) + blend * blend * np.float32(0.25 / 36.0)
    assert depth is not None
    base = frame.curve.z_at(11.9 + shift) - frame.z_mm
    lowest = np.float32(base) - y * np.float32(frame.pitch_mm)
    return np.asarray(np.maximum(depth, lowest), dtype=np.float32)


def paint_mediastinum(frame: SliceFrame, below: Floats) -> None:
    """Paint heart, great vessels, airways and gullet; all unlabelled, fat included."""
    if frame.u > 12.6:
        return
    canvas, section, u, scale = frame.canvas, frame.section, frame.u, frame.scale
    materials = frame.materials
    above = frame.grid.cavity - below
    fat = Ink(materials.fat + 8)
    wide = knots(u, (0, 2, 4, 6, 8, 10, 11), (42, 38, 36, 44, 52, 40, 24)) * scale
    middle = Ellipse(
        section.x + knots(u, (3, 6, 9), (0, 6, 14)) * scale,
        section.y - knots(u, (2, 6, 9, 11), (0, 10, 22, 10)) * scale,
        wide, knots(u, (0, 4, 8, 10, 11), (34, 52, 62, 46, 30)) * scale,
    )  # fmt: skip
    canvas.ellipse(middle, fat, 0.0, above)
    canvas.ellipse(
        Ellipse(section.spine_x, section.spine_y - 8, 26 * scale, 28 * scale), fat, 0.0, above
    )
    _paint_heart(frame, above)
    _paint_upper_vessels(frame)
    gullet = Ellipse(
        section.spine_x + 6, section.spine_y - knots(u, (1, 6, 11), (16, 24, 34)) * scale, 8, 6
    )
    canvas.ellipse(gullet, Ink(38.0), 0.0, presence(u, -5, 11.4, 0.4))


def _paint_heart(frame: SliceFrame, above: Floats) -> None:
    section, u, scale = frame.section, frame.u, frame.scale
    shift = 0.7 * frame.patient.inspiration_level
    zeta = (u - 8.2 - shift) / 2.3
    if abs(zeta) >= 1:
        return
    size = float(1 - zeta * zeta) ** 0.5 * scale
    x = section.x + (14 + 10 * zeta) * scale
    y = section.y - (26 + 12 * zeta) * scale
    muscle = 45 + 0.5 * (frame.materials.vein - 40)
    frame.canvas.ellipse(Ellipse(x, y, 64 * size, 50 * size, 28), Ink(muscle), 1.0, above)
    for dx, dy, a, b, hu in (
        (18, 4, 20, 14, frame.materials.aorta), (-28, -8, 20, 18, frame.materials.vein),
        (-8, -18, 24, 12, frame.materials.vein), (-6, 24, 24, 14, frame.materials.aorta),
    ):  # fmt: skip
        room = Ellipse(x + dx * size, y + dy * size, a * size, b * size, 28)
        frame.canvas.ellipse(room, Ink(0.7 * hu + 13), 2.0, above)


def _paint_upper_vessels(frame: SliceFrame) -> None:
    """Arch, ascending aorta, pulmonary trunk, great veins, trachea and main bronchi."""
    section, u, scale, canvas = frame.section, frame.u, frame.scale, frame.canvas
    x, y = section.x, section.y
    artery, vein = Ink(frame.materials.aorta), Ink(frame.materials.vein)
    arch = Capsule(x - 10, y - 22 * scale, x + 24 * scale, y + 14 * scale, 13 * scale, 11.5 * scale)
    canvas.capsule(arch, artery, presence(u, 4.1, 4.9, 0.3))
    rising = Ellipse(x - 12 * scale, y - 20 * scale, 15 * scale, 15 * scale)
    canvas.ellipse(rising, artery, 0.0, presence(u, 4.8, 7.0, 0.2))
    trunk = Capsule(x + 14 * scale, y - 24 * scale, x + 20 * scale, y - 4, 13 * scale, 9 * scale)
    canvas.capsule(trunk, vein, presence(u, 5.3, 6.6, 0.2))
    cava = Ellipse(x - 30 * scale, y - 10 * scale, 9 * scale, 8 * scale)
    canvas.ellipse(cava, vein, 0.0, presence(u, 2.0, 6.6, 0.3))
    for dx in (-20.0, -4.0, 16.0):
        branch = Ellipse(x + dx * scale, y - 14 * scale + 0.3 * dx, 5.5, 5.5)
        canvas.ellipse(branch, artery, 0.0, presence(u, 0.0, 4.1, 0.3))
    airway = Ink(-980.0)
    canvas.ellipse(Ellipse(x, y + 8 * scale, 8.5, 8.0), airway, 0.0, presence(u, -6, 5.1, 0.3))
    for side in (-1.0, 1.0):
        bronchus = Ellipse(x + side * 18 * (u - 4.7) * scale, y + 10 * scale, 7.5, 6, side * 20)
        canvas.ellipse(bronchus, airway, 0.0, presence(u, 5.1, 6.3, 0.2))
