"""Aorta, vena cava, their branches, and the small vessels of the mesentery."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bodycomp.phantom.canvas import Capsule, Ellipse, Ink
from bodycomp.phantom.content.content_variety import ContentVariety
from bodycomp.phantom.content.organ_variety import AortaVariety
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import Floats, knots, presence


def paint_great_vessels(frame: SliceFrame, fork_u: float) -> None:
    """Paint aorta and vena cava in front of the spine, and below ``fork_u`` the iliac vessels."""
    scale, u, materials = frame.scale, frame.u, frame.materials
    x0, y0 = frame.section.spine_x, frame.section.spine_y
    artery, vein = Ink(materials.aorta), Ink(materials.vein)
    age = 1.0 + 0.004 * (frame.patient.age_years - 50)
    if 5.0 < u < fork_u:
        radius = knots(u, (5, 11, 14, 16), (13, 12, 10, 8.5)) * scale * age
        x = x0 + knots(u, (5, 8, 11, 13, 16), (22, 20, 10, 7, 6)) * scale
        y = y0 - knots(u, (5, 8, 11, 13, 16), (14, 20, 28, 28, 28)) * scale
        if frame.content.organs is not None:
            _paint_varied_aorta(frame, frame.content.organs.aorta, (x, y, radius))
        else:
            frame.canvas.ellipse(Ellipse(x, y, radius, radius), artery)
        if frame.content.organs is None and frame.patient.age_years > 60 and np.sin(9 * u) > 0.3:
            plaque = Ellipse(x - radius * 0.75, y + radius * 0.5, 2.0, 1.3, 40)
            frame.canvas.ellipse(plaque, Ink(550.0), 0.0, 0.8)
    if 8.0 < u < 17.0:
        wide = knots(u, (8, 11, 13, 16, 17), (15, 15, 13, 13, 16)) * scale
        x = x0 - knots(u, (8, 11, 13, 16, 17), (30, 27, 20, 18, 15)) * scale
        y = y0 - knots(u, (8, 11, 13, 16), (48, 42, 30, 27)) * scale
        deep = wide * 0.75
        if frame.content.organs is not None:
            deep *= min(frame.content.organs.aorta.cava, 1.2)
        frame.canvas.ellipse(Ellipse(x, y, wide, deep), vein)
        if frame.content.organs is not None:
            _paint_filter(frame, frame.content.organs.aorta.filter_u, (x, y, 0.7 * wide))
    if u >= fork_u - 0.1:
        _paint_iliac(frame, artery, vein, fork_u - 16.2)
    if 13.0 < u < 16.2:
        ahead = knots(u, (13, 13.6, 16), (40, 46, 62)) * scale
        frame.canvas.ellipse(Ellipse(x0 + 6, y0 - ahead, 3.6, 3.6), artery)
        frame.canvas.ellipse(Ellipse(x0 - 7, y0 - ahead - 1, 5.2, 5.2), vein)
    _paint_renal(frame, vein, artery)


def _paint_varied_aorta(
    frame: SliceFrame, aorta: AortaVariety, usual: tuple[float, float, float]
) -> None:
    """Paint an aorta that may stray, be wide and hold clot, with plaques in its wall."""
    x, y, radius = usual
    bulge = float(np.exp(-(((frame.u - aorta.u) / aorta.half_u) ** 2)))
    wide = radius * (1 + (aorta.swell - 1) * bulge)
    x += aorta.shift_mm * bulge
    y -= wide - radius
    canvas = frame.canvas
    if aorta.thrombus * bulge > 0.05:
        canvas.ellipse(Ellipse(x, y, wide, wide), Ink(aorta.thrombus_hu, 0, 2.0))
        inner = wide * (1 - 0.9 * aorta.thrombus * bulge)
        canvas.ellipse(
            Ellipse(x, y + 0.5 * (wide - inner), inner, inner), Ink(frame.materials.aorta)
        )
    else:
        canvas.ellipse(Ellipse(x, y, wide, wide), Ink(frame.materials.aorta))
    rng = np.random.default_rng([frame.content.seed, 61, max(int(4 * frame.u), 0)])
    for sector in np.flatnonzero(rng.random(12) < aorta.plaques / 12):
        turn = (float(sector) + 0.5) * np.pi / 6
        plaque = Ellipse(
            x + wide * float(np.cos(turn)), y + wide * float(np.sin(turn)),
            float(rng.uniform(0.6, 1.6)), float(rng.uniform(1.0, 4.0)), float(np.degrees(turn)),
        )  # fmt: skip
        canvas.ellipse(plaque, Ink(aorta.plaque_hu), 0.5, 0.8)


def _paint_filter(frame: SliceFrame, level: float, place: tuple[float, float, float]) -> None:
    """Paint the struts of a filter in the vena cava."""
    if not level or abs(frame.u - level) > 0.6:
        return
    x, y, reach = place
    spread = reach * min(max((frame.u - level + 0.6) / 1.2, 0.05), 1.0)
    for turn in np.arange(6) * (np.pi / 3):
        strut = Ellipse(
            x + spread * float(np.cos(turn)), y + 0.7 * spread * float(np.sin(turn)), 0.8, 0.8
        )
        frame.canvas.ellipse(strut, Ink(2500.0))


def _paint_iliac(frame: SliceFrame, artery: Ink, vein: Ink, shift_u: float) -> None:
    """Common, then external iliac vessels; they part within two vertebrae of the fork."""
    scale, u = frame.scale, frame.u
    parting_u = u - shift_u * min(max((19.0 - u) / 2.0, 0.0), 1.0)
    spread = knots(parting_u, (16.2, 17, 18, 19, 20, 22, 24), (8, 18, 34, 48, 58, 72, 78)) * scale
    ahead = knots(u, (16.2, 17, 18, 19, 20, 22, 24), (28, 32, 44, 62, 84, 112, 122)) * scale
    x0, y0 = frame.section.spine_x, frame.section.spine_y
    for side in (-1.0, 1.0):
        spot = Ellipse(x0 + side * spread, y0 - ahead, 5.5 * scale, 5.5 * scale)
        frame.canvas.ellipse(spot, artery)
        if u > 16.9:
            lower = Ellipse(
                x0 + side * (spread - 5), y0 - ahead + 12 * scale, 7.5 * scale, 6 * scale
            )
            frame.canvas.ellipse(lower, vein)


def _paint_renal(frame: SliceFrame, vein: Ink, artery: Ink) -> None:
    """Paint the renal vessels at their level, which is that of the kidneys' middle."""
    level = 13.45 + frame.patient.kidney_shift_level * 0.5
    part = presence(frame.u, level - 0.14, level + 0.14, frame.ramp)
    if part < 0.02:
        return
    scale = frame.scale
    x0, y0 = frame.section.spine_x, frame.section.spine_y
    left = Capsule(x0 - 12 * scale, y0 - 36 * scale, x0 + 42 * scale, y0 - 16 * scale, 4.5, 4.0)
    right = Capsule(x0 - 20 * scale, y0 - 28 * scale, x0 - 44 * scale, y0 - 12 * scale, 4.5, 4.0)
    for limb in (left, right):
        frame.canvas.capsule(limb, vein, part)


