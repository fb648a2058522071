"""Painting cysts, lesions, nodes and masses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bodycomp.phantom.canvas import Ellipse, Ink
from bodycomp.phantom.content.organ_variety import Lump
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.shapes import Floats


def paint_lumps(
    frame: SliceFrame,
    lumps: Sequence[Lump],
    host: tuple[float, float, float, float],
    part: float | Floats,
    u0: float = 0.0,
) -> None:
    """Paint the lumps that the slice cuts; unlabelled.

    Args:
        frame: The slice.
        lumps: What to paint.
        host: Middle (x, y), half width and half depth, in mm, of where they lie.
        part: Share of their coverage, as of a shape.
        u0: Level to which theirs is relative.
    """
    x0, y0, wide, deep = host
    for lump in lumps:
        off = (frame.u - u0 - lump.u) * frame.pitch_mm / lump.radius_mm
        if abs(off) >= 1:
            continue
        size = lump.radius_mm * float(np.sqrt(1 - off * off))
        x, y = x0 + lump.across * wide, y0 - lump.ahead * deep
        turn = 90.0 * lump.across
        shape = Ellipse(x, y, size, size * lump.flat, turn)
        soft = 0.5 * frame.thickness_mm * min(abs(off), 0.9)
        frame.canvas.ellipse(shape, Ink(lump.hu + lump.rim_hu, 0, 3.0), soft, part)
        if size > 4.0:
            core = Ellipse(x, y, size - 2.0, size * lump.flat - 2.0, turn)
            frame.canvas.ellipse(core, Ink(lump.hu, 0, 3.0), soft, part)


def paint_masses(frame: SliceFrame, inside: Floats) -> None:
    """Paint nodes around the great vessels and masses in the cavity."""
    variety = frame.content.organs
    if variety is None or not variety.masses:
        return
    section = frame.section
    small = [lump for lump in variety.masses if lump.radius_mm < 14]
    large = [lump for lump in variety.masses if lump.radius_mm >= 14]
    beside = (section.spine_x, section.spine_y - 40 * frame.scale, 55 * frame.scale, 30.0)
    paint_lumps(frame, small, beside, inside)
    anywhere = (section.x, section.y, 0.7 * section.half_width, 0.6 * section.front)
    paint_lumps(frame, large, anywhere, inside)
