"""Illness, surgery and devices that varied patients have and standard ones lack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

DeviceKind = Literal["drain", "line", "clips", "sutures", "tube"]


@dataclass(frozen=True)
class Hernia:
    """A sac in the subcutaneous fat with a gap in the wall.

    Attributes:
        theta: Direction from the middle, radians, 0 the front, positive left.
        u: Level of its middle; ``half_u``: half its height, in vertebrae.
        size: Half width relative to the room in the subcutaneous fat, 0.3..1.
        gap_mm: Half width of the gap in the wall.
        bowel: Whether it holds a loop of bowel.
    """

    theta: float
    u: float
    half_u: float
    size: float
    gap_mm: float
    bowel: bool


@dataclass(frozen=True)
class Stoma:
    """Bowel that is led through the rectus to the skin, with a bag on it; fields as of a hernia."""

    theta: float
    u: float
    half_u: float
    radius_mm: float
    bag: bool


@dataclass(frozen=True)
class Device:
    """A drain, catheter or tube (polyline in the slice), or a group of clips.

    Attributes:
        theta: Where it enters or lies.
        u: Level of its middle; ``half_u``: half the height over which slices cut it.
        depth: How deep it reaches, 0 the skin, 1 the middle of the body.
        radius_mm: Thickness of the tube or size of a clip.
        hu: Attenuation; ``lumen_hu`` that of its bore.
        bend: Sideways course, -1..1.
        count: Number of clips.
    """

    kind: DeviceKind
    theta: float
    u: float
    half_u: float
    depth: float
    radius_mm: float
    hu: float
    lumen_hu: float
    bend: float
    count: int


@dataclass(frozen=True)
class Nodule:
    """A spot in the subcutaneous fat: injection site, granuloma, bruise, bubble of gas."""

    theta: float
    u: float
    depth: float
    radius_mm: float
    flat: float
    hu: float


@dataclass(frozen=True)
class Findings:
    """What was found in one patient.

    Attributes:
        ascites_mm: Thickness of free fluid along the flanks; 0 for none.
        ascites_hu: Its attenuation: water, exudate, blood.
        ascites_level: How far it fills the cavity from behind, 0..1.
        glandular: 0..1, share of breast that is glandular; ``implant_hu``: 0 for none.
    """

    ascites_mm: float
    ascites_hu: float
    ascites_level: float
    hernia: Hernia | None
    stoma: Stoma | None
    devices: tuple[Device, ...]
    nodules: tuple[Nodule, ...]
    glandular: float
    implant_hu: float


def draw_findings(rng: np.random.Generator) -> Findings:
    """Draw the findings of one varied patient; most have few."""
    wet = rng.random() < 0.14
    return Findings(
        ascites_mm=float(np.exp(rng.uniform(np.log(4), np.log(45)))) if wet else 0.0,
        ascites_hu=float(rng.uniform(-5, 35) if rng.random() < 0.8 else rng.uniform(30, 75)),
        ascites_level=float(rng.uniform(0, 1.1)) if rng.random() < 0.6 else 0.0,
        hernia=_hernia(rng) if rng.random() < 0.13 else None,
        stoma=_stoma(rng) if rng.random() < 0.05 else None,
        devices=tuple(_device(rng) for _ in range(int(rng.poisson(0.8)))),
        nodules=tuple(_nodule(rng) for _ in range(int(rng.poisson(1.2)))),
        glandular=float(rng.uniform(0, 1)),
        implant_hu=float(rng.choice([10, 60, 110])) if rng.random() < 0.06 else 0.0,
    )


def _hernia(rng: np.random.Generator) -> Hernia:
    """Umbilical in half, incisional of the midline or beside the rectus, or of the flank."""
    theta = rng.normal(0, 0.06) if rng.random() < 0.6 else rng.uniform(-1.4, 1.4)
    return Hernia(
        theta=float(theta),
        u=float(rng.normal(15.8, 0.8)),
        half_u=float(rng.uniform(0.3, 1.4)),
        size=float(rng.uniform(0.3, 1.0)),
        gap_mm=float(rng.uniform(4, 28)),
        bowel=bool(rng.random() < 0.45),
    )


def _stoma(rng: np.random.Generator) -> Stoma:
    side = float(rng.choice([-1.0, 1.0]))
    return Stoma(
        side * float(rng.uniform(0.3, 0.75)), float(rng.normal(15.9, 0.6)),
        float(rng.uniform(0.4, 0.8)), float(rng.uniform(9, 17)), bool(rng.random() < 0.8),
    )  # fmt: skip


_KINDS: Final[tuple[DeviceKind, ...]] = ("drain", "line", "clips", "sutures", "tube")


def _device(rng: np.random.Generator) -> Device:
    kind = _KINDS[int(rng.integers(len(_KINDS)))]
    thick = {"drain": (1.5, 5.0), "line": (0.7, 1.6), "clips": (0.8, 2.5), "sutures": (0.7, 1.6),
             "tube": (1.5, 3.5)}[kind]  # fmt: skip
    metal = kind in ("clips", "sutures")
    return Device(
        kind=kind,
        theta=float(rng.normal(0, 0.08) if kind == "sutures" else rng.uniform(-2.2, 2.2)),
        u=float(rng.uniform(12.5, 18.0)),
        half_u=float(rng.uniform(0.15, 0.8) if kind == "drain" else rng.uniform(0.3, 4.0)),
        depth=float(rng.uniform(0.25, 0.9)),
        radius_mm=float(rng.uniform(*thick)),
        hu=float(rng.uniform(1200, 3000) if metal else rng.uniform(120, 1500)),
        lumen_hu=float(rng.choice([-900.0, 10.0, 200.0])),
        bend=float(rng.uniform(-1, 1)),
        count=int(rng.integers(2, 12)),
    )


def _nodule(rng: np.random.Generator) -> Nodule:
    gas = rng.random() < 0.12
    return Nodule(
        theta=float(rng.normal(0, 0.7) if rng.random() < 0.7 else rng.uniform(-3, 3)),
        u=float(rng.uniform(12.5, 18.5)),
        depth=float(rng.uniform(0.1, 0.9)),
        radius_mm=float(np.exp(rng.uniform(np.log(2), np.log(13)))),
        flat=float(rng.uniform(0.4, 1.0)),
        hu=-850.0 if gas else float(rng.uniform(-20, 90)),
    )
