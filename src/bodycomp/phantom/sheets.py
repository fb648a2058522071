"""Thickness of the three muscle sheets of the trunk wall around the body, from neck to thigh.

In the abdomen the sheets are transversus, internal and external oblique, and in front the rectus;
in the chest the intercostals, and outside pectorals, serratus, latissimus and trapezius; in the
pelvis the iliacus with room for the bone, gluteus medius and gluteus maximus.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from bodycomp.phantom.pelvis_line import WING_ROOM_MM
from bodycomp.phantom.shapes import BIN_WIDTH, DEGREES, SIN, THETA, Floats, knots, plateau


def sheet_thickness(
    u: float, crest: float, cavity: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Thickness in mm of the inner, middle and outer sheet, and where fat parts them (0..1)."""
    step = np.hypot(cavity, np.gradient(cavity, THETA)) * BIN_WIDTH
    half = len(THETA) // 2
    arc = np.abs(np.cumsum(step) - np.cumsum(step)[half])
    abdomen = knots(u, (10.5, 12.5, 13.5), (0.0, 0.45, 1.0))
    pelvis = knots(u, (crest + 0.2, crest + 1.6), (0.0, 1.0))
    chest = (1 - abdomen) * (1.0 if u > 1 else 0.6)
    edge = knots(u, (10, 12, 15, 17, 20, 22.5), (58, 64, 62, 56, 42, 28))
    line = knots(u, (12, 15, 16.5, 18), (6.5, 6, 3, 2))
    rectus = plateau(arc, line, edge, 7) * knots(
        u, (8.5, 10.5, 13, 17, 22.5, 24), (0, 5, 8.5, 10, 13, 0)
    )
    flank = plateau(arc, edge + 11, 1e4, 24) * plateau(DEGREES, -1e4, 140, 24)
    flank = flank * abdomen * (1 - pelvis * plateau(DEGREES, 75, 181, 30))
    flank = flank * knots(u, (13, 15, 17, 19, 21), (0.85, 1.0, 0.9, 0.6, 0.3))
    ribs = chest * (9.5 + 0 * DEGREES) * plateau(DEGREES, 8, 1e4, 6)
    iliacus = pelvis * plateau(DEGREES, 62, 138, 24) * knots(u, (17, 18, 20, 22), (8, 13, 14, 12))
    wing = plateau(DEGREES, 58, 150, 12) * pelvis * WING_ROOM_MM
    medius = (
        pelvis
        * plateau(DEGREES, 84, 146, 44)
        * knots(u, (16.5, 18, 20, 22, 24), (2, 20, 36, 34, 30))
    )
    maximus = (
        pelvis
        * plateau(DEGREES, 112, 171, 22)
        * knots(u, (17, 18.5, 20, 22, 25), (0, 12, 26, 36, 32))
    )
    inner = 4.5 * flank + iliacus + wing + rectus + 0.5 * ribs
    middle = 9.0 * flank + medius + 0.5 * ribs
    outer = 7.5 * flank + maximus + _chest_muscles(u) * (1 - pelvis)
    apart = np.maximum(
        flank, np.maximum(np.minimum(_chest_muscles(u) / 5, 1), pelvis * (DEGREES > 60))
    )
    apart = gaussian_filter1d(apart.astype(np.float32), 6, mode="wrap")
    return (
        inner.astype(np.float32), middle.astype(np.float32), outer.astype(np.float32), apart
    )  # fmt: skip


def _chest_muscles(u: float) -> Floats:
    """Thickness in mm of pectorals, serratus, latissimus and trapezius over the angle."""
    pectoral = plateau(DEGREES, 14, 78, 20) * knots(u, (1, 3, 5, 7, 8.2), (8, 19, 15, 6, 0))
    serratus = plateau(DEGREES, 66, 116, 20) * knots(u, (3, 5, 9, 12, 13), (4, 9, 9, 5, 0))
    lat = plateau(DEGREES, 108, 146, 18) * knots(u, (3, 5, 8, 11, 13.5, 15), (12, 16, 13, 9, 5, 0))
    trapezius = plateau(DEGREES, 148, 177, 10) * knots(u, (0, 3, 7, 10.5, 12), (12, 9, 6, 4, 0))
    return np.asarray(pectoral + serratus + lat + trapezius + 0 * SIN, dtype=np.float32)
