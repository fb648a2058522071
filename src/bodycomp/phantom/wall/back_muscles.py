"""Painting the muscles beside the spine of varied patients, with clefts and fatty parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from bodycomp.anatomy import (
    ERECTOR_SPINAE,
    INTERMUSCULAR_FAT,
    PSOAS,
    QUADRATUS_LUMBORUM,
    Tissue,
)
from bodycomp.phantom.canvas import Ink, Window
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.shapes import Floats, angle_index, knots
from bodycomp.phantom.wall.back_shapes import MuscleOutline, muscle_outline
from bodycomp.phantom.wall.wall_variety import SpinalMuscles

_DIFFUSE_HU = 35.0
"""How far fat too fine to be seen lowers the attenuation of a muscle that is all fatty, in HU."""

_LARGEST_PSOAS = 1.45
"""Length relative to that of a person of average size."""


def fat_in_muscle(frame: SliceFrame, window: Window, share: float | Floats) -> Floats:
    """Return how much of each pixel fat replaces (0..1), on average ``share``."""
    blotch, grain = frame.canvas.blotch[window], frame.canvas.grain[window]
    return _replaced(frame, blotch, grain, share)


def fat_in_pixels(frame: SliceFrame, flat: NDArray[np.intp], share: Floats) -> Floats:
    """Return the same for single pixels, given by their flat index in the slice."""
    blotch, grain = frame.canvas.blotch.reshape(-1), frame.canvas.grain.reshape(-1)
    return _replaced(frame, blotch.take(flat), grain.take(flat), share)


def _replaced(frame: SliceFrame, blotch: Floats, grain: Floats, share: float | Floats) -> Floats:
    """Cut a random field of unit variance at the quantile of ``share``; streaks follow its zero."""
    muscles = frame.section.variety.spinal
    if muscles is None:
        return np.zeros_like(blotch)
    share = np.clip(share, 0.002, 0.95)
    if muscles.fat_streaks:
        field = np.float32(0.9) * blotch + np.float32(0.44) * grain
        np.abs(field, out=field)
        share = 0.5 + 0.5 * share
    else:
        field = np.float32(0.8) * blotch + np.float32(0.6) * grain
    field -= np.asarray(ndtri(share), dtype=np.float32)
    field *= np.float32(-(3.0 if muscles.fat_streaks else 1.0) * muscles.fat_edge)
    field += np.float32(0.5)
    return np.clip(field, 0.0, 0.92, out=field)


def paint_erectors(
    frame: SliceFrame, muscles: SpinalMuscles, outlines: tuple[MuscleOutline, ...]
) -> None:
    """Paint multifidus, longissimus and iliocostalis within the fascia, with fat between them."""
    for outline in outlines:
        _paint_erector(frame, muscles, outline)


def _paint_erector(frame: SliceFrame, muscles: SpinalMuscles, outline: MuscleOutline) -> None:
    canvas, section = frame.canvas, frame.section
    x, y = section.spine_x + outline.x, section.spine_y + outline.y
    reach = float(outline.radii.max()) + canvas.edge_mm
    window = canvas.window(x, y, reach, reach)
    if window is None:
        return
    dx, dy = canvas.x[window] - np.float32(x), canvas.y[window] - np.float32(y)
    distance = np.sqrt(dx * dx + dy * dy) - outline.radii.take(angle_index(dx, dy))
    cover = canvas.cover(distance)
    lateral = (canvas.x[window] - np.float32(section.spine_x)) * np.float32(outline.side)
    edge = abs(outline.x) + outline.half_width
    backwards = np.clip(dy / np.float32(outline.half_depth) * 0.5 + 0.5, 0.0, 1.0)
    grow = np.float32(frame.scale * min(outline.half_depth / 20.0, 1.2))
    inner = None
    for cleft in muscles.clefts:
        beyond = lateral - np.float32(cleft.at * edge)
        beyond -= dy * (np.float32(cleft.slant) + np.float32(cleft.bend) * dy)
        half = np.float32(cleft.front_mm) + backwards**3 * np.float32(cleft.back_mm)
        gap = canvas.cover(np.abs(beyond) - half * grow) * np.clip(half * 1.6, 0.0, 1.0)
        cover *= 1 - gap
        inner = canvas.cover(beyond, 3.0) if inner is None else inner
    assert inner is not None
    fat = outline.shape.fat
    deep_fat = muscles.multifidus_fat[int(outline.side > 0)]
    deep_fat = min(deep_fat * knots(frame.u, (13, 17.5), (0.7, 1.6)), 0.85)
    share = np.float32(fat) + inner * np.float32(deep_fat - fat)
    cover *= 1 - fat_in_muscle(frame, window, share)
    hu = np.float32(frame.materials.muscle + muscles.erector_hu) - np.float32(_DIFFUSE_HU) * share
    canvas.fill(
        window,
        cover * frame.grid.fascia[window],
        Ink(0.0, ERECTOR_SPINAE.label),
        hu.astype(np.float32),
    )


def _paint_fatty(
    frame: SliceFrame, muscle: Tissue, outline: MuscleOutline, part: float, more_hu: float
) -> None:
    """Paint psoas or quadratus within the fascia; ``part`` is how much of the slice it is in."""
    canvas = frame.canvas
    x, y = frame.section.spine_x + outline.x, frame.section.spine_y + outline.y
    reach = float(outline.radii.max()) + canvas.edge_mm
    window = canvas.window(x, y, reach, reach)
    if window is None:
        return
    dx, dy = canvas.x[window] - np.float32(x), canvas.y[window] - np.float32(y)
    distance = np.sqrt(dx * dx + dy * dy) - outline.radii.take(angle_index(dx, dy))
    cover = canvas.cover(distance) * frame.grid.fascia[window] * np.float32(part)
    share = outline.shape.fat
    if share > 0.01:
        canvas.fill(window, cover, Ink(frame.materials.fat + 15.0, INTERMUSCULAR_FAT.label))
        cover *= 1 - fat_in_muscle(frame, window, share)
    hu = frame.materials.muscle + more_hu - _DIFFUSE_HU * share
    canvas.fill(window, cover, Ink(hu, muscle.label))


def paint_psoas(
    frame: SliceFrame,
    muscles: SpinalMuscles,
    place: tuple[float, float, float, float],
    turn_deg: float,
    part: float,
) -> None:
    """Paint both psoas from the standard one's place (x, y, half width, half depth) and turn."""
    if part < 0.02:
        return
    x, y, wide, deep = place
    for side, shape in zip((-1.0, 1.0), muscles.psoas, strict=True):
        limit = min(1.0, _LARGEST_PSOAS / (frame.muscle**0.8 * max(shape.width, shape.front)))
        grown = wide * limit * shape.width - wide / frame.muscle**0.8
        beside = x + (0.5 + muscles.psoas_hold) * grown
        outline = muscle_outline(
            (beside, y, wide * limit, deep * limit), shape.turned(turn_deg), side, frame.scale
        )
        _paint_fatty(frame, PSOAS, outline, part, muscles.psoas_hu)


def paint_quadrati(frame: SliceFrame, part: float) -> None:
    """Paint quadratus lumborum of both sides, as laid out with the fascia that covers them."""
    if part < 0.02:
        return
    for outline in frame.section.quadrati:
        _paint_fatty(frame, QUADRATUS_LUMBORUM, outline, part, 1.0)
