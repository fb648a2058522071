"""Vertebrae T1 to S1 in axial section: body, disc, canal, pedicles, laminae and processes.

``v`` runs through one vertebra: 0 at mid-body, negative towards the head, +-0.5 in the discs.
Worn, broken and turned vertebrae follow the patient's ``AxisVariety``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bodycomp.anatomy import VERTEBRAL_BODY
from bodycomp.phantom.canvas import Capsule, Ellipse, Ink
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.shapes import COS, SIN, THETA, Floats, angle_index, knots, presence
from bodycomp.phantom.skeleton.axis_variety import SPINE, AxisVariety, Lesion
from bodycomp.phantom.skeleton.levels import BODY_SHARE

_AT: Final = (1, 4, 8, 11, 12, 13, 14, 15, 16, 17, 18)
# Sizes of ``Vertebra`` in mm at 1700 mm height (after Panjabi 1991/1992 and Gilad & Nissan 1986).
_SIZES: Final = {
    "width": (29, 26, 30, 38, 41, 43, 45, 47, 49, 51, 52),
    "depth": (17, 20, 27, 30, 31, 32, 33, 34, 34.5, 34.5, 32),
    "canal_width": (20, 16, 16, 17, 21, 22, 22, 23, 24, 27, 30),
    "canal_depth": (15, 15, 15.5, 15.5, 17, 17, 16, 15.5, 16, 17, 16),
    "transverse": (38, 34, 32, 26, 23, 35, 42, 48, 44, 45, 42),
    "transverse_back": (18, 20, 22, 16, 12, 7, 5, 4, 3, -2, -4),
    "transverse_radius": (4.5, 4.2, 4.4, 4.2, 3.8, 2.8, 2.8, 2.9, 3.2, 5.5, 8),
    "spinous": (56, 52, 54, 56, 58, 64, 67, 68, 65, 57, 46),
    "pedicle": (4, 2.8, 3.2, 4.2, 4.5, 4.2, 4.4, 5.2, 6.2, 8, 9),
}


_AVERAGE: Final = AxisVariety()


@dataclass(frozen=True)
class Vertebra:
    """Sizes in mm of the vertebra at the level coordinate ``n`` (T1 = 1)."""

    n: float
    width: float
    depth: float
    canal_width: float
    canal_depth: float
    transverse: float
    transverse_back: float
    transverse_radius: float
    spinous: float
    pedicle: float

    @property
    def lumbar(self) -> bool:
        """True from L1 downwards."""
        return self.n >= 13

    @property
    def canal_y(self) -> float:
        """Depth of the canal's centre behind the body's centre."""
        return self.depth / 2 + self.canal_depth / 2 + 1.0


def vertebra(n: float, scale: float, variety: AxisVariety | None = None) -> Vertebra:
    """Return the sizes of the vertebra at ``n`` for a patient of the given scale."""
    average = Vertebra(n, **{name: knots(n, _AT, table) * scale for name, table in _SIZES.items()})
    if variety is None:
        return average
    return replace(
        average,
        width=average.width * variety.width,
        depth=average.depth * variety.depth,
        canal_width=average.canal_width * variety.canal,
        canal_depth=average.canal_depth * variety.canal,
        transverse=average.transverse * variety.process,
        spinous=average.spinous * variety.spinous,
    )


def paint_spine(frame: SliceFrame) -> None:
    """Paint the vertebral column where the slice cuts it."""
    curve, variety = frame.curve, frame.curve.variety
    turn_deg = curve.turn_deg(frame.u)
    if abs(turn_deg) > 0.5:
        x, y = frame.section.spine_x, frame.section.spine_y
        frame = replace(frame, canvas=frame.canvas.turned(x, y, turn_deg))
    number, last = curve.vertebra_at(frame.u), 13 + variety.lumbar
    nearest = max(round(number), 1)
    shapes = {
        n: vertebra(curve.vertebra_u(n), frame.scale, variety)
        for n in range(max(nearest - 2, 1), min(nearest + 1, last) + 1)
    }
    here = shapes.get(min(nearest, last))
    if frame.u < 18.45 and here is not None:
        _paint_body(frame, here, number - min(nearest, last), min(nearest, last))
        _paint_canal(frame, here)
    for n, shape in shapes.items():
        v = number - n
        _paint_arch(frame, shape, v)
        _paint_transverse(frame, shape, v)
        _paint_spinous(frame, shape, v)
        _paint_facets(frame, shape, v)
    if variety.screws[0] < variety.screws[1]:
        _paint_screws(frame, shapes, number)


def _body_contour(shape: Vertebra, v: float) -> Floats:
    """Radii of the body: kidney-shaped, waisted at mid-height."""
    waist = 0.94 + 0.30 * v * v
    half_width, half_depth = shape.width / 2 * waist, shape.depth / 2 * waist
    power = 2.5 if shape.lumbar else 2.15
    total = np.abs(SIN / half_width) ** power + np.abs(COS / half_depth) ** power
    radii = total ** (-1.0 / power)
    hollow = 0.13 * np.exp(-(((1 + COS) / 0.10) ** 2))
    taper = 1.0 + (0.0 if shape.lumbar else 0.06) * COS
    return np.asarray(radii * (1 - hollow) * taper, dtype=np.float32)


def _paint_body(frame: SliceFrame, shape: Vertebra, v: float, number: int) -> None:
    """Paint body and disc; the axis tilts, so one slice may hold both."""
    canvas, section, curve = frame.canvas, frame.section, frame.curve
    variety = curve.variety
    half = _half_heights(frame, shape, number) if variety != _AVERAGE else None
    half_up, half_down = half or ((0.37, 0.37) if shape.lumbar else (0.41, 0.41))
    worn = min(number, SPINE) - 1
    radii = _body_contour(shape, v)
    if variety.osteophyte_mm[worn] > 0.3:
        edge_v = min(abs(v + half_up), abs(v - half_down))
        radii = radii + _osteophyte(variety.osteophyte_mm[worn], edge_v, number)
    reach = float(radii.max()) + 2
    window = canvas.window(section.spine_x, section.spine_y, reach, reach)
    if window is None:
        return
    dx = canvas.x[window] - np.float32(section.spine_x)
    dy = canvas.y[window] - np.float32(section.spine_y)
    distance = np.sqrt(dx * dx + dy * dy) - radii[angle_index(dx, dy)]
    pitch = frame.pitch_mm
    height = v + dy * np.float32(curve.tilt(frame.u) / pitch)
    lean = curve.lean(frame.u)
    if lean:
        height = height + dx * np.float32(lean / pitch)
    if half is None:
        half_mm: Floats | float = half_up
    else:
        half_mm = np.where(height < 0, np.float32(half_up), np.float32(half_down))
    edge = np.abs(np.abs(height) - half_mm)
    ramp = max(0.03, frame.thickness_mm / pitch)
    bony = np.clip((half_mm - np.abs(height)) / ramp + 0.5, 0.0, 1.0)
    endplate = np.clip(1.15 - edge / (0.04 + ramp / 2), 0.0, 1.0)
    materials = frame.materials
    rim = np.clip(1.0 + distance * 0.55, 0.0, 1.0)
    dense = 150 + variety.sclerosis_hu[worn]
    spongy = materials.marrow + 22 * canvas.grain[window] + dense * endplate
    bone = spongy + rim * (materials.cortical - 90 - spongy)
    disc_hu: Floats | float = materials.disc
    if variety.gas[worn] > 0:
        split = np.abs(dy + 2) / 3 + np.abs(dx) / (shape.width * 0.3)
        disc_hu = disc_hu - np.clip(1.6 - split, 0, 1) * np.float32(700 * variety.gas[worn])
    hu = disc_hu + bony * (bone - disc_hu)
    body = Ink(0.0, VERTEBRAL_BODY.label)
    canvas.fill(window, canvas.cover(distance), body, hu.astype(np.float32))
    labels = canvas.labels[window]
    labels[(labels == VERTEBRAL_BODY.label) & (bony < 0.5)] = 0
    for lesion in variety.lesions:
        if lesion.vertebra == number:
            _paint_lesion(frame, lesion, v)


def _half_heights(frame: SliceFrame, shape: Vertebra, number: int) -> tuple[float, float]:
    """Return how far the body reaches up and down, in units of ``v``.

    Narrow discs leave bodies their height; a fracture takes of it.
    """
    variety = frame.curve.variety
    share = BODY_SHARE[shape.lumbar]
    place = min(number, SPINE) - 1
    body = share / 2 * (1.0 - variety.loss[place])
    disc_above, disc_below = variety.disc[max(place - 1, 0)], variety.disc[place]
    lost_above = variety.loss[max(place - 1, 0)]
    lost_below = variety.loss[min(place + 1, SPINE - 1)]
    above = body + (1 - share) * disc_above + share / 2 * (1 - lost_above)
    below = body + (1 - share) * disc_below + share / 2 * (1 - lost_below)
    return min(body / above, 0.48), min(body / below, 0.48)


def _osteophyte(size_mm: float, edge_v: float, number: int) -> Floats:
    """Return how far bone grows out near an endplate, most in front and at the sides."""
    near = float(np.exp(-((edge_v / 0.09) ** 2)))
    bumps = 0.55 + 0.45 * np.sin(3 * THETA + 1.7 * number) * np.sin(2 * THETA + number)
    return np.asarray(size_mm * near * bumps * (0.55 + 0.45 * COS), dtype=np.float32)


def _paint_lesion(frame: SliceFrame, lesion: Lesion, v: float) -> None:
    off_mm = (v - lesion.v) * frame.pitch_mm / frame.scale
    size = (lesion.radius**2 - off_mm**2) ** 0.5 if abs(off_mm) < lesion.radius else 0.0
    if size > 0.5:
        x = frame.section.spine_x + lesion.x * frame.scale
        y = frame.section.spine_y + lesion.y * frame.scale
        spot = Ellipse(x, y, size * frame.scale, size * 0.85 * frame.scale)
        frame.canvas.ellipse(spot, Ink(lesion.hu, VERTEBRAL_BODY.label), 1.0)


def _paint_screws(frame: SliceFrame, shapes: dict[int, Vertebra], number: float) -> None:
    """Paint pedicle screws, and the rods that join them behind."""
    first, last = frame.curve.variety.screws
    x, y = frame.section.spine_x, frame.section.spine_y
    metal = Ink(3000.0)
    for side in (-1.0, 1.0):
        for n, shape in shapes.items():
            part = presence(number - n, -0.24, -0.04, frame.ramp) if first <= n <= last else 0.0
            start = (x + side * (shape.canal_width / 2 + 9), y + shape.canal_y + 16)
            screw = Capsule(*start, x + side * 7, y - 6, 2.6, 2.2)
            frame.canvas.capsule(screw, metal, part)
        nearest = shapes.get(round(number))
        if nearest is not None and first - 0.3 < number < last + 0.2:
            out, back = side * (nearest.canal_width / 2 + 9), nearest.canal_y + 19
            frame.canvas.ellipse(Ellipse(x + out, y + back, 2.8, 2.8), metal)


def _paint_canal(frame: SliceFrame, shape: Vertebra) -> None:
    """Paint epidural fat and the thecal sac with the cord or its roots."""
    x, y = frame.section.spine_x, frame.section.spine_y + shape.canal_y
    half_width, half_depth = shape.canal_width / 2, shape.canal_depth / 2
    canvas = frame.canvas
    canvas.ellipse(Ellipse(x, y, half_width + 2, half_depth + 1.5), Ink(frame.materials.fat + 20))
    sac = 0.88 if shape.n < 17 else 0.66
    canvas.ellipse(
        Ellipse(x, y - 0.5, half_width * sac, half_depth * sac), Ink(frame.materials.canal)
    )
    if shape.n < 14:
        canvas.ellipse(Ellipse(x, y, 4.5, 3.5), Ink(frame.materials.canal + 14))


def _bone(frame: SliceFrame, shape: Capsule, part: float) -> None:
    """Paint a strut of bone with a spongy core."""
    if part < 0.02:
        return
    canvas = frame.canvas
    found = canvas.capsule_distance(shape)
    if found is None:
        return
    window, distance = found
    weight = np.float32(part)
    canvas.fill(window, canvas.cover(distance) * weight, Ink(frame.materials.cortical - 80))
    if min(shape.r0, shape.r1) > 2.0:
        core = canvas.cover(distance + np.float32(1.4)) * weight
        canvas.fill(window, core, Ink(frame.materials.marrow + 50))


def _paint_arch(frame: SliceFrame, shape: Vertebra, v: float) -> None:
    """Pedicles in the upper half of the body, laminae from there down to the spinous process."""
    x, y = frame.section.spine_x, frame.section.spine_y
    pedicle = presence(v, -0.36, 0.04, frame.ramp)
    lamina = presence(v, -0.20, 0.42 if shape.lumbar else 0.52, frame.ramp)
    out = shape.canal_width / 2 + shape.pedicle * 0.8
    back = shape.canal_y + shape.canal_depth / 2 + 2.5
    for side in (-1.0, 1.0):
        _bone(
            frame,
            Capsule(
                *(x + side * (shape.width / 2 - shape.pedicle - 1), y + shape.depth * 0.38),
                *(x + side * out, y + shape.canal_y + 2, shape.pedicle, shape.pedicle),
            ),
            pedicle,
        )
        sink = max(v, 0.0) * 6
        _bone(
            frame,
            Capsule(
                *(x + side * out, y + shape.canal_y + 3 + sink, x + side * 1.5, y + back + sink),
                *(3.6, 3.0),
            ),
            lamina,
        )


def _paint_transverse(frame: SliceFrame, shape: Vertebra, v: float) -> None:
    """Transverse processes: backwards in the chest, straight out and longest at L3, stout at L5."""
    part = presence(v, -0.30, 0.06, frame.ramp) if shape.n < 18 else 0.0
    if part < 0.02:
        return
    x, y = frame.section.spine_x, frame.section.spine_y
    root = shape.canal_y + 1
    fade = 1.0 - 0.9 * min(abs(v + 0.12) / 0.3, 1.0) ** 2
    reach = shape.canal_width / 2 + (shape.transverse - shape.canal_width / 2) * fade
    for side in (-1.0, 1.0):
        _bone(
            frame,
            Capsule(
                *(x + side * (shape.canal_width / 2 + 3), y + root),
                *(x + side * reach, y + root + shape.transverse_back * fade),
                *(shape.transverse_radius + 0.8, shape.transverse_radius * 0.8),
            ),
            part,
        )


def _paint_spinous(frame: SliceFrame, shape: Vertebra, v: float) -> None:
    """Spinous process: slants down by up to a vertebra in the chest, a short blade in the loin."""
    if shape.n == 18:
        return
    slant = knots(shape.n, (1, 3, 5, 8, 10, 12, 13), (0.3, 0.6, 1.0, 1.1, 0.7, 0.25, 0.15))
    part = presence(v, -0.02, 0.40 + slant, frame.ramp)
    if part < 0.02:
        return
    x, y = frame.section.spine_x, frame.section.spine_y
    start = shape.canal_y + shape.canal_depth / 2 + 3
    progress = min(max((v + 0.05) / (0.30 + slant), 0.0), 1.0)
    near = start + (shape.spinous - start) * max(0.0, progress - 0.45) * slant * 0.8
    tip = start + (shape.spinous - start) * min(1.0, 0.35 + 0.9 * progress)
    radius = 3.0 if shape.lumbar else 2.8
    _bone(frame, Capsule(x, y + near, x, y + tip, radius, radius + 0.9), part)


def _paint_facets(frame: SliceFrame, shape: Vertebra, v: float) -> None:
    """Joint between this vertebra and the next: two plates with a gap, behind the foramen."""
    part = presence(v, 0.26, 0.74, frame.ramp)
    if part < 0.02:
        return
    below = vertebra(min(shape.n + 1, 18), frame.scale, frame.curve.variety)
    grown = frame.curve.variety.facet
    x, y = frame.section.spine_x, frame.section.spine_y
    out = below.canal_width / 2 + 3.5
    depth = below.canal_y + (4.0 if shape.lumbar else 5.5)
    turn = knots(shape.n, (1, 11, 12, 13, 15, 17), (80, 75, 35, 25, 35, 50))
    for side in (-1.0, 1.0):
        angle = np.radians(turn) * side
        dx, dy = float(np.sin(angle)) * 6.5, float(np.cos(angle)) * 6.5
        nx, ny = float(np.cos(angle)) * 3.4, -float(np.sin(angle)) * 3.4
        for place, size in ((-1.0, 2.6 * grown), (1.0, 3.0 * grown)):
            cx = x + side * out + place * side * nx * side
            cy = y + depth + place * ny
            _bone(frame, Capsule(cx - dx, cy - dy, cx + dx, cy + dy, size, size), part)
