"""What every painter needs to know about the slice at hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodycomp.phantom.canvas import Canvas, Window
from bodycomp.phantom.content.content_variety import ContentVariety
from bodycomp.phantom.materials import Materials
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import Floats, angle_index
from bodycomp.phantom.skeleton.levels import SpineCurve
from bodycomp.phantom.trunk import TrunkSection


@dataclass(frozen=True, eq=False)
class Pixels:
    """A set of single pixels: flat index in the slice, radius in mm and table bin of each."""

    flat: NDArray[np.intp]
    radius: Floats
    angle: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class TrunkGrid:
    """Where the pixels of the body lie in the trunk's polar frame.

    Attributes:
        window: The body's place in the slice.
        cavity: (row, column) of the slice, how much of a pixel is inside the cavity.
        fascia: Likewise for all inside the muscle fascia.
        covers: Pixels between fascia and air.
        wall: Pixels between cavity and fascia.
    """

    window: Window
    cavity: Floats
    fascia: Floats
    covers: Pixels
    wall: Pixels


def trunk_grid(canvas: Canvas, section: TrunkSection) -> TrunkGrid | None:
    """Lay the polar frame of ``section`` over the slice; None if the body is out of view."""
    reach = float(section.skin.max()) + 2.0
    window = canvas.window(section.x, section.y, reach, reach)
    if window is None:
        return None
    dx = canvas.x[window] - np.float32(section.x)
    dy = canvas.y[window] - np.float32(section.y)
    radius = np.sqrt(dx * dx + dy * dy)
    angle = angle_index(dx, dy)
    to_cavity = radius - section.cavity.take(angle)
    to_fascia = radius - section.fascia.take(angle)
    maps = []
    for distance in (to_cavity, to_fascia):
        whole = np.zeros(canvas.hu.shape, dtype=np.float32)
        whole[window] = canvas.cover(distance)
        maps.append(whole)
    flat = np.add.outer(
        np.arange(window[0].start, window[0].stop) * canvas.hu.shape[1],
        np.arange(window[1].start, window[1].stop),
    )
    thickest = float((section.skin - section.fascia).max()) + 2.0
    sets = []
    for mask in ((to_fascia > -2) & (to_fascia < thickest), (to_cavity > -3) & (to_fascia < 3)):
        near = np.flatnonzero(mask)
        sets.append(Pixels(flat.take(near), radius.take(near), angle.take(near)))
    return TrunkGrid(window, maps[0], maps[1], sets[0], sets[1])


@dataclass(frozen=True, eq=False)
class SliceFrame:
    """One slice: where it cuts the patient and what it is painted on.

    Attributes:
        z_mm: Middle of the slice.
        u: Level coordinate there.
        thickness_mm: Slice thickness; shapes that end along z fade over it.
        pitch_mm: Height of one vertebra with its disc here.
        ramp: Length, in vertebrae, over which a structure that ends along z fades.
        muscle: Size of this patient's muscles relative to the average.
        content: How content and surroundings differ from the standard patient's.
    """

    canvas: Canvas
    grid: TrunkGrid
    section: TrunkSection
    patient: PatientParameters
    curve: SpineCurve
    materials: Materials
    z_mm: float
    u: float
    thickness_mm: float
    pitch_mm: float
    ramp: float
    muscle: float
    content: ContentVariety

    @property
    def scale(self) -> float:
        """Lengths of bones and organs relative to a person of 1700 mm."""
        return self.patient.height_scale
