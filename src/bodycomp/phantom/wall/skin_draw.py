"""Drawing how skin and subcutaneous fat differ: where it collects, folds, scars."""

from __future__ import annotations

import numpy as np

from bodycomp.phantom.draw import Draw
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import DEGREES, SIN, Floats
from bodycomp.phantom.wall.wall_variety import Crease, SkinVariety

_SIDES = (-1.0, 1.0)


def draw_skin(draw: Draw, patient: PatientParameters) -> SkinVariety:
    """Return skin and subcutaneous fat of one patient."""
    sheath = draw.between(0.25, 0.8)
    return SkinVariety(
        thickness=draw.factor(0.6, 2.0),
        hull=draw.between(0.5, 0.95) if patient.bmi_kg_m2 < 20 else draw.between(0.6, 0.98),
        span=150 if patient.bmi_kg_m2 < 20 else int(draw.between(150.0, 360.0)),
        fat=_fat_tables(draw, patient),
        press=draw.between(0.05, 0.75),
        flat=draw.between(-0.3, 0.6),
        rest_slope=draw.between(-0.12, 0.02),
        navel=(draw.factor(0.6, 2.5), draw.factor(0.5, 1.15)),
        scarpa=(draw.between(0.2, 0.75), draw.between(0.0, 0.8)),
        navel_stalk=draw.chance(0.6),
        sheath_mm=sheath,
        linea_mm=sheath + draw.between(0.1, 1.2),
        creases=_creases(draw, patient),
    )


def _fat_tables(draw: Draw, patient: PatientParameters) -> tuple[Floats, Floats, Floats]:
    """Factors of the fat over the angle at three levels: belly, flank and back each their own."""
    lean = draw.between(-0.12, 0.12)
    behind = draw.factor(0.55, 2.3)
    flank = draw.factor(0.6, 1.6)
    shallow = float(np.clip((34 - patient.bmi_kg_m2) / 10, 0.15, 1.0))
    spine = draw.factor(0.45, 1.15) ** shallow
    tables = []
    for _ in range(3):
        values = (
            draw.factor(0.8, 1.25), draw.factor(0.8, 1.25), flank * draw.factor(0.85, 1.2),
            behind * draw.factor(0.8, 1.25), behind * draw.factor(0.8, 1.25), spine * behind,
        )  # fmt: skip
        if draw.held_out:
            table = np.exp(
                np.log(values[0]) * np.cos(np.radians(DEGREES))
                + np.log(behind) * np.clip(-np.cos(np.radians(DEGREES)), 0, 1) ** 0.7
                + np.log(flank) * np.square(SIN)
            )
            table *= 1 - (1 - min(spine, 1.0)) * np.exp(-(((180 - DEGREES) / 9.0) ** 2))
        else:
            table = np.interp(DEGREES, (0, 40, 90, 130, 155, 180), values)
        tables.append(np.asarray(table * (1 + lean * SIN), dtype=np.float32))
    return tables[0], tables[1], tables[2]


def _creases(draw: Draw, patient: PatientParameters) -> tuple[Crease, ...]:
    heavy = float(np.clip((patient.bmi_kg_m2 - 22) / 12, 0.15, 1.0))
    creases = [_fold(draw) for _ in range(int(draw.rng.binomial(3, 0.5 * heavy)))]
    if draw.chance(0.35 * heavy):
        creases += _hanging_belly(draw)
    if draw.chance(0.25):
        creases += _waist(draw)
    if draw.chance(0.3):
        bulge = draw.between(0.1, 0.6)
        wide = draw.between(0.25, 0.5)
        creases += [Crease(15.5, 3.5, side * 2.05, wide, -bulge) for side in _SIDES]
    if draw.chance(0.25):
        creases.append(_scar(draw))
    return tuple(creases)


def _fold(draw: Draw) -> Crease:
    """A fold of flank or back."""
    side = float(draw.rng.choice(_SIDES))
    theta = side * float(np.radians(draw.between(70.0, 158.0)))
    u, along = draw.between(11.0, 17.5), draw.between(0.15, 0.6)
    return Crease(u, along, theta, draw.factor(0.02, 0.12), draw.between(0.2, 0.85))


def _hanging_belly(draw: Draw) -> list[Crease]:
    """The apron of the lower belly with the groove on either side that it hangs over."""
    u, depth, place = draw.between(16.3, 18.5), draw.between(0.3, 0.9), draw.between(0.75, 1.4)
    grooves = [Crease(u, 0.6, side * place, draw.factor(0.03, 0.12), depth) for side in _SIDES]
    return [*grooves, Crease(u, 1.3, 0.0, 0.8 * place, -draw.between(0.1, 0.6))]


def _waist(draw: Draw) -> list[Crease]:
    """The dent of a waistband, or of a slender waist, in both flanks."""
    u, depth = draw.between(14.2, 16.8), draw.between(0.1, 0.4)
    return [Crease(u, draw.between(0.15, 0.5), side * 1.7, 0.9, depth) for side in _SIDES]


def _scar(draw: Draw) -> Crease:
    """A scar, of the midline in most; its streak runs through the fat to the fascia."""
    midline = draw.chance(0.6)
    theta = 0.06 * draw.between(-0.5, 0.5) if midline else draw.between(-1.6, 1.6)
    u, along = draw.between(13.5, 17.0), draw.between(0.5, 1.8)
    return Crease(u, along, theta, draw.factor(0.015, 0.05), draw.between(0.05, 0.5), scar=True)
