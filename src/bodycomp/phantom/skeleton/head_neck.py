"""Head, neck and shoulders of a patient who is scanned beyond the trunk: crude, never labelled.

They are there so that a network has seen what is not the trunk. Heights are mm above the middle of
T1 for a person of 1700 mm (lengths read off CT and Gray's Anatomy, by eye).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bodycomp.phantom.canvas import Canvas, Capsule, Ellipse, Ink
from bodycomp.phantom.materials import Materials
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import knots, presence
from bodycomp.phantom.skeleton.levels import SpineCurve

NECK_U: Final = 0.4
"""The trunk's contours end here."""

_SKULL_HU: Final = 900.0
_BRAIN_HU: Final = 34.0


class HeadNeck:
    """Immutable head and neck of one patient."""

    def __init__(self, patient: PatientParameters, curve: SpineCurve, materials: Materials) -> None:
        rng = np.random.default_rng([patient.anatomy_seed, 13, 2])
        self._patient, self._curve, self._materials = patient, curve, materials
        self._scale = patient.height_scale**0.6 * float(rng.uniform(0.93, 1.07))
        self._bulk = float(
            np.clip(0.72 + 0.012 * patient.bmi_kg_m2 + rng.normal(0, 0.06), 0.8, 1.4)
        )
        self._nod = float(rng.normal(-0.25, 0.2))
        self._turn_deg = float(rng.normal(0, 8))
        self._long = float(rng.uniform(0.85, 1.15))
        self._chin = float(rng.normal(0, 8))
        self._ventricle = float(rng.uniform(0.5, 1.6))
        self._arm_x = float(rng.uniform(95, 165))
        self._thyroid_hu = 105.0 + max(materials.vein - 60, 0)

    def paint(self, canvas: Canvas, z_mm: float) -> None:
        """Paint the slice at ``z_mm``, above ``NECK_U``."""
        height = (z_mm - self._curve.z_at(1.0)) / (self._scale * self._long)
        x, y = self._curve.center_mm(NECK_U)
        y += self._nod * max(height - 10.0, 0.0)
        if self._patient.arms_up:
            self._paint_raised_arms(canvas, height, y)
        turned = canvas.turned(x, y - 20, self._turn_deg)
        if height < 128:
            self._paint_neck(turned, height, x, y)
        if height > 92:
            self._paint_head(turned, height, x, y)
        if height < 150:
            self._paint_vertebra(turned, height, x, y)

    def paint_shoulders(self, canvas: Canvas, u: float, half_width_mm: float) -> None:
        """Paint shoulders with humeral heads beside the upper trunk; arms may be up or down."""
        part = presence(u, -0.3, 3.6, 0.5)
        if part < 0.05:
            return
        scale, meat = self._patient.height_scale, Ink(self._materials.muscle, 0, 6.0)
        x0, y0 = self._curve.center_mm(u)
        swell = float(np.exp(-(((u - 1.8) / 1.4) ** 2)))
        for side in (-1.0, 1.0):
            out = half_width_mm + 34 * scale * swell
            wide, deep = 52 * scale * (0.5 + 0.5 * swell), 50 * scale * (0.55 + 0.45 * swell)
            x, y = x0 + side * out, y0 - 22 * scale
            fat_mm = 2.0 + 0.3 * max(self._patient.bmi_kg_m2 - 17, 0.0)
            canvas.ellipse(Ellipse(x, y, wide, deep), Ink(15.0), 0.0, part)
            inner = Ellipse(x, y, wide - 2, deep - 2)
            canvas.ellipse(inner, Ink(self._materials.fat, 0, 6.0), 0.0, part)
            belly = Ellipse(x, y, wide - 2 - fat_mm, deep - 2 - fat_mm)
            canvas.ellipse(belly, meat, 0.0, part)
            head = float(np.clip(1 - ((u - 1.9) / 1.3) ** 2, 0, 1)) ** 0.5 * 25 * scale
            if head > 3:
                canvas.ellipse(Ellipse(x - side * 6, y, head, head), Ink(620.0))
                core = Ellipse(x - side * 6, y, head - 3, head - 3)
                canvas.ellipse(core, Ink(self._materials.marrow + 70))
            collar = Capsule(x0 + side * 20, y0 - 62 * scale, x - side * 8, y0 - 30, 5.5, 6.5)
            canvas.capsule(collar, Ink(560.0), presence(u, 0.9, 1.9, 0.3))

    def _paint_raised_arms(self, canvas: Canvas, height: float, y: float) -> None:
        for side in (-1.0, 1.0):
            out = side * (self._arm_x + 25 * float(np.exp(-((height / 50) ** 2))))
            bulk = knots(height, (-20, 40, 150, 260, 330), (58, 50, 44, 40, 44)) * self._bulk
            arm = Ellipse(out, y + 10, bulk, bulk * 0.95)
            canvas.ellipse(arm, Ink(15.0))
            fat = Ellipse(out, y + 10, bulk - 2, bulk * 0.95 - 2)
            canvas.ellipse(fat, Ink(self._materials.fat, 0, 5.0))
            meat = max(bulk * 0.95 - 4 - 0.3 * (self._patient.bmi_kg_m2 - 15), 8.0)
            canvas.ellipse(Ellipse(out, y + 10, meat, meat), Ink(self._materials.muscle, 0, 5.0))
            canvas.ellipse(Ellipse(out, y + 10, 11.5, 11.5), Ink(820.0))
            canvas.ellipse(Ellipse(out, y + 10, 7.0, 7.0), Ink(self._materials.marrow - 100))

    def _paint_neck(self, canvas: Canvas, height: float, x: float, y: float) -> None:
        s, m = self._scale, self._materials
        wide = knots(height, (0, 20, 50, 128), (78, 66, 57, 56)) * s * self._bulk
        deep = knots(height, (0, 20, 50, 128), (60, 58, 58, 62)) * s * self._bulk
        fat_mm = 2.0 + 0.25 * max(self._patient.bmi_kg_m2 - 17, 0.0)
        mid = y - 14 * s
        canvas.ellipse(Ellipse(x, mid, wide, deep), Ink(15.0))
        canvas.ellipse(Ellipse(x, mid, wide - 2, deep - 2), Ink(m.fat + 4, 0, 6.0))
        inner_wide, inner_deep = wide - 2 - fat_mm, deep - 2 - fat_mm
        canvas.ellipse(Ellipse(x, mid, inner_wide, inner_deep), Ink(m.fat + 25, 0, 10.0))
        meat = Ink(m.muscle, 0, 8.0)
        for side in (-1.0, 1.0):
            canvas.ellipse(
                Ellipse(x + side * 21 * s, mid + 0.52 * inner_deep, 21 * s, 0.42 * inner_deep), meat
            )
            canvas.ellipse(Ellipse(x + side * 24 * s, y, 11 * s, 14 * s), meat)
            strap = Capsule(
                *(x + side * 0.72 * inner_wide, mid + 2),
                *(x + side * 0.55 * inner_wide, mid - 0.45 * inner_deep, 7 * s, 6 * s),
            )
            canvas.capsule(strap, meat)
            canvas.ellipse(Ellipse(x + side * 25 * s, y - 22 * s, 4 * s, 4 * s), Ink(m.aorta))
            canvas.ellipse(Ellipse(x + side * 33 * s, y - 18 * s, 7 * s, 5 * s), Ink(m.vein))
            lobe = presence(height, 18, 58, 8)
            gland = Ellipse(x + side * 15 * s, y - 36 * s, 8 * s, 11 * s)
            canvas.ellipse(gland, Ink(self._thyroid_hu), 1.0, lobe)
        canvas.ellipse(Ellipse(x, y - 20 * s, 9 * s, 5 * s), Ink(40.0))
        throat = knots(height, (70, 90), (0, 1))
        canvas.ellipse(Ellipse(x, y - 36 * s, 10.5 * s, 11 * s), Ink(110.0), 0.0, 1 - throat)
        air = Ellipse(x, y - (36 - 8 * throat) * s, 8.5 * s + 4 * throat, (9 - 4 * throat) * s)
        canvas.ellipse(air, Ink(m.gas))
        if height > 82:
            self._paint_jaw(canvas, height, x, y)

    def _paint_jaw(self, canvas: Canvas, height: float, x: float, y: float) -> None:
        s, part = self._scale, presence(height, 84 + self._chin, 126, 8)
        front, back = y - 92 * s, y - 22 * s
        mouth = Ellipse(x, (front + back) / 2, 44 * s, 40 * s)
        canvas.ellipse(mouth, Ink(self._materials.muscle, 0, 12.0), 2.0, part)
        for side in (-1.0, 1.0):
            limb = Capsule(x + side * 46 * s, back, x + side * 10 * s, front, 7 * s, 6 * s)
            canvas.capsule(limb, Ink(900.0), part)
            canvas.capsule(
                Capsule(limb.x0, limb.y0, limb.x1, limb.y1, 4.0 * s, 3.0 * s), Ink(320.0), part
            )
            tooth = Capsule(
                x + side * 30 * s, y - 60 * s, x + side * 8 * s, front + 6 * s, 4 * s, 4 * s
            )
            canvas.capsule(tooth, Ink(1800.0), presence(height, 104, 126, 4))

    def _paint_vertebra(self, canvas: Canvas, height: float, x: float, y: float) -> None:
        s, m = self._scale, self._materials
        v = height / 17.5 % 1.0
        body = 0.0 if 0.4 < v < 0.6 else 1.0
        hu = m.disc + body * (m.marrow + 110 - m.disc)
        canvas.ellipse(Ellipse(x, y, 13.5 * s, 9 * s), Ink(hu + 250 * body))
        canvas.ellipse(Ellipse(x, y, 11.5 * s, 7 * s), Ink(hu, 0, 20.0))
        ring = Ellipse(x, y + 17 * s, 17 * s, 12 * s)
        canvas.ellipse(ring, Ink(480.0), 0.0, 0.4 + 0.6 * body)
        canvas.ellipse(Ellipse(x, y + 16 * s, 11 * s, 8 * s), Ink(m.canal))
        canvas.ellipse(Ellipse(x, y + 16 * s, 6 * s, 4 * s), Ink(m.canal + 14))
        spine = Capsule(x, y + 27 * s, x, y + (36 + 10 * (height < 30)) * s, 3 * s, 3.5 * s)
        canvas.capsule(spine, Ink(480.0), float(v < 0.5))
        for side in (-1.0, 1.0):
            mass = Ellipse(x + side * 20 * s, y + 6 * s, 6 * s, 8 * s)
            canvas.ellipse(mass, Ink(450.0), 0.0, 0.9)

    def _paint_head(self, canvas: Canvas, height: float, x: float, y: float) -> None:
        s, m = self._scale, self._materials
        away = (height - 215) / (120.0 if height > 215 else 190.0)
        if abs(away) >= 1:
            return
        size = float(np.sqrt(1 - away * away)) * s
        mid = y - 30 * s
        wide, deep = 77 * size, 98 * size
        canvas.ellipse(Ellipse(x, mid, wide, deep), Ink(20.0))
        canvas.ellipse(Ellipse(x, mid, wide - 2, deep - 2), Ink(m.fat + 60, 0, 30.0))
        bony = knots(height, (120, 155), (0.0, 1.0))
        shell = 5.0 + 5.0 * abs(away)
        skull = Ellipse(x, mid, wide - 6, deep - 6)
        canvas.ellipse(skull, Ink(_SKULL_HU), 1.0, max(bony, 0.35))
        inner = Ellipse(x, mid, wide - 6 - shell, deep - 6 - shell)
        face = m.muscle - 20
        canvas.ellipse(inner, Ink(_BRAIN_HU * bony + face * (1 - bony), 0, 4.0 + 30 * (1 - bony)))
        if height < 190:
            self._paint_face(canvas, height, x, mid, size)
        if 205 < height < 285:
            big = self._ventricle * float(np.clip(1 - ((height - 240) / 40) ** 2, 0, 1))
            for side in (-1.0, 1.0):
                horn = Capsule(
                    *(x + side * 9 * s, mid - 24 * s, x + side * 14 * s, mid + 22 * s),
                    *(5 * big, 6 * big),
                )
                canvas.capsule(horn, Ink(6.0))
        if height > 225:
            falx = Capsule(x, mid - inner.half_depth, x, mid + inner.half_depth, 0.8, 1.2)
            canvas.capsule(falx, Ink(70.0), 0.8)

    def _paint_face(self, canvas: Canvas, height: float, x: float, mid: float, size: float) -> None:
        """Petrous bone, sinuses, nose and eyes."""
        gas = Ink(self._materials.gas)
        for side in (-1.0, 1.0):
            pyramid = Capsule(
                x + side * 62 * size, mid + 20 * size, x + side * 14 * size, mid - 2, 15 * size, 6
            )
            canvas.capsule(pyramid, Ink(1100.0), presence(height, 140, 172, 10))
            cells = Ellipse(x + side * 56 * size, mid + 28 * size, 9 * size, 7 * size)
            canvas.ellipse(cells, Ink(-350.0), 1.0, presence(height, 138, 165, 8))
            sinus = Ellipse(x + side * 26 * size, mid - 58 * size, 16 * size, 17 * size)
            shown = presence(height, 122, 156, 8)
            wall = Ellipse(sinus.x, sinus.y, sinus.half_width + 2, sinus.half_depth + 2)
            canvas.ellipse(wall, Ink(500.0), 0.0, shown)
            canvas.ellipse(sinus, gas, 0.0, shown)
            socket = Ellipse(x + side * 33 * size, mid - 68 * size, 19 * size, 21 * size)
            seen = presence(height, 156, 192, 6)
            canvas.ellipse(socket, Ink(self._materials.fat), 1.0, seen)
            ball = Ellipse(socket.x, socket.y - 8 * size, 12 * size, 12 * size)
            canvas.ellipse(ball, Ink(18.0), 1.0, presence(height, 163, 186, 6))
        nose = Ellipse(x, mid - 62 * size, 9 * size, 24 * size)
        canvas.ellipse(nose, gas, 0.0, 0.8 * presence(height, 118, 172, 8))
        center = Capsule(x, mid - 84 * size, x, mid - 36 * size, 1.2, 1.2)
        canvas.capsule(center, Ink(350.0), presence(height, 118, 172, 8))
        front = Ellipse(x, mid - 82 * size, 18 * size, 7 * size)
        canvas.ellipse(front, gas, 0.0, presence(height, 176, 196, 5))
