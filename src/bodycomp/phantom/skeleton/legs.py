"""Thighs, knees, lower legs and feet: crude, never labelled.

They are there so that a network has seen what is not the trunk. Depths are mm below the hip joints
for a person of 1700 mm.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bodycomp.phantom.canvas import Canvas, Capsule, Ellipse, Ink
from bodycomp.phantom.materials import Materials
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import knots, presence
from bodycomp.phantom.skeleton.levels import SpineCurve

THIGH_U: Final = 24.7
"""The trunk's contours end here."""

_AT: Final = (0, 60, 250, 400, 430, 480, 560, 700, 820, 860, 900, 930)
_RADIUS_MM: Final = (96, 90, 74, 62, 60, 57, 58, 46, 34, 36, 38, 24)
_SOLE_MM: Final = 930.0


class Legs:
    """Immutable legs of one patient, lying on the table."""

    def __init__(
        self,
        patient: PatientParameters,
        curve: SpineCurve,
        materials: Materials,
        table_y: float,
    ) -> None:
        rng = np.random.default_rng([patient.anatomy_seed, 13, 3])
        self._patient, self._curve, self._materials = patient, curve, materials
        self._scale = patient.height_scale
        self._table_y = table_y
        build = 0.55 + 0.017 * patient.bmi_kg_m2 + float(rng.normal(0, 0.05))
        self._build = float(np.clip(build, 0.72, 1.35))
        female = patient.sex == "F"
        lean = 4.0 + (9.0 if female else 5.0) * max(patient.bmi_kg_m2 - 17, 0) / 9
        self._fat_mm = float(np.clip(lean * rng.uniform(0.7, 1.3), 3, 34))
        self._apart = float(rng.uniform(0.92, 1.5))
        self._turn_deg = rng.normal(12, 10, 2)
        self._raised = rng.uniform(0, 40, 2) * (rng.random() < 0.4)
        self._stem = rng.random(2) < 0.05
        self._wasting = float(rng.uniform(0, 0.35))

    def paint(self, canvas: Canvas, z_mm: float) -> None:
        """Paint the slice at ``z_mm``, below ``THIGH_U``."""
        depth = (self._curve.z_at(THIGH_U) - z_mm) / self._scale
        if depth > _SOLE_MM:
            return
        for place, side in enumerate((-1.0, 1.0)):
            self._paint_leg(canvas, depth, side, place)
        if not self._patient.arms_up:
            self._paint_hands(canvas, depth)

    def _paint_leg(self, canvas: Canvas, depth: float, side: float, place: int) -> None:
        m, s = self._materials, self._scale
        radius = knots(depth, _AT, _RADIUS_MM) * self._build * s
        out = max(88 * self._apart * s, radius * (0.9 if depth < 80 else 1.02))
        x, y = side * out, self._table_y - radius - float(self._raised[place]) * (depth > 150)
        foot = knots(depth, (850, 890, 925), (1.0, 1.7, 3.0))
        leg = canvas.turned(x, y, float(self._turn_deg[place]) * side)
        y -= (foot - 1) * radius * 0.7
        fat_mm = min(self._fat_mm * knots(depth, (0, 300, 450, 850), (1.1, 0.8, 0.5, 0.3)), radius)
        leg.ellipse(Ellipse(x, y, radius, radius * foot), Ink(15.0))
        inner = radius - 2
        leg.ellipse(Ellipse(x, y, inner, radius * foot - 2), Ink(m.fat, 0, 5.0))
        meat = max(inner - fat_mm, 10.0)
        soft = knots(depth, (395, 420, 480, 520, 800, 850), (1, 0.45, 0.45, 1, 0.9, 0.4))
        hu = m.fat + 20 + (m.muscle - m.fat - 20) * soft * (1 - self._wasting)
        leg.ellipse(Ellipse(x, y, meat, meat * foot), Ink(hu, 0, 12.0))
        if depth < 380 or 520 < depth < 780:
            for k in range(5):
                angle = 0.5 + k * 1.256 + depth * 0.002
                ray = (float(np.sin(angle)), float(np.cos(angle)))
                septum = Capsule(
                    *(x + 18 * ray[0], y + 18 * ray[1], x + meat * ray[0], y + meat * ray[1]),
                    *(1.0 + 3 * self._wasting, 1.5 + 4 * self._wasting),
                )
                leg.capsule(septum, Ink(m.fat + 15), 0.7)
        leg.ellipse(Ellipse(x - side * 16, y - 6, 4, 4), Ink(m.aorta))
        leg.ellipse(Ellipse(x - side * 16, y + 3, 5, 4.5), Ink(m.vein))
        self._paint_bones(leg, depth, (x, y, side), bool(self._stem[place]))

    def _paint_bones(
        self, leg: Canvas, depth: float, at: tuple[float, float, float], stem: bool
    ) -> None:
        s, m = self._scale, self._materials
        x, y, side = at
        cortex, marrow = Ink(1000.0), Ink(m.marrow - 110)
        spongy = Ink(m.marrow + 60, 0, 20)
        if depth < 75:  # the trochanters, then the shaft
            wide = knots(depth, (0, 30, 75), (34, 26, 16)) * s
            limb = Capsule(
                x - side * (24 - 0.3 * depth), y + 4, x + side * 14, y + 8, wide, wide * 0.8
            )
            leg.capsule(limb, Ink(560.0))
            core = Capsule(limb.x0, limb.y0, limb.x1, limb.y1, wide - 3, wide * 0.8 - 3)
            leg.capsule(core, spongy)
        elif depth < 400:
            wide = knots(depth, (75, 150, 350, 400), (16, 14, 15, 22)) * s
            leg.ellipse(Ellipse(x, y - 4, wide, wide), cortex)
            leg.ellipse(Ellipse(x, y - 4, wide * 0.55, wide * 0.55), marrow)
        elif depth < 520:
            wide = knots(depth, (400, 430, 462, 490, 520), (24, 40, 38, 37, 22)) * s
            leg.ellipse(Ellipse(x, y, wide, wide * 0.72), Ink(600.0))
            leg.ellipse(Ellipse(x, y, wide - 2.5, wide * 0.72 - 2.5), spongy)
            gap = presence(depth, 456, 463, 3)
            leg.ellipse(Ellipse(x, y, wide, wide * 0.6), Ink(70.0), 1.0, gap)
            cap = Ellipse(x, y - 42 * s, 21 * s, 9 * s)
            leg.ellipse(cap, Ink(700.0), 0.0, presence(depth, 405, 450, 6))
            leg.ellipse(
                Ellipse(cap.x, cap.y, 18 * s, 6 * s), spongy, 0.0, presence(depth, 408, 447, 6)
            )
        elif depth < 850:
            wide = knots(depth, (520, 600, 760, 850), (17, 14, 12.5, 22)) * s
            leg.ellipse(Ellipse(x - side * 8, y - 14 * s, wide, wide * 1.1), cortex)
            leg.ellipse(Ellipse(x - side * 8, y - 14 * s, wide * 0.5, wide * 0.6), marrow)
            leg.ellipse(Ellipse(x + side * 22 * s, y + 2, 6.5 * s, 6 * s), cortex)
        else:
            for k in range(-2, 3):
                ray = Capsule(x + k * 5 * s, y + 8, x + k * 11 * s, y - 60 * s, 8 * s, 6 * s)
                leg.capsule(ray, Ink(480.0), presence(depth, 875, 925, 12))
            leg.ellipse(Ellipse(x, y + 16 * s, 20 * s, 24 * s), Ink(420.0, 0, 20.0))
        if stem and depth < 160:
            leg.ellipse(Ellipse(x, y - 2, 7, 7), Ink(3071.0))

    def _paint_hands(self, canvas: Canvas, depth: float) -> None:
        part = presence(depth, -20, 110, 12)
        for side in (-1.0, 1.0):
            x = side * (190 * self._build * self._apart**0.4 + 40) * self._scale
            y = self._table_y - 60
            wide = knots(depth, (0, 60, 110), (22, 18, 14)) * self._scale
            canvas.ellipse(Ellipse(x, y, wide, 42 * self._scale), Ink(25.0, 0, 12.0), 0.0, part)
            for k in range(4):
                spot = Ellipse(x, y - 27 + 18 * k, 4.5, 5)
                canvas.ellipse(spot, Ink(520.0), 0.0, part)
