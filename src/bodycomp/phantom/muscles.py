"""Muscles that lie on the spine: erector spinae, multifidus, quadratus lumborum, psoas, crura."""

from __future__ import annotations

from typing import Final

from bodycomp.anatomy import MUSCLE
from bodycomp.phantom.canvas import Ellipse, Ink
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.shapes import knots, presence, superellipse
from bodycomp.phantom.trunk import Trunk

# Psoas: place beside and behind the vertebral body centre and half axes, mm at 1700 mm height.
_PSOAS_U: Final = (12.4, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23.5)
_PSOAS_X: Final = (22, 27, 33, 39, 44, 48, 53, 60, 68, 76, 84, 92)
_PSOAS_Y: Final = (8, 6, 4, 1, -2, -6, -24, -48, -72, -92, -100, -100)
_PSOAS_WIDE: Final = (2, 8, 13, 17.5, 21, 22.5, 22, 20, 18, 18, 18, 16)
_PSOAS_DEEP: Final = (3, 11, 17, 22, 25, 25, 23, 21, 20, 19, 19, 18)


def paint_back_muscles(frame: SliceFrame, trunk: Trunk) -> None:
    """Paint erector spinae and multifidus inside the fascia."""
    ink = Ink(frame.materials.muscle, MUSCLE.label)
    x, y = frame.section.spine_x, frame.section.spine_y
    for side in (-1.0, 1.0):
        for out, back, wide, deep in trunk.back_bellies(frame.u):
            radii = superellipse(wide, deep, deep, 2.7)
            frame.canvas.outline(x + side * out, y + back, radii, ink, frame.grid.fascia)


def paint_psoas_and_quadratus(frame: SliceFrame, shift_u: float) -> None:
    """Paint psoas, growing from T12 to L5 and then leaving the spine, and quadratus lumborum.

    ``shift_u`` moves the growth of the psoas towards the feet.
    """
    size = frame.scale * frame.muscle**0.8
    ink = Ink(frame.materials.muscle + 1.0, MUSCLE.label)
    x0, y0, u = frame.section.spine_x, frame.section.spine_y, frame.u
    wide = knots(u - shift_u, _PSOAS_U, _PSOAS_WIDE) * size
    deep = knots(u - shift_u, _PSOAS_U, _PSOAS_DEEP) * size
    part = presence(u, 12.5, 30.0, max(frame.ramp, 0.3))
    out = knots(u, _PSOAS_U, _PSOAS_X) * frame.scale + 0.35 * (wide - wide / frame.muscle**0.8)
    back = knots(u, _PSOAS_U, _PSOAS_Y) * frame.scale
    for side in (-1.0, 1.0):
        turn = side * knots(u, (13, 16, 19), (12.0, 18.0, -20.0))
        psoas = Ellipse(x0 + side * out, y0 + back, wide, deep, turn)
        frame.canvas.ellipse(psoas, ink, 0.0, part)
        flat = knots(u, (12.3, 13, 14, 15, 16, 16.6), (9, 14, 18, 22, 25, 24)) * size
        thin = knots(u, (12.3, 13, 14, 15, 16, 16.6), (3.5, 5, 6.5, 8, 8.5, 6)) * size
        middle = knots(u, (12.3, 13, 15, 16.6), (46, 52, 64, 74)) * frame.scale
        quadratus = Ellipse(
            x0 + side * middle, y0 + knots(u, (12.3, 15, 16.6), (28, 33, 33)) * frame.scale,
            flat, thin, side * 14.0,
        )  # fmt: skip
        shown = presence(u, 12.4, frame.patient.iliac_crest_level + 0.6, max(frame.ramp, 0.3))
        frame.canvas.ellipse(quadratus, ink, 0.0, shown)


def paint_crura(frame: SliceFrame) -> None:
    """Paint the crura of the diaphragm beside the aorta; not part of the muscle label."""
    part = presence(frame.u, 11.2, 14.9, max(frame.ramp, 0.4))
    if part < 0.02:
        return
    x0, y0, u = frame.section.spine_x, frame.section.spine_y, frame.u
    for side, low in ((-1.0, 14.9), (1.0, 14.2)):
        thick = knots(u, (11.2, 12.5, low), (3.0, 5.0, 1.2)) * frame.scale
        crus = Ellipse(
            x0 + side * 17 * frame.scale, y0 - knots(u, (11, 13, 15), (22, 22, 20)) * frame.scale,
            thick, 9 * frame.scale, side * 20,
        )  # fmt: skip
        frame.canvas.ellipse(crus, Ink(frame.materials.muscle), 0.0, part)
