"""Phantoms of physics: what is scanned to test a scanner, a water cylinder with inserts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bodycomp.phantom.acquisition.surroundings import paint_table
from bodycomp.phantom.canvas import Canvas, Capsule, Ellipse, Ink


def render_physics_phantom(
    rng: np.random.Generator, matrix: tuple[int, int] = (512, 512), field_mm: float = 400.0
) -> NDArray[np.int16]:
    """Return (row, column) HU of a slice of a random phantom on the table.

    Args:
        rng: What is drawn from.
        matrix: Rows and columns.
        field_mm: Width of the image.
    """
    pixel_mm = field_mm / matrix[1]
    x = (np.arange(matrix[1]) - (matrix[1] - 1) / 2).astype(np.float32) * np.float32(pixel_mm)
    y = (np.arange(matrix[0]) - (matrix[0] - 1) / 2).astype(np.float32) * np.float32(pixel_mm)
    across, down = np.meshgrid(x, y)
    canvas = Canvas(across, down, pixel_mm, pixel_mm * 0.5 + 1.0)
    radius = float(rng.uniform(70, 170))
    deep = radius * float(rng.choice([1.0, 1.0, 0.7]))
    x0, y0 = rng.normal(0, 8, 2).tolist()
    if rng.random() < 0.7:
        paint_table(canvas, y0 + deep, 0.0)
    shell_hu, fill_hu = float(rng.uniform(60, 180)), float(rng.choice([0, 0, 0, -95, 40, 90]))
    canvas.ellipse(Ellipse(x0, y0, radius, deep), Ink(shell_hu))
    shell = float(rng.uniform(2, 12))
    canvas.ellipse(Ellipse(x0, y0, radius - shell, deep - shell), Ink(fill_hu))
    inserts = int(rng.integers(0, 13))
    ring = float(rng.uniform(0.35, 0.75))
    for k in range(inserts):
        angle = 2 * np.pi * k / inserts
        place = (x0 + ring * radius * float(np.cos(angle)), y0 + ring * deep * float(np.sin(angle)))
        size = float(rng.uniform(3, 0.16 * radius))
        hu = float(rng.choice([-1000, -200, -100, -35, 50, 120, 340, 900, 1500]))
        canvas.ellipse(Ellipse(*place, size, size), Ink(hu))
    if rng.random() < 0.2:
        for k in range(8):
            bar = Capsule(x0 - 20, y0 - 30 + 8 * k, x0 + 20, y0 - 30 + 8 * k, 2.0 - 0.2 * k, 1.0)
            canvas.capsule(bar, Ink(1000.0))
    noise = rng.normal(0.0, float(rng.uniform(2, 25)), canvas.hu.shape)
    return np.clip(np.rint(canvas.hu + noise), -1024, 3071).astype(np.int16)
