"""What is not the trunk: arms at the sides and the table. Neither is labelled."""

from __future__ import annotations

import numpy as np

from bodycomp.phantom.canvas import Canvas, Ellipse, Ink
from bodycomp.phantom.materials import Materials
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import Floats, knots


def paint_table(canvas: Canvas, table_y: float, rotation_deg: float) -> None:
    """Paint a curved carbon table with a foam core; it does not roll with the patient."""
    roll = np.radians(rotation_deg)
    cos, sin = np.float32(np.cos(roll)), np.float32(np.sin(roll))
    window = canvas.window(float(sin) * table_y, float(cos) * table_y, 250.0, 75.0)
    if window is None:
        return
    x, y = canvas.x[window], canvas.y[window]
    across: Floats = x * cos - y * sin
    depth: Floats = y * cos + x * sin - np.float32(table_y + 3.0)
    depth += across * across * np.float32(1 / 1900.0)
    within: Floats = np.clip((230.0 - np.abs(across)) / canvas.pixel_mm, 0.0, 1.0)
    mat = canvas.cover(np.abs(depth - 4.0) - 3.0)
    core = canvas.cover(np.abs(depth - 22.0) - 14.0)
    shell = canvas.cover(np.abs(np.abs(depth - 22.0) - 13.0) - 0.7)
    for cover, hu in ((mat, -930.0), (core, -945.0), (shell, 60.0)):
        canvas.fill(window, cover * within, Ink(hu))


def paint_arms(
    canvas: Canvas,
    patient: PatientParameters,
    materials: Materials,
    u: float,
    place: tuple[float, float],
) -> None:
    """Paint both arms beside the trunk when they are down: skin, fat, muscle, bones; unlabelled.

    ``place`` is the half width of the trunk at this level and the depth of the arms, in mm.
    """
    if patient.arms_up or u < 1.5:
        return
    scale = patient.height_scale
    bulk = knots(u, (1.5, 6, 12, 13, 17, 19.5, 21, 23.5), (62, 50, 42, 44, 34, 27, 36, 20)) * scale
    bulk *= 0.85 + 0.006 * (patient.bmi_kg_m2 - 10)
    for side in (-1.0, 1.0):
        x, y = side * (place[0] + bulk + 4.0), place[1] + 8 * side
        fat_mm = 2.0 + 0.25 * (patient.bmi_kg_m2 - 18)
        canvas.ellipse(Ellipse(x, y, bulk, bulk * 1.08), Ink(15.0))
        canvas.ellipse(Ellipse(x, y, bulk - 1.8, bulk * 1.08 - 1.8), Ink(materials.fat, 0, 5.0))
        meat = max(bulk - fat_mm, 6.0)
        canvas.ellipse(Ellipse(x, y, meat, meat * 1.05), Ink(materials.muscle, 0, 5.0))
        bones = ((0.0, 0.0, 11.5),) if u < 12.5 else ((-9.0, 4.0, 7.0), (9.0, -4.0, 7.5))
        for dx, dy, radius in bones:
            spot = Ellipse(x + dx * scale, y + dy * scale, radius * scale, radius * scale)
            canvas.ellipse(spot, Ink(materials.cortical + 300))
            hollow = Ellipse(spot.x, spot.y, spot.half_width - 3.5, spot.half_depth - 3.5)
            canvas.ellipse(hollow, Ink(materials.marrow - 60))
