"""Attenuation of the tissues of one patient, in HU, in the contrast phase of the scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bodycomp.phantom.content.content_variety import STANDARD_CONTENT, ContentVariety
from bodycomp.phantom.patient import ContrastPhase, OralContrast, PatientParameters

# Enhancement in HU added to the unenhanced tissue: none, arterial, portal, late.
_ENHANCEMENT: Final[dict[ContrastPhase, dict[str, float]]] = {
    "none": dict.fromkeys(("aorta", "vein", "liver", "spleen", "kidney", "muscle", "wall"), 0.0),
    "arterial": {
        "aorta": 240, "vein": 40, "liver": 18, "spleen": 75, "kidney": 110, "muscle": 5, "wall": 35,
    },
    "portal": {
        "aorta": 110, "vein": 105, "liver": 55, "spleen": 70, "kidney": 135, "muscle": 10,
        "wall": 45,
    },
    "late": {
        "aorta": 65, "vein": 65, "liver": 35, "spleen": 45, "kidney": 110, "muscle": 9, "wall": 30,
    },
}  # fmt: skip

_LUMEN: Final[dict[OralContrast, float]] = {"none": 22.0, "water": 8.0, "positive": 190.0}


@dataclass(frozen=True)
class Materials:
    """Attenuation in HU; bone and gas are common to all, the rest is the patient's."""

    muscle: float
    fat: float
    aorta: float
    vein: float
    liver: float
    spleen: float
    kidney: float
    pancreas: float
    bowel_wall: float
    lumen: float
    stool: float
    marrow: float
    disc: float
    cortical: float = 520.0
    gas: float = -960.0
    lung: float = -860.0
    canal: float = 25.0
    cartilage: float = 95.0


def materials_of(
    patient: PatientParameters, content: ContentVariety = STANDARD_CONTENT
) -> Materials:
    """Return the attenuation of the patient's tissues in the contrast phase of the scan."""
    rng = np.random.default_rng([patient.anatomy_seed, 3])
    strength = float(rng.uniform(0.8, 1.2))
    gain = {k: v * strength for k, v in _ENHANCEMENT[patient.contrast_phase].items()}
    steatosis = max(0.0, (patient.bmi_kg_m2 - 28) * rng.uniform(0, 3.0))
    usual = Materials(
        muscle=patient.muscle_hu + gain["muscle"],
        fat=patient.fat_hu,
        aorta=42 + gain["aorta"],
        vein=40 + gain["vein"],
        liver=58 + gain["liver"] - min(steatosis, 45.0),
        spleen=48 + gain["spleen"],
        kidney=33 + gain["kidney"],
        pancreas=40 + 0.7 * gain["wall"],
        bowel_wall=38 + gain["wall"],
        lumen=_LUMEN[patient.oral_contrast] + float(rng.normal(0, 6)),
        stool=float(rng.uniform(10, 60)) + (60 if patient.oral_contrast == "positive" else 0),
        marrow=patient.bone_hu,
        disc=80.0,
    )
    if not content.varied:
        return usual
    draw = _wide if content.wide_hu else _near
    return draw(usual, np.random.default_rng([patient.anatomy_seed, 12, 3]))


MUSCLE_HU: Final = (4.0, 98.0)
"""What muscle free of streaks may be in a living person: severe myosteatosis to late enhancement
of a lean one. Drawn beyond that, a network would learn that density means nothing."""
FAT_HU: Final = (-123.0, -72.0)
"""Likewise fat, from large pure depots to brown, oedematous or cachectic fat."""

# Standard deviations about the truth, and ranges of the wide draw.
_NEAR_SD: Final = {
    "muscle": 4.0, "fat": 4.0, "aorta": 14.0, "vein": 12.0, "liver": 9.0, "spleen": 8.0,
    "kidney": 16.0, "pancreas": 10.0, "bowel_wall": 14.0, "lumen": 14.0, "stool": 20.0,
    "marrow": 35.0, "disc": 15.0, "cortical": 130.0, "lung": 35.0, "canal": 10.0,
    "cartilage": 30.0,
}  # fmt: skip
_WIDE: Final = {
    "muscle": (8.0, 92.0), "fat": (-121.0, -75.0), "aorta": (20.0, 480.0), "vein": (15.0, 330.0),
    "liver": (-10.0, 190.0), "spleen": (15.0, 220.0), "kidney": (10.0, 320.0),
    "pancreas": (-20.0, 160.0), "bowel_wall": (10.0, 170.0), "lumen": (-30.0, 320.0),
    "stool": (-60.0, 160.0), "marrow": (30.0, 480.0), "disc": (30.0, 170.0),
    "cortical": (260.0, 1250.0), "lung": (-950.0, -600.0), "canal": (-10.0, 70.0),
    "cartilage": (40.0, 280.0),
}  # fmt: skip


def _near(usual: Materials, rng: np.random.Generator) -> Materials:
    """Scatter each tissue about its truth; enhancement may be weaker or stronger by half."""
    timing = float(rng.uniform(0.5, 1.5))
    drawn = {}
    for name, sd in _NEAR_SD.items():
        value = getattr(usual, name) + float(rng.normal(0, sd))
        if name in ("aorta", "vein", "liver", "spleen", "kidney", "bowel_wall"):
            plain = 45.0
            value = plain + (value - plain) * timing if value > plain else value
        drawn[name] = value
    return _living(replace(usual, **drawn))


def _wide(usual: Materials, rng: np.random.Generator) -> Materials:
    drawn = {name: float(rng.uniform(*limits)) for name, limits in _WIDE.items()}
    return _living(replace(usual, **drawn))


def _living(drawn: Materials) -> Materials:
    return replace(
        drawn,
        muscle=float(np.clip(drawn.muscle, *MUSCLE_HU)),
        fat=float(np.clip(drawn.fat, *FAT_HU)),
    )