class Mesentery:
    """Immutable fan of small mesenteric and omental vessels of one patient."""

    def __init__(self, patient: PatientParameters, content: ContentVariety) -> None:
        rng = np.random.default_rng([patient.anatomy_seed, 5])
        count = 70
        if content.fat is not None:
            count = round(count * content.fat.mesenteric_vessels)
        self._across: NDArray[np.float64] = rng.uniform(-0.75, 0.75, count)
        self._ahead: NDArray[np.float64] = rng.uniform(-0.05, 0.85, count)
        self._drift: NDArray[np.float64] = rng.normal(0, 0.12, (count, 2))
        self._phase: NDArray[np.float64] = rng.uniform(0, 6.28, count)
        self._top: NDArray[np.float64] = rng.uniform(12.6, 16.5, count)
        self._length: NDArray[np.float64] = rng.uniform(0.8, 3.0, count)
        self._radius: NDArray[np.float64] = rng.uniform(0.7, 1.9, count)
        self._run_mm = np.full(count, 3.5)
        self._fans, self._faint = np.zeros(count), np.ones(count)
        if content.fat is not None:
            own = np.random.default_rng([content.seed, 5])
            self._radius *= content.fat.vessel_mm
            self._radius *= own.uniform(0.45, 1.0, count)
            self._run_mm = own.gamma(1.3, 3.5, count)
            self._faint = own.uniform(0.35, 1.1, count)
            self._fans = (own.random(count) < 0.6).astype(np.float64)

    def paint(self, frame: SliceFrame, inside: Floats) -> None:
        """Paint the vessels that the slice cuts as short strands."""
        section = frame.section
        ink, thin = Ink(frame.materials.vein), inside * np.float32(0.75)
        alive = np.flatnonzero((frame.u > self._top) & (frame.u < self._top + self._length))
        for k in alive:
            age = frame.u - self._top[k]
            x = section.x + section.half_width * (self._across[k] + self._drift[k, 0] * age)
            y = section.y - section.front * (self._ahead[k] + self._drift[k, 1] * age)
            run = 1.0 + self._run_mm[k] * abs(np.sin(self._phase[k] + 2 * age))
            turn = self._phase[k]
            if self._fans[k]:
                turn = np.arctan2(y - section.spine_y + 50.0, x - section.spine_x)
            dx, dy = run * np.cos(turn), run * np.sin(turn)
            radius = float(self._radius[k])
            strand = Capsule(
                *(float(x - dx), float(y - dy), float(x + dx), float(y + dy)), radius, radius * 0.7
            )
            part = thin if self._faint[k] == 1.0 else thin * np.float32(self._faint[k])
            frame.canvas.capsule(strand, ink, part)
