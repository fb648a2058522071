"""Subcutaneous fat: how thick it lies on the fascia around the body, and where the skin dips."""

from __future__ import annotations

import numpy as np

from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import DEGREES, THETA, Floats, knots, plateau


def fat_thickness_mm(u: float, patient: PatientParameters, mean_mm: float) -> Floats:
    """Return the thickness of subcutaneous fat over the angle; ``mean_mm`` is that at L3."""
    male = patient.sex == "M"
    along = knots(
        u,
        (0, 3, 6, 9, 12, 14, 15, 16.5, 18, 20, 22, 26),
        (
            0.5,
            0.45,
            0.42,
            0.5,
            0.7,
            0.92,
            1.0,
            1.12,
            *((1.1, 1.1, 1.0, 1.0) if male else (1.3, 1.45, 1.4, 1.3)),
        ),
    )
    droop = patient.fat_droop
    low = float(np.clip((u - 12) / 3.0, 0.0, 1.0))
    shape = np.interp(
        DEGREES,
        (0, 25, 60, 95, 125, 148, 165, 180),
        (
            *(1.15 - 0.25 * droop, 1.12 - 0.2 * droop, 0.85, 0.8 + 0.15 * droop),
            *(0.9 + 0.25 * low + 0.25 * droop, 0.95 + 0.2 * low + 0.2 * droop, 0.8, 0.6),
        ),
    )
    breast: Floats | float = 0.0
    if not male:
        swell = plateau(DEGREES, 22, 62, 34) * knots(u, (4, 6, 7.5, 9, 10.2), (0, 0.8, 1, 0.5, 0))
        breast = swell * (14 + 0.9 * mean_mm)
    buttock = plateau(DEGREES, 118, 172, 30) * knots(u, (17, 19, 22), (0, 0.5, 0.8))
    fat = mean_mm * along * (shape + buttock) + breast
    return np.asarray(np.maximum(fat, 1.5), dtype=np.float32)


def skin_dents_mm(u: float, navel_u: float, fat: Floats) -> Floats:
    """Return how deep the skin is drawn in at the navel and between the buttocks, in mm."""
    depth = np.exp(-(((u - navel_u) / 0.16) ** 2)) * 0.85
    notch = depth * fat * np.exp(-((THETA / 0.045) ** 2))
    crease = 3.0 * knots(u, (8, 12, 19, 20.5, 23), (0, 0, 1, 8, 14))
    valley = crease * np.exp(-(((DEGREES - 180) / 5.0) ** 2))
    return np.asarray(notch + valley, dtype=np.float32)
