"""The line that the iliac wings follow; the trunk's contours bend to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodycomp.phantom.shapes import COS, DEGREES, SIN, Floats, knots

WING_ROOM_MM = 10.0
"""Thickness of the wall kept free for an iliac wing."""


@dataclass(frozen=True, eq=False)
class Wing:
    """Left iliac wing cut at one level, in the polar frame of the trunk.

    Attributes:
        radii: Distance of the wing's middle plane along each ray, in mm; far where missed.
        start_deg: Angle of the front end, away from the front.
        stop_deg: Angle of the rear end.
    """

    radii: Floats
    start_deg: float
    stop_deg: float


_BELOW = (0.0, 0.5, 1.0, 2.0, 2.8, 3.6, 5.0, 7.0)


def wing_at(below_crest: float, scale: float, ahead_mm: float) -> Wing:
    """Return the wing ``below_crest`` vertebrae below the crest's highest point.

    The wing runs nearly straight from its front spine to its rear spine at the sacrum (ends
    read off axial CT); ``ahead_mm`` is how far the trunk's centre lies before the vertebral body.
    """
    front_x = knots(below_crest, _BELOW, (118, 122, 122, 118, 114, 102, 94, 88)) * scale
    front_y = knots(below_crest, _BELOW, (-8, -24, -40, -82, -116, -130, -126, -110)) * scale
    rear_x = knots(below_crest, _BELOW, (108, 88, 74, 61, 55, 62, 80, 84)) * scale
    rear_y = knots(below_crest, _BELOW, (10, 28, 40, 45, 40, 8, -50, -80)) * scale
    front_y, rear_y = front_y + ahead_mm, rear_y + ahead_mm
    run_x, run_y = rear_x - front_x, rear_y - front_y
    crossing = np.abs(SIN) * run_y + COS * run_x
    reach = (front_x * run_y - front_y * run_x) / np.where(np.abs(crossing) > 1e-3, crossing, 1e-3)
    start = float(np.degrees(np.arctan2(front_x, -front_y)))
    stop = float(np.degrees(np.arctan2(rear_x, -rear_y)))
    along = np.clip((DEGREES - start) / max(stop - start, 1.0), 0.0, 1.0)
    bulge = 5.0 * np.sin(along * np.pi) - 2.0 * np.sin(along * 2 * np.pi)
    radii = np.where(reach > 0, np.minimum(reach + bulge * scale, 400.0), 400.0)
    return Wing(np.asarray(radii, dtype=np.float32), start, stop)
