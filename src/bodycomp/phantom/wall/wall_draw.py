"""Drawing a patient's :class:`WallVariety`: wide ranges for varied and held-out anatomy."""

from __future__ import annotations

from typing import Final

import numpy as np

from bodycomp.phantom.draw import Draw, Pair
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.wall.skin_draw import draw_skin
from bodycomp.phantom.wall.wall_variety import (
    Cleft,
    FlankVariety,
    MuscleShape,
    OutlineVariety,
    RectusVariety,
    SkinVariety,
    SpinalMuscles,
    WallVariety,
)

_STREAM: Final = 11

STANDARD: Final = WallVariety(
    OutlineVariety(), FlankVariety(), RectusVariety(), SkinVariety(), None
)
"""The wall of the standard patient: neutral in every field."""


def wall_variety(patient: PatientParameters) -> WallVariety:
    """Return how the wall and back of ``patient`` differ from the standard patient's."""
    if patient.anatomy == "standard":
        return STANDARD
    rng = np.random.default_rng([patient.anatomy_seed, _STREAM])
    draw = Draw(rng, held_out=patient.anatomy == "held-out")
    fat = _fat_in_muscle(draw, patient)
    return WallVariety(
        _outline(draw),
        _flank(draw, patient, fat),
        _rectus(draw, patient, fat),
        draw_skin(draw, patient),
        _spinal(draw, patient, fat),
    )


def _fat_in_muscle(draw: Draw, patient: PatientParameters) -> float:
    """Share of fat in the erector spinae; rises with age, and some people are far off."""
    age = np.clip((patient.age_years - 30) / 60, 0.0, 1.0)
    usual = 0.12 * age * draw.between(0.0, 2.0)
    return float(usual + (draw.between(0.05, 0.35) if draw.chance(0.2) else 0.0))


def _outline(draw: Draw) -> OutlineVariety:
    return OutlineVariety(
        aspect=draw.factor(0.88, 1.15),
        power=draw.between(-0.25, 0.7),
        wave=draw.wave(0.025),
        rear_mm=draw.between(-4.0, 9.0),
        gutter=draw.between(-0.25, 0.3),
        along=tuple(draw.between(0.94, 1.06) for _ in range(6)),
    )


def _flank(draw: Draw, patient: PatientParameters, fat: float) -> FlankVariety:
    inner = draw.pair(112.0, 146.0, 0.15)
    middle_back, outer_back = draw.between(-4.0, 14.0), draw.between(-4.0, 20.0)
    thin = 0.7 if patient.bmi_kg_m2 < 19 else 1.0
    overall = draw.factor(0.55, 1.25) * thin
    tight = draw.chance(0.3)
    gap = (0.0, 0.0) if tight else (draw.factor(0.3, 2.6), draw.factor(0.3, 3.2))
    return FlankVariety(
        stop_deg=(
            inner,
            (inner[0] - middle_back, inner[1] - middle_back),
            (inner[0] - outer_back, inner[1] - outer_back),
        ),
        taper_deg=draw.between(6.0, 46.0),
        power=draw.factor(1.9, 3.0) if draw.held_out else draw.factor(0.6, 1.7),
        start_mm=draw.between(3.0, 26.0),
        start_ramp_mm=draw.between(16.0, 64.0),
        size=(
            overall * draw.factor(0.6, 1.3),
            overall * draw.factor(0.7, 1.3),
            overall * draw.factor(0.7, 1.3),
        ),
        upper=draw.factor(0.4, 1.2),
        gap=gap,
        gap_wave=draw.wave(0.3),
        wave=draw.wave(0.1),
        latissimus=draw.factor(0.4, 1.4),
        gluteal=draw.factor(0.5, 1.25),
        hu=draw.between(-8.0, 4.0),
        fat=min(fat * draw.between(0.0, 1.2), 0.5),
    )


def _rectus(draw: Draw, patient: PatientParameters, fat: float) -> RectusVariety:
    middle = draw.between(14.6, 16.2)
    high = draw.between(12.6, 14.2)
    return RectusVariety(
        width=draw.factor(0.75, 1.35),
        thickness=draw.pair(0.4, 1.3, 0.2),
        linea_mm=draw.between(-4.5, 6.0),
        diastasis_mm=draw.between(4.0, 24.0) if draw.chance(0.25) else 0.0,
        lens=draw.between(0.0, 0.75),
        bands_u=(high, middle) if draw.chance(0.6) else (),
        fat=min(fat * draw.between(0.0, 1.2), 0.5),
    )


