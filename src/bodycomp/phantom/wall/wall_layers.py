"""What the layers of the trunk wall measure around the body, from neck to thigh.

Three muscle sheets: in the abdomen transversus, internal and external oblique, and in front the
rectus; in the chest the intercostals, and outside pectorals, serratus, latissimus and trapezius;
in the pelvis the iliacus with room for the bone, gluteus medius and gluteus maximus. On them lies
subcutaneous fat. In the pelvis the contours bend to the line that the iliac wings follow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from bodycomp.phantom.draw import Pair
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import BIN_WIDTH, COS, DEGREES, SIN, THETA, Floats, knots, plateau
from bodycomp.phantom.wall.wall_variety import (
    FlankVariety,
    RectusVariety,
    SkinVariety,
    WallVariety,
    by_side,
)

WING_ROOM_MM = 10.0
"""Thickness of the wall kept free for an iliac wing."""


@dataclass(frozen=True, eq=False)
class Wing:
    """Left iliac wing cut at one level, in the polar frame of the trunk.

    Attributes:
        radii: Distance of the wing's middle plane along each ray, in mm; far where missed.
        start_deg: Angle of the front end, away from the front.
        stop_deg: Angle of the rear end.
    """

    radii: Floats
    start_deg: float
    stop_deg: float


_BELOW = (0.0, 0.5, 1.0, 2.0, 2.8, 3.6, 5.0, 7.0)


def wing_at(below_crest: float, scale: float, ahead_mm: float) -> Wing:
    """Return the wing ``below_crest`` vertebrae below the crest's highest point.

    The wing runs nearly straight from its front spine to its rear spine at the sacrum (ends
    read off axial CT); ``ahead_mm`` is how far the trunk's centre lies before the vertebral body.
    """
    front_x = knots(below_crest, _BELOW, (118, 122, 122, 118, 114, 102, 94, 88)) * scale
    front_y = knots(below_crest, _BELOW, (-8, -24, -40, -82, -116, -130, -126, -110)) * scale
    rear_x = knots(below_crest, _BELOW, (108, 88, 74, 61, 55, 62, 80, 84)) * scale
    rear_y = knots(below_crest, _BELOW, (10, 28, 40, 45, 40, 8, -50, -80)) * scale
    front_y, rear_y = front_y + ahead_mm, rear_y + ahead_mm
    run_x, run_y = rear_x - front_x, rear_y - front_y
    crossing = np.abs(SIN) * run_y + COS * run_x
    reach = (front_x * run_y - front_y * run_x) / np.where(np.abs(crossing) > 1e-3, crossing, 1e-3)
    start = float(np.degrees(np.arctan2(front_x, -front_y)))
    stop = float(np.degrees(np.arctan2(rear_x, -rear_y)))
    along = np.clip((DEGREES - start) / max(stop - start, 1.0), 0.0, 1.0)
    bulge = 5.0 * np.sin(along * np.pi) - 2.0 * np.sin(along * 2 * np.pi)
    radii = np.where(reach > 0, np.minimum(reach + bulge * scale, 400.0), 400.0)
    return Wing(np.asarray(radii, dtype=np.float32), start, stop)


def sheet_thickness(
    u: float, crest: float, cavity: Floats, variety: WallVariety
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
    edge = edge * variety.rectus.width
    rectus = _rectus(arc, edge, line, variety.rectus, u)
    rectus = rectus * knots(u, (8.5, 10.5, 13, 17, 22.5, 24), (0, 5, 8.5, 10, 13, 0))
    upper = knots(u, (13.4, 15), (variety.flank.upper, 1.0))
    along = plateau(arc, edge + variety.flank.start_mm, 1e4, variety.flank.start_ramp_mm)
    sheets: list[Floats] = []
    for stop, size in zip(variety.flank.stop_deg, variety.flank.size, strict=True):
        flank = along * _run_out(stop, variety.flank)
        flank = flank * abdomen * (1 - pelvis * plateau(DEGREES, 75, 181, 30))
        flank = flank * knots(u, (13, 15, 17, 19, 21), (0.85, 1.0, 0.9, 0.6, 0.3))
        sheets.append(flank * np.float32(size * upper))
    ribs = chest * (9.5 + 0 * DEGREES) * plateau(DEGREES, 8, 1e4, 6)
    iliacus = pelvis * plateau(DEGREES, 62, 138, 24) * knots(u, (17, 18, 20, 22), (8, 13, 14, 12))
    wing = plateau(DEGREES, 58, 150, 12) * pelvis * WING_ROOM_MM
    medius = pelvis * plateau(DEGREES, 84, 146, 44) * variety.flank.gluteal
    medius = medius * knots(u, (16.5, 18, 20, 22, 24), (2, 20, 36, 34, 30))
    maximus = pelvis * plateau(DEGREES, 112, 171, 22) * variety.flank.gluteal
    maximus = maximus * knots(u, (17, 18.5, 20, 22, 25), (0, 12, 26, 36, 32))
    inner = 4.5 * sheets[0] + iliacus + wing + rectus + 0.5 * ribs
    middle = 9.0 * sheets[1] + medius + 0.5 * ribs
    chest_muscles = _chest_muscles(u, variety.flank.latissimus)
    outer = 7.5 * sheets[2] + maximus + chest_muscles * (1 - pelvis)
    apart = np.maximum(
        np.minimum(sheets[1], 1),
        np.maximum(np.minimum(chest_muscles / 5, 1), pelvis * (DEGREES > 60)),
    )
    apart = gaussian_filter1d(apart.astype(np.float32), 6, mode="wrap")
    inner, middle, outer = (sheet.astype(np.float32) for sheet in (inner, middle, outer))
    return inner, middle, outer, apart


def _run_out(stop_deg: Pair, flank: FlankVariety) -> Floats:
    """Share of a flank muscle's thickness over the angle, where it ends behind."""
    share = plateau(DEGREES, -1e4, by_side(stop_deg), flank.taper_deg)
    return share if flank.power == 1.0 else share ** np.float32(flank.power)


