"""The vertebral column as a curve: level positions, and the level coordinate that orders anatomy.

The level coordinate ``u`` is 1 at mid-T1, 12 at mid-T12, 13 at mid-L1, 15 at mid-L3, 18 at mid-S1
and grows towards the feet (19..22 are S2..S5, 23..24 the coccyx and the hip joints). It orders
trunk, organs and pelvis. Vertebrae and ribs have a number, which is the same for most patients and
differs where vertebrae lie higher or lower against the rest or are not twelve and five.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import VERTEBRAE
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.shapes import knots
from bodycomp.phantom.skeleton.axis_variety import SPINE, AxisVariety, axis_variety

Floats64 = NDArray[np.float64]

NAMED_LEVELS: Final = VERTEBRAE[VERTEBRAE.index("T1") :]
LAST_LEVEL: Final = 26

# Distance from the middle of a vertebral body to the next one below, T1 to the thigh, at 1700 mm
# height (vertebral body heights after Panjabi 1991/1992, disc heights after Kunkel 2011).
_PITCH_MM: Final = (
    *(19.5, 20.5, 21.2, 21.8, 22.2, 22.8, 23.2, 23.8, 24.6, 26.0, 27.5),
    *(29.8, 32.5, 34.5, 35.5, 35.5, 32.5),
    *(27.0, 25.0, 23.0, 21.0, 20.0, 20.0, 22.0, 22.0),
)

# Position of the vertebral body centre behind the patient's axis, for a lordosis of 1.
_CURVE_U: Final = (0, 1, 3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 24, 26)
_CURVE_MM: Final = (-32, -22, -5, 6, 5, -2, -6, -11, -16, -20, -20, -6, 14, 31, 40, 40, 30, 30)

# Share of an interval that body and disc take, in the chest and in the loin.
BODY_SHARE: Final = (0.82, 0.74)
# How much a vertebra moves where the lumbar ones move by 1.
_SHIFT_U: Final = (6, 12, 16, 17.6)
_SHIFT: Final = (0.0, 1.0, 1.0, 0.0)
_LAST_RIB_U: Final = 12.5
_SACRUM_U: Final = 17.5


class SpineCurve:
    """Immutable course of one patient's spine; converts between z and the level coordinate."""

    def __init__(self, patient: PatientParameters) -> None:
        rng = np.random.default_rng([patient.anatomy_seed, 1])
        self.variety: AxisVariety = axis_variety(patient.anatomy, patient.anatomy_seed)
        pitch = np.array(_PITCH_MM) * patient.height_scale
        pitch = pitch * (1.0 + np.clip(rng.normal(0.0, 0.025, pitch.size), -0.06, 0.06))
        if patient.anatomy != "standard":
            pitch = pitch * _pitch_factors(self.variety)
        below_t1 = np.concatenate([[0.0], np.cumsum(pitch)])
        z = patient.l3_z_mm + below_t1[14] - below_t1
        self._u = (-6.0, *(float(n) for n in range(1, LAST_LEVEL + 1)))
        self._fall = (-float(z[0] + 7 * pitch[0]), *(-float(value) for value in z))
        self._patient = patient
        self._numbers = tuple(float(n) for n in range(-6, LAST_LEVEL + 1))
        self._number_u = tuple(_place_of(n, self.variety) for n in self._numbers)
        names = {name: self.vertebra_z_mm(float(n)) for n, name in enumerate(NAMED_LEVELS, start=1)}
        if self.variety.lumbar > 5:  # the sixth has no name, the sacrum has
            names["S1"] = self.z_at(18.0)
        self.level_z_mm: Mapping[str, float] = MappingProxyType(names)

    def vertebra_at(self, u: float) -> float:
        """Return the vertebra's number (T1 = 1, between two of them a fraction) at ``u``."""
        return u if self._number_u == self._numbers else knots(u, self._number_u, self._numbers)

    def vertebra_u(self, number: float) -> float:
        """Return the level coordinate of a vertebra's number."""
        if self._number_u == self._numbers:
            return number
        return knots(number, self._numbers, self._number_u)

    def vertebra_z_mm(self, number: float) -> float:
        """Return the height of a vertebra's number in mm."""
        return self.z_at(self.vertebra_u(number))

    def turn_deg(self, u: float) -> float:
        """Return how far scoliosis turns the vertebra at ``u`` about the long axis."""
        return float(np.clip(self._bend_mm(u) * self.variety.turn_deg_per_mm, -30.0, 30.0))

    def lean(self, u: float) -> float:
        """Return how far (mm) the vertebra's axis moves to the left per mm towards the feet."""
        if not self.variety.bends:
            return 0.0
        span = self.z_at(u - 0.6) - self.z_at(u + 0.6)
        return (self._bend_mm(u + 0.6) - self._bend_mm(u - 0.6)) / span

    def _bend_mm(self, u: float) -> float:
        return sum(
            bend.by_mm * float(np.exp(-(((u - bend.at) / bend.width) ** 2)))
            for bend in self.variety.bends
        )

    def level_at(self, z_mm: float) -> float:
        """Return the level coordinate u at ``z_mm``, clamped to the modelled torso."""
        return knots(-z_mm, self._fall, self._u)

    def z_at(self, u: float) -> float:
        """Return the z position in mm of the level coordinate ``u``."""
        return -knots(u, self._u, self._fall)

    def pitch_mm(self, u: float) -> float:
        """Return the height in mm of one vertebra with its disc at ``u``."""
        return self.z_at(u - 0.5) - self.z_at(u + 0.5)

    def center_mm(self, u: float) -> tuple[float, float]:
        """Return x (to the left) and y (to the back) of the vertebral body centre at ``u``."""
        bend = self._patient.scoliosis_mm * float(np.sin((u - 7.0) / 11.0 * np.pi))
        bend += self._bend_mm(u)
        depth = knots(u, _CURVE_U, _CURVE_MM)
        return bend, depth * self._sag(u)

    def tilt(self, u: float) -> float:
        """Return how far (mm) the vertebra's axis moves to the back per mm towards the feet."""
        span = self.z_at(u - 0.6) - self.z_at(u + 0.6)
        return (self.center_mm(u + 0.6)[1] - self.center_mm(u - 0.6)[1]) / span

    def _sag(self, u: float) -> float:
        """Lordosis scales the lumbar curve fully and the sacrum hardly."""
        pelvic = float(np.clip((u - 17.0) / 2.0, 0.0, 1.0))
        scale = self._patient.height_scale
        curve = scale * (self._patient.lordosis * (1 - pelvic) + pelvic)
        if self.variety.kyphosis == 1.0:
            return curve
        return curve * knots(u, (9.0, 12.5), (self.variety.kyphosis, 1.0))


def _pitch_factors(variety: AxisVariety) -> Floats64:
    """Return the factor of each interval: proportions, discs and fractures."""
    factors = np.array(variety.pitch)
    for n in range(1, SPINE):
        body, above, below = BODY_SHARE[n >= 13], variety.loss[n - 1], variety.loss[n]
        lost = (1.0 - body) * (1.0 - variety.disc[n - 1]) + body / 2 * (above + below)
        factors[n - 1] *= 1.0 - lost
    return factors


def _place_of(number: float, variety: AxisVariety) -> float:
    """Return the level coordinate of a vertebra's number."""
    last = _LAST_RIB_U + variety.lumbar
    if number <= _LAST_RIB_U:
        u = number
    elif number < last:
        u = _LAST_RIB_U + (number - _LAST_RIB_U) * 5.0 / variety.lumbar
    else:
        u = number - last + _SACRUM_U
    return u + variety.shift_level * knots(u, _SHIFT_U, _SHIFT) if variety.shift_level else u