def _spinal(draw: Draw, patient: PatientParameters, fat: float) -> SpinalMuscles:
    weak = int(draw.rng.integers(2)) if draw.chance(0.1) else -1
    erector = _erectors(draw, fat)
    quadratus = _quadrati(draw, fat)
    psoas = _psoas(draw, fat)
    if weak >= 0:
        share, more = draw.between(0.55, 0.85), draw.between(0.05, 0.35)
        erector = _weakened(erector, weak, share, more)
        psoas = _weakened(psoas, weak, share, more)
    multifidus = min(fat * draw.between(0.8, 3.0) + 0.03, 0.75)
    wide = draw.chance(0.35)
    clefts = (
        Cleft(
            draw.between(0.28, 0.46), draw.between(0.0, 0.5),
            draw.between(1.0, 4.5) if wide else draw.between(0.0, 1.2), draw.between(-0.4, 0.3),
            draw.between(-0.008, 0.008),
        ),
        Cleft(
            draw.between(0.58, 0.76), draw.between(0.0, 0.8),
            draw.between(0.4, 2.5) if wide else draw.between(0.0, 1.0), draw.between(-0.3, 0.5),
            draw.between(-0.008, 0.012),
        ),
    )  # fmt: skip
    return SpinalMuscles(
        erector,
        quadratus,
        psoas,
        clefts,
        (multifidus, min(multifidus * draw.factor(0.8, 1.25), 0.8)),
        draw.between(0.3, 6.0) if draw.chance(0.3) else draw.between(0.3, 1.6),
        draw.between(-0.12, 0.16),
        draw.chance(0.6),
        draw.factor(0.6, 2.4),
        draw.between(-7.0, 4.0),
        draw.between(-3.0, 6.0),
    )


def _weakened(
    pair: tuple[MuscleShape, MuscleShape], side: int, share: float, fat: float
) -> tuple[MuscleShape, MuscleShape]:
    """Return the muscles with one side wasted to ``share`` of its size and fatty."""
    old = pair[side]
    new = MuscleShape(
        old.dx, old.dy, old.width * share**0.4, old.front * share, old.back * share,
        old.angle_deg, old.power, old.medial_power, old.wave, min(old.fat + fat, 0.8),
    )  # fmt: skip
    return (new, pair[1]) if side == 0 else (pair[0], new)


def _both_sides(
    draw: Draw, size: Pair, shape: MuscleShape, depth: float
) -> tuple[MuscleShape, MuscleShape]:
    """Return ``shape`` in the size of each side, with small differences between the sides."""
    left_right = []
    for factor in size:
        jitter = draw.rng.uniform(-1.0, 1.0, 4)
        left_right.append(
            MuscleShape(
                shape.dx + 1.5 * float(jitter[0]),
                shape.dy + 1.5 * float(jitter[1]),
                shape.width * factor,
                shape.front * factor,
                shape.back * factor,
                shape.angle_deg + 4.0 * float(jitter[2]),
                shape.power,
                shape.medial_power,
                draw.wave(depth, 3),
                float(np.clip(shape.fat * (1 + 0.3 * jitter[3]), 0.0, 0.8)),
            )
        )
    return left_right[0], left_right[1]


def _erectors(draw: Draw, fat: float) -> tuple[MuscleShape, MuscleShape]:
    size = draw.pair(0.8, 1.15, 0.15)
    shape = MuscleShape(
        dx=draw.between(-1.5, 4.0),
        dy=draw.between(-5.0, 2.0),
        width=draw.factor(0.88, 1.18),
        front=draw.factor(0.75, 1.0),
        back=draw.factor(0.65, 1.02),
        angle_deg=draw.between(-24.0, 6.0),
        power=draw.between(1.8, 2.0) if draw.held_out else draw.between(2.0, 2.8),
        medial_power=draw.between(2.4, 5.5),
        wave=draw.wave(0.0),
        fat=min(fat, 0.6),
    )
    return _both_sides(draw, size, shape, 0.035)


def _quadrati(draw: Draw, fat: float) -> tuple[MuscleShape, MuscleShape]:
    size = draw.pair(0.65, 1.35, 0.15)
    depth = draw.factor(0.6, 1.5)
    shape = MuscleShape(
        dx=draw.between(-9.0, 9.0),
        dy=draw.between(-8.0, 4.0),
        width=draw.factor(0.7, 1.25),
        front=depth * draw.factor(0.8, 1.3),
        back=depth * draw.factor(0.8, 1.3),
        angle_deg=draw.between(-10.0, 34.0),
        power=draw.between(2.4, 3.4) if draw.held_out else draw.between(1.6, 2.4),
        medial_power=draw.between(1.7, 2.8),
        wave=draw.wave(0.0),
        fat=min(0.6 * fat, 0.5),
    )
    return _both_sides(draw, size, shape, 0.06)


def _psoas(draw: Draw, fat: float) -> tuple[MuscleShape, MuscleShape]:
    size = draw.pair(0.55, 1.4, 0.12)
    shape = MuscleShape(
        dx=draw.between(-3.0, 5.0),
        dy=draw.between(-8.0, 9.0),
        width=draw.factor(0.8, 1.25),
        front=draw.factor(0.75, 1.25),
        back=draw.factor(0.75, 1.25),
        angle_deg=draw.between(-30.0, 38.0),
        power=draw.between(1.7, 2.0) if draw.held_out else draw.between(2.0, 2.9),
        medial_power=draw.between(1.7, 2.8),
        wave=draw.wave(0.0),
        fat=min(fat * draw.between(0.1, 1.0), 0.6),
    )
    return _both_sides(draw, size, shape, 0.05)
