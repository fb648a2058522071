"""How one patient's spine, ribs and sacrum differ from the average, beyond ``PatientParameters``.

Standard patients have the neutral value. Varied ones have what a hospital sees: other proportions,
worn discs and joints, osteophytes, fractures, scoliosis, kyphosis, lesions, screws, and numbers of
vertebrae and ribs that are not the usual ones. Held-out ones have the same in other shares.

Vertebrae are counted from T1 towards the feet: the twentieth is L1 and the twenty-fourth L5,
whether or not it bears a thirteenth rib or has grown into the sacrum. A sixth lumbar vertebra
lies between L5 and the sacrum and has no name here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypedDict

import numpy as np

from bodycomp.anatomy import PhantomAnatomy

SPINE: Final = 19
"""Vertebrae with values of their own: T1 to L5, a sixth lumbar one and the first sacral one."""

_STREAM: Final = 13
_NEUTRAL: Final = (1.0,) * SPINE
_NOTHING: Final = (0.0,) * SPINE


@dataclass(frozen=True)
class Bend:
    """A sideways curve: a bell of ``by_mm`` (to the left) around the level coordinate ``at``."""

    by_mm: float
    at: float
    width: float


@dataclass(frozen=True)
class Lesion:
    """A round lesion in the body of a vertebra; place and radius in mm at 1700 mm height."""

    vertebra: int
    x: float
    y: float
    v: float
    radius: float
    hu: float


@dataclass(frozen=True)
class AxisVariety:
    """Differences along the long axis; tuples hold one value per vertebra from T1.

    Attributes:
        lumbar: Lumbar vertebrae: 5, or 4 (L5 is part of the sacrum), or 6.
        ribs: Pairs of ribs: 12, or 11, or 13 (short ones at L1).
        rib13_length: Length of the thirteenth rib relative to an average twelfth one.
        low_rib_drop: How far the lowest ribs fall: 0 little, 1 as in people, where the tip of the
            twelfth lies beside L2 (7 to 9 cm below its head on two CTs of public collections).
        pitch: Factor of each vertebra's height with its disc.
        shift_level: How far lumbar vertebrae lie towards the feet against everything else.
        disc: Height of the disc below each vertebra, relative; 1 is healthy.
        gas: Vacuum in the disc below, 0..1.
        loss: Share of the body's height that a fracture took.
        osteophyte_mm: How far bone grows out at the endplates.
        sclerosis_hu: Added attenuation of the endplates.
        bends: Scoliosis beside that of the patient's parameters.
        turn_deg_per_mm: Rotation of vertebrae per mm of bend.
        kyphosis: Thoracic curve relative to the average.
        width, depth, canal, process, spinous: Sizes relative to the average.
        facet: Size of the facet joints relative to the average.
        lesions: Sclerotic or lytic lesions.
        screws: First and last vertebra that screws and rods join; equal for none.
        sacrum_width, sacrum_back_mm: Shape and place of the sacrum.
        hip_out: Distance of the hip joints from the middle, relative.
    """

    lumbar: int = 5
    ribs: int = 12
    rib13_length: float = 0.0
    low_rib_drop: float = 0.0
    pitch: tuple[float, ...] = (1.0,) * 25
    shift_level: float = 0.0
    disc: tuple[float, ...] = _NEUTRAL
    gas: tuple[float, ...] = _NOTHING
    loss: tuple[float, ...] = _NOTHING
    osteophyte_mm: tuple[float, ...] = _NOTHING
    sclerosis_hu: tuple[float, ...] = _NOTHING
    bends: tuple[Bend, ...] = ()
    turn_deg_per_mm: float = 0.0
    kyphosis: float = 1.0
    width: float = 1.0
    depth: float = 1.0
    canal: float = 1.0
    process: float = 1.0
    spinous: float = 1.0
    facet: float = 1.0
    lesions: tuple[Lesion, ...] = ()
    screws: tuple[int, int] = (0, 0)
    sacrum_width: float = 1.0
    sacrum_back_mm: float = 0.0
    hip_out: float = 1.0


@dataclass(frozen=True)
class _Shares:
    """What the anatomies differ in: means, and how often what is rare occurs."""

    thoracic: float
    lumbar: float
    pitch_sd: float
    width: float
    spinous: float
    wear: float
    fractured: float
    scoliotic: float
    six: float
    four: float
    rib13: float
    rib11: float
    shift: float


_SHARES: Final = {
    "varied": _Shares(1.0, 1.0, 0.045, 1.0, 1.0, 1.0, 0.15, 0.2, 0.05, 0.03, 0.05, 0.02, 0.0),
    "held-out": _Shares(
        0.96, 1.035, 0.035, 1.06, 0.92, 1.25, 0.12, 0.25, 0.03, 0.02, 0.03, 0.02, 0.12
    ),
}


def axis_variety(anatomy: PhantomAnatomy, anatomy_seed: int) -> AxisVariety:
    """Draw the variety of one patient from a stream of its own; neutral for "standard"."""
    if anatomy == "standard":
        return AxisVariety()
    rng, share = np.random.default_rng([anatomy_seed, _STREAM]), _SHARES[anatomy]
    wear = float(np.clip(rng.beta(1.2, 2.0) * 1.3 * share.wear, 0.0, 1.0))
    disc, gas, sclerosis = _worn_discs(rng, wear)
    count = rng.random()
    lumbar = 6 if count < share.six else 4 if count < share.six + share.four else 5
    count = rng.random()
    ribs = 13 if count < share.rib13 else 11 if count < share.rib13 + share.rib11 else 12
    return AxisVariety(
        lumbar=lumbar,
        ribs=ribs,
        rib13_length=float(rng.uniform(0.3, 1.2)),
        low_rib_drop=float(np.clip(rng.normal(1.0, 0.4), 0.0, 2.0)),
        pitch=_pitch(rng, share, lumbar),
        shift_level=float(np.clip(rng.normal(share.shift, 0.22), -0.5, 0.6)),
        disc=disc,
        gas=gas,
        loss=_fractures(rng, share.fractured),
        osteophyte_mm=tuple((np.clip(rng.normal(2.5, 3.0, SPINE), 0, 9) * wear).tolist()),
        sclerosis_hu=sclerosis,
        bends=_bends(rng, share.scoliotic),
        turn_deg_per_mm=float(rng.uniform(0.3, 0.9)),
        kyphosis=float(np.clip(rng.lognormal(0.05, 0.4), 0.3, 2.6)),
        width=_factor(rng, share.width, 0.06),
        depth=_factor(rng, 1.0, 0.06),
        canal=_factor(rng, 1.0, 0.09),
        process=_factor(rng, 1.0, 0.12),
        spinous=_factor(rng, share.spinous, 0.1),
        facet=1.0 + wear * float(rng.uniform(0, 0.8)),
        lesions=_lesions(rng),
        screws=_screws(rng),
        sacrum_width=_factor(rng, 1.0, 0.08),
        sacrum_back_mm=float(rng.normal(0.0, 5.0)),
        hip_out=_factor(rng, 1.0, 0.05),
    )


class AxisCues(TypedDict):
    """Fields of ``PatientParameters`` that tell levels."""

    lordosis: float
    iliac_crest_level: float
    liver_tip_level: float
    kidney_shift_level: float
    rib_drop: float
    rib12_length: float
    inspiration_level: float
    rotation_deg: float


def axis_cues(anatomy: PhantomAnatomy, anatomy_seed: int) -> AxisCues:
    """Return cues drawn wider than those of "standard"; not meant for that one."""
    rng, other = np.random.default_rng([anatomy_seed, _STREAM, 1]), anatomy == "held-out"

    def draw(mean: float, sd: float, low: float, high: float) -> float:
        return float(np.clip(rng.normal(mean, sd), low, high))

    return {
        "lordosis": draw(0.9 if other else 1.0, 0.45, 0.05, 2.2),
        "iliac_crest_level": draw(16.25 if other else 16.15, 0.36, 15.2, 17.1),
        "liver_tip_level": draw(14.9 if other else 14.6, 0.9, 12.8, 17.2),
        "kidney_shift_level": draw(0.5 if other else 0.35, 0.5, -1.0, 1.8),
        "rib_drop": draw(1.06 if other else 1.0, 0.18, 0.5, 1.5),
        "rib12_length": 0.05 if rng.random() < 0.06 else draw(1.0, 0.4, 0.2, 2.0),
        "inspiration_level": draw(-0.2 if other else 0.0, 0.7, -1.8, 1.4),
        "rotation_deg": draw(0.0, 5.0, -20.0, 20.0),
    }


def _factor(rng: np.random.Generator, mean: float, sd: float) -> float:
    return float(np.clip(rng.normal(mean, sd), mean - 2.5 * sd, mean + 2.5 * sd))


def _pitch(rng: np.random.Generator, share: _Shares, lumbar: int) -> tuple[float, ...]:
    """Return factors of the 25 intervals from T1 down; six lumbar vertebrae make a longer loin."""
    loin = share.lumbar * {4: 0.93, 5: 1.0, 6: 1.09}[lumbar]
    parts = np.concatenate([np.full(11, share.thoracic), np.full(6, loin), np.full(8, 0.94)])
    whole = np.concatenate(
        [np.full(count, rng.normal(0.0, sd)) for count, sd in ((11, 0.05), (6, 0.055), (8, 0.08))]
    )
    each = np.clip(rng.normal(0.0, share.pitch_sd, 25), -0.1, 0.1)
    return tuple((parts * (1.0 + np.clip(whole, -0.13, 0.13)) * (1.0 + each)).tolist())


def _worn_discs(
    rng: np.random.Generator, wear: float
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Return height, gas and sclerosis per disc; those low in the loin wear most."""
    place = np.interp(np.arange(1, SPINE + 1), (1, 8, 12, 14, 17, 19), (0.5, 0.6, 0.5, 0.7, 1, 0.3))
    worn = wear * place * rng.uniform(0, 1.3, SPINE)
    gas = np.where((worn > 0.5) & (rng.random(SPINE) < 0.5), rng.uniform(0.3, 1, SPINE), 0.0)
    sclerosis = np.where(worn > 0.35, rng.uniform(0, 350, SPINE) * worn, 0.0)
    return (
        tuple(np.clip(1.05 - worn, 0.2, 1.1).tolist()),
        tuple(gas.tolist()),
        tuple(sclerosis.tolist()),
    )


