"""Painting drains, catheters, tubes, clips and sutures. What they cover is background."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from bodycomp.phantom.canvas import Capsule, Ellipse, Ink
from bodycomp.phantom.content.finding_variety import Device
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.shapes import ANGLES, THETA


def paint_devices(frame: SliceFrame) -> None:
    """Paint the devices that the slice cuts."""
    findings = frame.content.findings
    if findings is None:
        return
    for number, device in enumerate(findings.devices):
        off = (frame.u - device.u) / device.half_u
        if abs(off) >= 1:
            continue
        if device.kind == "drain":
            _paint_drain(frame, device)
        elif device.kind in ("line", "tube"):
            _paint_cut_tube(frame, device, off)
        else:
            _paint_clips(frame, device, number)


def _at(frame: SliceFrame, theta: float, depth: float) -> tuple[float, float]:
    """Return the point at a share of the way from the skin to the trunk's middle."""
    section = frame.section
    index = int(np.argmin(np.abs(THETA - theta))) % ANGLES
    radius = float(section.skin[index]) * (1.0 - depth)
    return section.x + radius * float(np.sin(theta)), section.y - radius * float(np.cos(theta))


def _paint_drain(frame: SliceFrame, device: Device) -> None:
    """Paint a tube that runs in the slice from outside the skin into the cavity."""
    course = ((0.0, -0.12), (0.15, 0.1), (0.5, 0.5 * device.depth), (1.0, device.depth))
    points = [_at(frame, device.theta + device.bend * share**2, depth) for share, depth in course]
    for start, end in pairwise(points):
        shape = Capsule(*start, *end, device.radius_mm, device.radius_mm)
        frame.canvas.capsule(shape, Ink(device.hu))
    if device.radius_mm > 2.2:
        bore = 0.45 * device.radius_mm
        for start, end in pairwise(points):
            frame.canvas.capsule(Capsule(*start, *end, bore, bore), Ink(device.lumen_hu))


def _paint_cut_tube(frame: SliceFrame, device: Device, off: float) -> None:
    """Paint a tube that runs along the body: a dot or a short oblique run."""
    depth = device.depth if device.kind == "tube" else 0.06 + 0.12 * device.depth
    x, y = _at(frame, device.theta + 0.5 * device.bend * off, depth)
    run = 6.0 * abs(device.bend) ** 3
    turn = 3.0 * device.bend
    dx, dy = run * float(np.cos(turn)), run * float(np.sin(turn))
    radius = device.radius_mm
    frame.canvas.capsule(Capsule(x - dx, y - dy, x + dx, y + dy, radius, radius), Ink(device.hu))
    if radius > 2.0:
        frame.canvas.ellipse(Ellipse(x, y, 0.45 * radius, 0.45 * radius), Ink(device.lumen_hu))


def _paint_clips(frame: SliceFrame, device: Device, number: int) -> None:
    """Paint metal clips in a cluster inside, or staples of a scar along the front."""
    rng = np.random.default_rng([frame.content.seed, 53, number])
    spread = rng.normal(0, 1, (device.count, 3))
    for along, side, height in spread:
        if abs(frame.u - device.u - 0.6 * height) * frame.pitch_mm > 4.0:
            continue
        depth = 0.02 if device.kind == "sutures" else device.depth
        x, y = _at(frame, device.theta + 0.06 * along, depth)
        turn = float(rng.uniform(0, np.pi))
        half = 1.0 + device.radius_mm
        dx, dy = half * float(np.cos(turn)), half * float(np.sin(turn))
        x, y = x + 12 * float(side) * (device.kind == "clips"), y + 3 * float(along)
        clip = Capsule(x - dx, y - dy, x + dx, y + dy, 0.7, 0.7)
        frame.canvas.capsule(clip, Ink(device.hu))
