"""What of the body a varied series covers, how far its slices are apart, and its field of view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from bodycomp.anatomy import PhantomAnatomy
from bodycomp.phantom.skeleton.head_neck import NECK_U
from bodycomp.phantom.skeleton.legs import THIGH_U
from bodycomp.phantom.skeleton.levels import SpineCurve
from bodycomp.phantom.trunk import Trunk

Coverage = Literal[
    "abdomen", "abdomen-pelvis", "torso", "whole-body", "lumbar-spine",
    "chest", "upper-abdomen", "pelvis", "legs", "head",
]  # fmt: skip

Shares = Mapping[Coverage, float]

WITH_L3: Final[Shares] = MappingProxyType(
    {
        "abdomen": 0.2,
        "abdomen-pelvis": 0.36,
        "torso": 0.24,
        "whole-body": 0.17,
        "lumbar-spine": 0.03,
    }
)
"""Coverages that hold L3, and how often they are drawn."""

WITHOUT_L3: Final[Shares] = MappingProxyType(
    {"chest": 0.45, "upper-abdomen": 0.1, "pelvis": 0.15, "legs": 0.1, "head": 0.2}
)
"""Coverages that do not."""

# Level coordinates between which a series may end, at the feet and at the head.
_ENDS_U: Final[Mapping[Coverage, tuple[float, float, float, float]]] = MappingProxyType(
    {
        "abdomen": (15.4, 18.3, 8.3, 11.0),
        "abdomen-pelvis": (18.2, 24.6, 8.0, 11.0),
        "torso": (18.2, 24.6, 0.5, 5.0),
        "lumbar-spine": (17.3, 18.8, 10.5, 12.4),
        "chest": (10.8, 13.6, 0.5, 2.5),
        "upper-abdomen": (12.8, 14.0, 7.0, 9.0),
        "pelvis": (22.5, 24.6, 16.3, 17.5),
    }
)

_STEPS_MM: Final = (0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5, 10.0)
_STEP_SHARE: Final[Mapping[str, tuple[float, ...]]] = MappingProxyType(
    {
        "varied": (
            *(0.01, 0.02, 0.04, 0.05, 0.04, 0.09, 0.12, 0.18, 0.10, 0.24, 0.04, 0.04, 0.03),
        ),
        "held-out": (
            *(0.01, 0.02, 0.03, 0.06, 0.05, 0.06, 0.17, 0.14, 0.16, 0.18, 0.05, 0.04, 0.03),
        ),
    }
)
MOST_SLICES: Final = 1000


@dataclass(frozen=True)
class BodyRange:
    """From where to where a series goes, in mm of the patient's frame."""

    coverage: Coverage
    bottom_mm: float
    top_mm: float


def sample_range(
    rng: np.random.Generator, curve: SpineCurve, scale: float, coverage: Coverage | None
) -> BodyRange:
    """Draw where a series begins and ends.

    Args:
        rng: What is drawn from.
        curve: The patient's spine.
        scale: The patient's height relative to 1700 mm.
        coverage: What of the body; one of ``WITH_L3`` if None.
    """
    names: tuple[Coverage, ...] = tuple(WITH_L3)
    drawn = names[int(rng.choice(len(names), p=list(WITH_L3.values())))]
    chosen = coverage or drawn
    neck_mm, hip_mm = curve.z_at(NECK_U), curve.z_at(THIGH_U)
    low, high = rng.random(2).tolist()
    if chosen == "whole-body":
        return BodyRange(
            chosen, hip_mm - (40 + 840 * low**2) * scale, neck_mm + (90 + 200 * high) * scale
        )
    if chosen == "head":
        return BodyRange(chosen, neck_mm + (5 + 90 * low) * scale, neck_mm + 290 * scale)
    if chosen == "legs":
        bottom_mm = hip_mm - (300 + 580 * low) * scale
        return BodyRange(chosen, bottom_mm, hip_mm - (5 + 200 * high) * scale)
    feet_from, feet_to, head_from, head_to = _ENDS_U[chosen]
    bottom_u = feet_from + low * (feet_to - feet_from)
    top_u = head_from + high * (head_to - head_from)
    return BodyRange(chosen, curve.z_at(bottom_u), curve.z_at(top_u))


def sample_sampling(
    rng: np.random.Generator, anatomy: PhantomAnatomy, length_mm: float
) -> tuple[float, float]:
    """Draw slice distance and thickness in mm for a series of at most ``MOST_SLICES``."""
    share = _STEP_SHARE["held-out" if anatomy == "held-out" else "varied"]
    step = max(float(rng.choice(_STEPS_MM, p=share)), length_mm / MOST_SLICES)
    thickness = step * float(rng.choice([1.0, 1.25, 0.7, 0.5], p=[0.7, 0.1, 0.1, 0.1]))
    return round(step, 3), round(max(thickness, 0.6), 3)


def sample_field(rng: np.random.Generator, coverage: Coverage, trunk: Trunk) -> tuple[float, float]:
    """Draw the side of the field of view in mm, and where its middle lies behind the axis."""
    if coverage == "head":
        return float(rng.uniform(210, 420)), trunk.section(NECK_U).y - 30.0
    if coverage == "legs":
        return float(rng.uniform(380, 500)), trunk.table_y - 75.0
    section = trunk.section(15.0 if coverage != "chest" else 8.0)
    body_mm, chance = 2.0 * float(section.skin.max()), rng.random()
    if coverage == "lumbar-spine" and chance < 0.7:
        return float(rng.uniform(160, 260)), section.spine_y
    if coverage == "whole-body" or chance < 0.3:
        field_mm = float(rng.choice([480.0, 500.0, 500.0, 600.0, 700.0, 780.0]))
    elif chance < 0.42:
        field_mm = body_mm * float(rng.uniform(0.82, 0.97))
    else:
        field_mm = body_mm * float(rng.uniform(1.03, 1.4))
    return float(np.clip(field_mm, 240, 800)), section.y
