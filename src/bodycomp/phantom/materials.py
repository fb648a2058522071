"""Densities in HU of one patient's tissues, by contrast phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bodycomp.phantom.patient import ContrastPhase, OralContrast, PatientParameters

# Enhancement in HU added to the unenhanced density: none, arterial, portal, late.
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
    """Densities in HU; bone and gas are common to all, the rest is the patient's."""

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


def materials_of(patient: PatientParameters) -> Materials:
    """Return the tissue densities of ``patient`` in the contrast phase of the scan."""
    rng = np.random.default_rng([patient.anatomy_seed, 3])
    strength = float(rng.uniform(0.8, 1.2))
    gain = {k: v * strength for k, v in _ENHANCEMENT[patient.contrast_phase].items()}
    steatosis = max(0.0, (patient.bmi_kg_m2 - 28) * rng.uniform(0, 3.0))
    return Materials(
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
