"""What fat holds: septa, vessels, strands and water, painted into fat that is there already.

Septa thinner than a pixel and faint water leave fat what it is: its label stays while HU are those
of fat (at most ``KEEP_HU``). What rises above is no longer fat to a reader, and its label is 0.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import SUBCUTANEOUS_FAT, VISCERAL_FAT
from bodycomp.phantom.acquisition.texture_bank import field_tile, septa_tile
from bodycomp.phantom.canvas import Capsule, Ink
from bodycomp.phantom.content.content_variety import FatContent, FatWeb
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.materials import FAT_HU
from bodycomp.phantom.shapes import COS, SIN, THETA, Floats

KEEP_HU: Final = -30.0


def paint_fat_content(frame: SliceFrame) -> None:
    """Lay the webs of both depots over all pixels that are labelled as their fat."""
    content = frame.content.fat
    if content is None:
        return
    _web_subcutaneous(frame, content)
    _web_visceral(frame, content)
    _paint_skin_vessels(frame, content)


def _web_subcutaneous(frame: SliceFrame, content: FatContent) -> None:
    """Septa follow the skin: the web lies in arc length around the body and depth under it."""
    covers, section = frame.grid.covers, frame.section
    labels = frame.canvas.labels.reshape(-1)
    near = np.flatnonzero(labels.take(covers.flat) == SUBCUTANEOUS_FAT.label)
    flat, angle = covers.flat.take(near), covers.angle.take(near)
    radius = covers.radius.take(near)
    arc = (THETA * np.float32(section.skin.mean())).take(angle)
    wet = 0.0 * radius
    if content.dependent_oedema:
        behind = np.clip(0.4 - 1.2 * COS, 0.0, 1.0).astype(np.float32)
        wet = np.float32(content.dependent_oedema) * behind.take(angle)
    _apply(frame, content.subcutaneous, flat, arc, radius, wet)


def _web_visceral(frame: SliceFrame, content: FatContent) -> None:
    canvas = frame.canvas
    flat = np.flatnonzero(canvas.labels.reshape(-1) == VISCERAL_FAT.label)
    x, y = canvas.x.reshape(-1).take(flat), canvas.y.reshape(-1).take(flat)
    _apply(frame, content.visceral, flat, x, y, 0.0 * x)


def _apply(
    frame: SliceFrame, web: FatWeb, flat: NDArray[np.intp], x: Floats, y: Floats, wet: Floats
) -> None:
    """Raise HU along the web's lines and in its clouds; ``wet`` (0..1) thickens both."""
    canvas, bank = frame.canvas, frame.content.bank
    hu, grain = canvas.hu.reshape(-1), canvas.grain.reshape(-1).take(flat)
    stretch = 2.2 if bank % 2 else 1.4
    lines = web.placing.sample(septa_tile(bank, web.number, 9.0, stretch), x, y, frame.z_mm)
    lines *= np.float32(1 / web.placing.scale_per_mm)
    cloud = web.placing.sample(field_tile(bank, web.number, 12.0), y, x, frame.z_mm)
    width = np.float32(max(canvas.edge_mm, 0.8))
    thick = np.float32(web.septum_mm) * (1 + 2 * wet)
    cover = np.clip((0.5 * thick - lines) / width + 0.5, 0.0, 1.0) * np.minimum(thick / width, 1.0)
    cover *= np.clip(0.7 + 0.5 * cloud, 0.1, 1.0)
    rise = np.float32(web.septum_hu) * (1 + wet) * cover
    rise += np.float32(web.haze_hu) * np.maximum(cloud - 0.3, 0.0)
    rise += np.float32(26.0) * wet * np.clip(0.6 + 0.6 * cloud, 0.0, 2.0)
    base = float(np.clip(frame.materials.fat + web.shift_hu, *FAT_HU))
    rise += np.float32(web.texture_hu) * grain + np.float32(base - frame.materials.fat)
    changed = hu.take(flat) + rise
    changed = np.minimum(changed, np.float32(35.0))
    hu[flat] = changed
    canvas.labels.reshape(-1)[flat[changed > KEEP_HU]] = 0


def _paint_skin_vessels(frame: SliceFrame, content: FatContent) -> None:
    """Paint small vessels in the subcutaneous fat: dots and short runs, fed from below."""
    rng = np.random.default_rng([frame.content.seed, 41])
    canvas, section = frame.canvas, frame.section
    vein = min(frame.materials.vein, 140.0)
    fat = (canvas.labels == SUBCUTANEOUS_FAT.label).astype(np.float32)
    fat *= np.float32(0.6)
    for _ in range(content.skin_vessels):
        angle = int(rng.integers(len(THETA)))
        depth, run, lean, size = rng.uniform(0.1, 0.85), rng.gamma(1.0, 2.5), *rng.uniform(-1, 1, 2)
        angle = (angle + int(0.4 * lean * frame.z_mm)) % len(THETA)
        room = float(section.skin[angle] - section.fascia[angle])
        if room < 7:
            continue
        radius = float(section.fascia[angle]) + 1.5 + depth * (room - 5.0)
        x = section.x + radius * float(SIN[angle])
        y = section.y - radius * float(COS[angle])
        dx, dy = run * float(COS[angle]), run * float(SIN[angle])
        thick = 0.6 + 0.9 * abs(size)
        vessel = Capsule(x - dx / 2, y - dy / 2, x + dx / 2, y + dy / 2, thick, 0.8 * thick)
        canvas.capsule(vessel, Ink(vein), fat)