def _fractures(rng: np.random.Generator, share: float) -> tuple[float, ...]:
    loss = np.zeros(SPINE)
    if rng.random() < share:
        for n in rng.integers(5, 17, int(rng.integers(1, 4))):
            loss[n] = rng.uniform(0.12, 0.5)
    return tuple(loss.tolist())


def _bends(rng: np.random.Generator, share: float) -> tuple[Bend, ...]:
    if rng.random() > share:
        return (Bend(float(rng.normal(0, 4)), float(rng.uniform(8, 16)), 3.5),)
    by_mm = float(rng.uniform(10, 40) * rng.choice([-1, 1]))
    at, width = float(rng.uniform(8, 16)), float(rng.uniform(2.2, 4.0))
    back = float(rng.uniform(0.3, 0.8))
    other = at + width * 1.9 * (1 if at < 12 else -1)
    return (Bend(by_mm, at, width), Bend(-by_mm * back, other, width))


def _lesions(rng: np.random.Generator) -> tuple[Lesion, ...]:
    if rng.random() > 0.12:
        return ()
    dense = rng.random() < 0.75
    return tuple(
        Lesion(
            vertebra=int(rng.integers(3, 18)),
            x=float(rng.normal(0, 9)),
            y=float(rng.normal(0, 6)),
            v=float(rng.uniform(-0.25, 0.25)),
            radius=float(rng.uniform(2, 11)),
            hu=float(rng.uniform(450, 1100) if dense else rng.uniform(10, 60)),
        )
        for _ in range(int(rng.integers(1, 12)))
    )


def _screws(rng: np.random.Generator) -> tuple[int, int]:
    if rng.random() > 0.04:
        return (0, 0)
    first = int(rng.integers(9, 17))
    return (first, min(first + int(rng.integers(1, 5)), 17))
