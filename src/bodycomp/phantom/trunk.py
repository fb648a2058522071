"""The nested contours of the trunk at one level: cavity, muscle wall, fascia, fat, skin.

All are tables of radius over angle around one centre in front of the spine. From inside: the
cavity (lungs or abdomen); an inner, a middle and an outer muscle sheet with fat between them; the
bellies of the back muscles; the fascia around all muscle; subcutaneous fat; skin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter1d, grey_closing

from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import (
    BIN_WIDTH,
    COS,
    DEGREES,
    THETA,
    Floats,
    knots,
    ray_to_ellipse,
    ray_to_line,
    smooth_max,
    smooth_min,
    superellipse,
    wavy,
)
from bodycomp.phantom.skeleton.levels import SpineCurve
from bodycomp.phantom.wall.back_shapes import (
    MuscleOutline,
    muscle_outline,
    outline_reach,
    quadratus_place,
)
from bodycomp.phantom.wall.wall_draw import wall_variety
from bodycomp.phantom.wall.wall_layers import (
    WING_ROOM_MM,
    fat_thickness_mm,
    sheet_thickness,
    skin_dents_mm,
    wing_at,
)
from bodycomp.phantom.wall.wall_variety import WallVariety

# Inner half width, depth in front of and behind the centre, the centre's distance in front of the
# vertebral body centre, in mm at 1700 mm height and little visceral fat (fitted by eye to CT).
_U: Final = (-6, *range(1, 6), *range(7, 25), 26)
_HALF_WIDTH: Final = (
    *(50, 70, 90, 102, 112, 120, 129, 131, 132, 131, 130, 128, 124, 119, 116),
    *(114, 113, 110, 102, 90, 78, 70, 64, 58, 50),
)
_FRONT: Final = (
    *(30, 38, 45, 52, 60, 68, 82, 88, 94, 98, 100, 99, 94, 84, 75, 70, 66, 64, 64, 64, 62, 60, 56),
    *(50, 40),
)
_BACK: Final = (
    *(30, 40, 48, 54, 60, 66, 77, 80, 80, 79, 77, 74, 71, 69, 67, 63, 54, 44, 46, 52, 56, 58, 56),
    *(50, 40),
)
_AHEAD: Final = (
    *(12, 18, 24, 28, 33, 37, 44, 45, 45, 44, 42, 39, 35, 29, 25, 26, 32, 46, 60, 72, 80, 84, 84),
    *(80, 78),
)
_BELLY_U: Final = (6, 9, 11, 13, 15, 16, 17, 18, 20, 22)
_BELLY: Final = (0.0, 0.15, 0.45, 0.85, 1.0, 1.0, 0.85, 0.6, 0.25, 0.0)

BACK_AND_PSOAS_CM2: Final = 88.0
"""Area at mid-L3 of erector spinae, quadratus and psoas for muscles of average size at 1700 mm."""

_MIDLINE_BINS: Final = 45


@dataclass(frozen=True, eq=False)
class TrunkSection:
    """Contours of the trunk at the level coordinate ``u``; radii in mm around (x, y).

    ``sheets`` holds (inner radius, outer radius) of the three muscle sheets, from inside;
    ``erectors`` and ``quadrati`` the back muscles of varied patients; those of standard ones are
    where the trunk says.
    """

    u: float
    x: float
    y: float
    spine_x: float
    spine_y: float
    half_width: float
    front: float
    back: float
    cavity: Floats
    sheets: tuple[tuple[Floats, Floats], ...]
    fascia: Floats
    fat_mm: Floats
    skin: Floats
    skin_mm: float
    variety: WallVariety
    erectors: tuple[MuscleOutline, ...]
    quadrati: tuple[MuscleOutline, ...]
    navel_u: float


class Trunk:
    """Immutable recipe for the trunk contours of one patient at any level."""

    def __init__(self, patient: PatientParameters, curve: SpineCurve) -> None:
        rng = np.random.default_rng([patient.anatomy_seed, 2])
        self._patient, self._curve = patient, curve
        male = patient.sex == "M"
        self._chest = (1.05 if male else 0.97) * (1.0 + 0.004 * (patient.bmi_kg_m2 - 25))
        self._pelvis = 0.96 if male else 1.04
        self.variety = variety = wall_variety(patient)
        self.skin_mm = float(rng.uniform(1.4, 2.2)) * variety.skin.thickness
        self._fat_wave = wavy(rng, 0.09)
        self._wall_wave = wavy(rng, 0.03) * variety.flank.wave
        self._shape_wave = wavy(rng, 0.008) * variety.outline.wave
        self._navel_u = float(rng.normal(16.0, 0.15))
        self.muscle, self.fat_mm, self._grown = 1.0, 15.0, 1.0
        self._match_areas()
        self.table_y = self._lowest_point()

    def _match_areas(self) -> None:
        """Choose muscle size and fat thickness so that the areas at mid-L3 meet their aims."""
        patient = self._patient
        muscle_cm2 = patient.skeletal_muscle_cm2 * (1.0 + 0.35 * patient.muscle_fat_fraction)
        content_cm2 = 155.0 * patient.height_scale**2 + 0.07 * patient.skeletal_muscle_cm2 - 12.0
        cavity_cm2 = content_cm2 + 1.08 * patient.visceral_fat_cm2
        beside_spine = BACK_AND_PSOAS_CM2 * self.variety.spinal_area
        for _ in range(8):
            part = self._free_section(15.0)
            ratio = cavity_cm2 / _ring_cm2(np.zeros_like(part.cavity), part.cavity)
            self._grown = float(np.clip(self._grown * ratio**0.45, 0.76, 1.7))
            walls = sum(_ring_cm2(low, high) for low, high in part.sheets)
            spinal = beside_spine * (patient.height_scale * self.muscle**0.7) ** 2
            self.muscle *= float(np.clip(muscle_cm2 / (walls + spinal), 0.6, 1.6)) ** 0.9
            under_skin = part.skin - np.float32(part.skin_mm)
            ratio = patient.subcutaneous_fat_cm2 / _ring_cm2(part.fascia, under_skin)
            self.fat_mm *= float(np.clip(ratio, 0.5, 2.0))
        self.muscle = float(np.clip(self.muscle, 0.4, 1.7))

    def _lowest_point(self) -> float:
        """Depth of the table: the body's weight flattens the fat and skin that reach lowest."""
        lowest = -1e3
        for u in range(5, 23):
            part = self._free_section(float(u))
            lowest = max(lowest, float((part.y - part.skin * np.cos(THETA)).max()))
        press = self.variety.skin.press
        return lowest - min(40.0 * press, press * self.fat_mm)

    def section(self, u: float) -> TrunkSection:
        """Return the contours at ``u``, flattened where the back lies on the table."""
        free = self._free_section(u)
        cover = self.variety.skin
        lowest = self.table_y - free.y
        if cover.flat > 0:
            own = float((-free.skin * COS).max()) - cover.flat * float(free.fat_mm.mean())
            lowest = min(lowest, own)
        rest = ray_to_line(max(lowest, 20.0), cover.rest_slope)
        skin = smooth_min(free.skin, rest, 6.0)
        skin = np.maximum(skin, free.fascia + np.float32(self.skin_mm + 1.0))
        return TrunkSection(**{**free.__dict__, "skin": skin})

    def _free_section(self, u: float) -> TrunkSection:
        spine_x, spine_y = self._curve.center_mm(u)
        width, front, back, ahead = self._cavity_axes(u)
        y = spine_y - ahead
        outline = self.variety.outline
        power = knots(u, (8, 12, 15, 18), (2.1, 2.3, 2.5, 2.2))
        cavity = superellipse(width, front, back, power + outline.power)
        cavity = cavity * self._shape_wave
        lumbar = float(np.clip((u - 11.5) / 2.0, 0.0, 1.0))
        rear = ahead + knots(u, (10, 13, 15, 17), (30, 24, 22, 20)) + 30 * (1 - lumbar)
        behind = ray_to_line(rear + outline.rear_mm, 0.3 + outline.gutter)
        cavity = smooth_min(cavity, behind, 14.0)
        below = u - self._patient.iliac_crest_level
        if below > -0.3:
            wing = wing_at(max(below, 0.0), self._patient.height_scale, ahead)
            iliacus = knots(below, (-0.3, 0.5, 1.5, 3, 5), (-8, 2, 9, 13, 12)) * self.muscle
            inside = np.maximum(wing.radii - np.float32(iliacus + WING_ROOM_MM / 2), 20.0)
            cavity = smooth_min(cavity, inside, 12.0)
        sheets = self._sheets(u, cavity)
        fascia = sheets[-1][1]
        erectors, quadrati = self._erectors(u), self._quadrati(u)
        for reach in self._back_reaches(u, ahead, erectors):
            fascia = smooth_max(fascia, reach + 1.0, 8.0)
        if erectors:
            fascia = _bridged(fascia, [outline_reach(one, ahead, 1.0) for one in quadrati])
        cover = self.variety.skin
        fat = fat_thickness_mm(u, self._patient, self.fat_mm) * self._fat_wave * cover.fat_at(u)
        hull = grey_closing(fascia, (cover.span,), mode="wrap")
        skin = cover.hull * hull + (1 - cover.hull) * fascia + fat
        smooth = gaussian_filter1d(skin, knots(u, (8, 15, 20), (16.0, 16.0, 24.0)), mode="wrap")
        covered = np.maximum(smooth, fascia + 0.35 * fat) + self.skin_mm
        covered = covered - skin_dents_mm(u, self._navel_u, fat, cover)
        return TrunkSection(
            u, spine_x, y, spine_x, spine_y, width, front, back, cavity, sheets, fascia, fat,
            np.asarray(covered, dtype=np.float32),
            self.skin_mm, self.variety, erectors, quadrati, self._navel_u,
        )  # fmt: skip

    def _cavity_axes(self, u: float) -> tuple[float, float, float, float]:
        """Half width, front depth, back depth of the cavity and distance of its centre ahead."""
        scale = self._patient.height_scale
        belly = knots(u, _BELLY_U, _BELLY)
        grown = 1.0 + (self._grown - 1.0) * belly
        build = self._chest + (self._pelvis - self._chest) * min(max((u - 13) / 5.0, 0.0), 1.0)
        aspect = self.variety.outline.aspect
        build = build * self.variety.outline.width_at(u)
        width = knots(u, _U, _HALF_WIDTH) * scale * build * grown**0.85 * aspect
        back = knots(u, _U, _BACK) * scale * (1 + 0.25 * (grown - 1))
        depth = (knots(u, _U, _FRONT) + knots(u, _U, _BACK)) * scale * build * grown**1.15 / aspect
        return width, max(depth - back, 25.0), back, knots(u, _U, _AHEAD) * scale

    def back_bellies(self, u: float) -> tuple[tuple[float, float, float, float], ...]:
        """Left back muscles: (x, y behind the body centre, half width, half depth) in mm."""
        scale = self._patient.height_scale
        size = scale * self.muscle**0.6
        at = (0, 2, 5, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20.5, 22)
        x = knots(u, at, (30, 27, 27, 29, 33, 36, 38, 40, 40, 38, 34, 26, 18, 10)) * scale
        y = knots(u, at, (40, 40, 42, 45, 47, 49, 51, 52, 52, 51, 48, 40, 32, 20)) * scale
        wide = knots(u, at, (26, 23, 23, 25, 30, 33, 36, 38, 37, 34, 29, 20, 10, 1)) * size
        deep = knots(u, at, (16, 14, 14, 17, 21, 23, 25, 26, 26, 25, 21, 14, 6, 1)) * size
        return ((x, y, wide, deep), (13 * scale, y + 1.0 * scale, 12 * size, deep * 0.95))

    def _erectors(self, u: float) -> tuple[MuscleOutline, ...]:
        """Back muscles of a varied patient at ``u``, right and left; none for the standard one."""
        muscles = self.variety.spinal
        if muscles is None:
            return ()
        scale = self._patient.height_scale
        x, y, wide, deep = self.back_bellies(u)[0]
        more = self.muscle**0.2
        y += deep * more - deep / self.muscle**0.6
        medial = x - wide / self.muscle**0.6
        outlines = []
        for side, shape in zip((-1.0, 1.0), muscles.erector, strict=True):
            belly = (medial + wide * more * shape.width, y, wide * more, deep * more)
            outlines.append(muscle_outline(belly, shape, side, scale))
        return tuple(outlines)

    def _quadrati(self, u: float) -> tuple[MuscleOutline, ...]:
        """Quadratus lumborum of a varied patient at ``u``, as :meth:`_erectors`."""
        muscles, scale = self.variety.spinal, self._patient.height_scale
        if muscles is None or not 12.4 < u < self._patient.iliac_crest_level + 0.8:
            return ()
        place = quadratus_place(u, scale, scale * self.muscle**0.8)
        pairs = zip((-1.0, 1.0), muscles.quadratus, strict=True)
        return tuple(muscle_outline(place, q.turned(14.0), side, scale) for side, q in pairs)

    def _back_reaches(
        self, u: float, ahead: float, erectors: tuple[MuscleOutline, ...]
    ) -> Iterator[Floats]:
        """How far the fascia behind the back muscles lies from the centre, muscle by muscle."""
        if self.variety.spinal is not None:
            for outline in erectors:
                yield outline_reach(outline, ahead, self.variety.spinal.subfascial_mm)
            return
        for side in (-1.0, 1.0):
            for belly in self.back_bellies(u):
                yield ray_to_ellipse(side * belly[0], ahead + belly[1], belly[2], belly[3])

    def _sheets(self, u: float, cavity: Floats) -> tuple[tuple[Floats, Floats], ...]:
        gap_mm = 0.6 + 1.2 * np.sqrt(self.fat_mm / 20.0)
        inner, middle, outer, apart = sheet_thickness(
            u, self._patient.iliac_crest_level, cavity, self.variety
        )
        below = u - self._patient.iliac_crest_level
        gluteal = knots(below, (0.2, 1.6), (0.0, 0.6))
        grow = np.float32(self.muscle ** (1.0 - gluteal))
        wave = self._wall_wave * grow
        flank = self.variety.flank
        gap = np.asarray(apart * gap_mm, dtype=np.float32) * flank.gap_wave
        near, far = gap * np.float32(flank.gap[0]), gap * np.float32(flank.gap[1])
        first = cavity + inner * wave
        second = first + near + middle * wave
        third = second + far + outer * wave
        return ((cavity, first), (first + near, second), (second + far, third))


def _bridged(fascia: Floats, quadrati: list[Floats]) -> Floats:
    """Lead the fascia over the quadratus, where that fills a hollow, and across the midline."""
    hull = grey_closing(fascia, (150,), mode="wrap")
    for reach in quadrati:
        fascia = smooth_max(fascia, np.minimum(reach, hull), 5.0)
    midline = grey_closing(fascia, (_MIDLINE_BINS,), mode="wrap")
    return np.where(DEGREES > 168, midline, fascia)


def _ring_cm2(inner: Floats, outer: Floats) -> float:
    """Area between two contours in cm2."""
    return float(np.sum((outer * outer - inner * inner) * BIN_WIDTH) / 200.0)
