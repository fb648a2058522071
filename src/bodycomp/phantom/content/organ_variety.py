"""How organs and great vessels of varied patients differ from the standard ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lump:
    """A round thing in or beside an organ: cyst, lesion, node, mass.

    Attributes:
        across: Place to the left relative to its host, -1..1; ``ahead``: to the front.
        u: Level of its middle.
        radius_mm: Half its size; ``flat``: depth relative to width.
        hu: Attenuation; ``rim_hu``: that of its outer 2 mm, relative.
    """

    across: float
    ahead: float
    u: float
    radius_mm: float
    flat: float
    hu: float
    rim_hu: float = 0.0


@dataclass(frozen=True)
class KidneyVariety:
    """One kidney.

    Attributes:
        size: Relative to the average; 0 is absent.
        low_u: Shift towards the feet, in vertebrae.
        out_mm: Shift away from the spine.
        dilated: 0..1, water in the pelvis and calices (hydronephrosis).
        cortex_hu: How much denser the cortex is than the medulla.
        stone_hu: Attenuation of a stone in the pelvis; 0 for none.
        lumps: Cysts and tumours; their u is relative to the kidney's middle.
    """

    size: float
    low_u: float
    out_mm: float
    dilated: float
    cortex_hu: float
    stone_hu: float
    lumps: tuple[Lump, ...]


@dataclass(frozen=True)
class AortaVariety:
    """The aorta and its branches.

    Attributes:
        swell: Radius of an aneurysm relative to the aorta; 1 is none.
        u: Level of its middle; ``half_u``: half its length, in vertebrae.
        thrombus: 0..0.8, part of the radius that clot fills; ``thrombus_hu``.
        plaques: How many of the wall's twelve sectors are calcified on average.
        plaque_hu: Attenuation of calcifications.
        shift_mm: Elongation: how far it strays to the left.
        filter_u: Level of a filter in the vena cava; 0 for none.
        cava: Width of the vena cava relative to the average; flat if small.
    """

    swell: float
    u: float
    half_u: float
    thrombus: float
    thrombus_hu: float
    plaques: float
    plaque_hu: float
    shift_mm: float
    filter_u: float
    cava: float


@dataclass(frozen=True)
class OrganVariety:
    """Organs of one patient, relative to the standard ones.

    Attributes:
        liver_low_u: How much lower the liver's tip lies, in vertebrae.
        liver_size: Size relative to the average; ``liver_ahead``: shift to the front, 0..0.6.
        liver_grain_hu: Amplitude of its texture (cirrhosis, patchy fat).
        liver_lumps: Lesions.
        spleen_size: Relative to the average, 0 is absent; ``spleen_low_u``: shift to the feet.
        gallbladder_hu: Bile, stones or contrast; ``gallbladder_size``.
        kidneys: Right, left.
        transplant: Side of a kidney in the iliac fossa, -1 right, 1 left, 0 none.
        masses: Nodes and tumours in the cavity.
        stomach_low_u: Shift of the stomach towards the feet; ``stomach_size``.
    """

    liver_low_u: float
    liver_size: float
    liver_ahead: float
    liver_grain_hu: float
    liver_lumps: tuple[Lump, ...]
    spleen_size: float
    spleen_low_u: float
    gallbladder_hu: float
    gallbladder_size: float
    kidneys: tuple[KidneyVariety, KidneyVariety]
    transplant: int
    masses: tuple[Lump, ...]
    stomach_low_u: float
    stomach_size: float
    aorta: AortaVariety


def draw_organs(rng: np.random.Generator, age_years: float) -> OrganVariety:
    """Draw the organs of one varied patient; calcifications grow with age."""
    big_liver = rng.random() < 0.25
    big_spleen = rng.random() < 0.12
    return OrganVariety(
        liver_low_u=float(rng.uniform(0.6, 2.6) if big_liver else rng.normal(0, 0.5)),
        liver_size=float(rng.uniform(1.05, 1.4) if big_liver else rng.uniform(0.75, 1.15)),
        liver_ahead=float(rng.uniform(0, 0.6)),
        liver_grain_hu=float(rng.uniform(0, 9)),
        liver_lumps=_lumps(rng, 0.3, 6, (3, 30), (-20, 150), (8.5, 14.5)),
        spleen_size=_spleen(rng, big_spleen),
        spleen_low_u=float(rng.uniform(0.5, 3.0) if big_spleen else rng.normal(0, 0.4)),
        gallbladder_hu=float(rng.choice([8, 20, 60, 200], p=[0.6, 0.2, 0.12, 0.08])),
        gallbladder_size=float(rng.uniform(0.4, 2.0)),
        kidneys=(_kidney(rng), _kidney(rng)),
        transplant=int(rng.choice([-1, 0, 1], p=[0.03, 0.95, 0.02])),
        masses=_masses(rng),
        stomach_low_u=float(rng.normal(0.3, 0.7)),
        stomach_size=float(rng.uniform(0.5, 1.5)),
        aorta=_aorta(rng, age_years),
    )


def _spleen(rng: np.random.Generator, big: bool) -> float:
    if rng.random() < 0.05:
        return 0.0
    return float(rng.uniform(1.3, 2.2) if big else rng.uniform(0.6, 1.25))


def _kidney(rng: np.random.Generator) -> KidneyVariety:
    size = float(rng.uniform(0.8, 1.25))
    kind = rng.random()
    if kind < 0.06:
        size = 0.0
    elif kind < 0.12:
        size = float(rng.uniform(0.4, 0.75))
    polycystic = rng.random() < 0.03
    if polycystic:
        size *= 1.6
    lumps = _lumps(
        rng, 1.0 if polycystic else 0.35, 14 if polycystic else 4, (4, 32), (-5, 25), (-1.4, 1.4)
    )
    return KidneyVariety(
        size=size,
        low_u=float(rng.normal(0.1, 0.45)) + (1.8 if rng.random() < 0.04 else 0.0),
        out_mm=float(rng.normal(0, 7)),
        dilated=float(rng.uniform(0.2, 1.0)) if rng.random() < 0.12 else 0.0,
        cortex_hu=float(rng.uniform(0, 90)),
        stone_hu=float(rng.uniform(200, 1300)) if rng.random() < 0.08 else 0.0,
        lumps=lumps,
    )


def _lumps(
    rng: np.random.Generator,
    chance: float,
    most: int,
    radius_mm: tuple[float, float],
    hu: tuple[float, float],
    u: tuple[float, float],
) -> tuple[Lump, ...]:
    count = int(rng.integers(1, most + 1)) if rng.random() < chance else 0
    return tuple(
        Lump(
            across=float(rng.uniform(-1, 1)),
            ahead=float(rng.uniform(-1, 1)),
            u=float(rng.uniform(*u)),
            radius_mm=float(np.exp(rng.uniform(*np.log(radius_mm)))),
            flat=float(rng.uniform(0.6, 1.0)),
            hu=float(rng.uniform(*hu)),
            rim_hu=float(rng.uniform(-10, 40)),
        )
        for _ in range(count)
    )


def _masses(rng: np.random.Generator) -> tuple[Lump, ...]:
    """Nodes beside the great vessels in many, a large mass anywhere in few."""
    nodes = _lumps(rng, 0.35, 24, (2.5, 12), (15, 110), (11.5, 19.5))
    large = _lumps(rng, 0.1, 2, (20, 65), (-30, 110), (12.5, 20.0))
    return nodes + large


def _aorta(rng: np.random.Generator, age_years: float) -> AortaVariety:
    old = float(np.clip((age_years - 45) / 35, 0, 1))
    wide = rng.random() < 0.04 + 0.12 * old
    return AortaVariety(
        swell=float(rng.uniform(1.5, 3.4) if wide else rng.uniform(0.85, 1.2)),
        u=float(rng.normal(14.9, 0.7)),
        half_u=float(rng.uniform(0.7, 2.0)),
        thrombus=float(rng.uniform(0, 0.7)) if wide else 0.0,
        thrombus_hu=float(rng.uniform(20, 60)),
        plaques=float(rng.uniform(0, 7)) * old,
        plaque_hu=float(rng.uniform(250, 1200)),
        shift_mm=float(rng.normal(0, 5 + 6 * old)),
        filter_u=float(rng.uniform(13.6, 15.2)) if rng.random() < 0.03 else 0.0,
        cava=float(rng.uniform(0.35, 1.3)),
    )