def _rectus(
    arc: NDArray[np.floating], edge: float, line: float, rectus: RectusVariety, u: float
) -> NDArray[np.floating]:
    """Share of the rectus' thickness along the wall, from the linea alba to its edge."""
    line = max(line + rectus.linea_at(u), 0.8)
    edge = max(edge, line + 14.0)
    share = plateau(arc, line, edge, 7)
    if rectus.lens:
        off = np.clip((arc - (line + edge) / 2) / (0.5 * (edge - line)), -1.0, 1.0)
        share = share * (1 + 0.25 * rectus.lens - rectus.lens * off * off)
    return share * rectus.thickness_at(u)


def _chest_muscles(u: float, latissimus: float) -> Floats:
    """Thickness in mm of pectorals, serratus, latissimus and trapezius over the angle."""
    pectoral = plateau(DEGREES, 14, 78, 20) * knots(u, (1, 3, 5, 7, 8.2), (8, 19, 15, 6, 0))
    serratus = plateau(DEGREES, 66, 116, 20) * knots(u, (3, 5, 9, 12, 13), (4, 9, 9, 5, 0))
    lat = plateau(DEGREES, 108, 146, 18) * knots(u, (3, 5, 8, 11, 13.5, 15), (12, 16, 13, 9, 5, 0))
    lat = lat * np.float32(latissimus)
    trapezius = plateau(DEGREES, 148, 177, 10) * knots(u, (0, 3, 7, 10.5, 12), (12, 9, 6, 4, 0))
    return np.asarray(pectoral + serratus + lat + trapezius + 0 * SIN, dtype=np.float32)


def fat_thickness_mm(u: float, patient: PatientParameters, mean_mm: float) -> Floats:
    """Return the thickness of subcutaneous fat over the angle; ``mean_mm`` is that at L3."""
    male = patient.sex == "M"
    hips = (1.1, 1.1, 1.0, 1.0) if male else (1.3, 1.45, 1.4, 1.3)
    along = knots(
        u,
        (0, 3, 6, 9, 12, 14, 15, 16.5, 18, 20, 22, 26),
        (*(0.5, 0.45, 0.42, 0.5, 0.7, 0.92, 1.0, 1.12), *hips),
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


def skin_dents_mm(u: float, navel_u: float, fat: Floats, skin: SkinVariety) -> Floats:
    """Return how deep the skin is drawn in at navel, folds and between the buttocks, in mm."""
    depth = np.exp(-(((u - navel_u) / 0.16) ** 2)) * 0.85 * skin.navel[1]
    notch = depth * fat * np.exp(-((THETA / (0.045 * skin.navel[0])) ** 2))
    crease = 3.0 * knots(u, (8, 12, 19, 20.5, 23), (0, 0, 1, 8, 14))
    valley = crease * np.exp(-(((DEGREES - 180) / 5.0) ** 2))
    dents = notch + valley
    for furrow in skin.creases:
        if furrow.reaches(u):
            dents = dents + np.float32(furrow.depth) * furrow.profile_at(u) * fat
    return np.asarray(dents, dtype=np.float32)
