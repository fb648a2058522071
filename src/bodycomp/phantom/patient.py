"""Who lies in the scanner: anatomy of one synthetic patient, from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import PhantomAnatomy
from bodycomp.phantom.draw import Draw
from bodycomp.phantom.skeleton.axis_variety import axis_cues

Sex = Literal["F", "M"]
ContrastPhase = Literal["none", "arterial", "portal", "late"]
OralContrast = Literal["none", "water", "positive"]

_PHASES: Final[tuple[ContrastPhase, ...]] = ("none", "arterial", "portal", "late")
_ORAL: Final[tuple[OralContrast, ...]] = ("none", "water", "positive")


@dataclass(frozen=True)
class PatientParameters:
    """Anatomy of one patient; what is not named here follows from ``anatomy_seed``.

    Areas are the aims at mid-L3 from which the geometry is built; the rendered areas differ by
    some per cent. Levels are in units of vertebrae below T1 = 1 (T12 = 12, L1 = 13, L3 = 15,
    S1 = 18).

    Attributes:
        seed: Seed of the cohort.
        index: Number of the patient in the cohort.
        anatomy: One of ``PHANTOM_ANATOMIES``.
        skeletal_muscle_cm2: Aim for muscle at L3; 90..200 cm2 in adults.
        subcutaneous_fat_cm2: Aim for subcutaneous fat at L3; 40..420 cm2.
        visceral_fat_cm2: Aim for visceral fat at L3; 15..350 cm2.
        muscle_hu: Attenuation of muscle without fat streaks, before contrast enhancement.
        muscle_fat_fraction: Share of muscle replaced by fat streaks, 0..0.3 (myosteatosis).
        lordosis: Lumbar lordosis and thoracic kyphosis relative to the average spine (1.0).
        fat_droop: Subcutaneous fat collects at the flanks (positive) or the front (negative).
        iliac_crest_level: Level at which the iliac wings begin, about L4.
        liver_tip_level: Level of the liver's lower tip.
        kidney_shift_level: Shift of both kidneys towards the feet, in vertebrae.
        rib_drop: Steepness of the ribs relative to the average (1.0).
        rib12_length: Length of the twelfth rib relative to the average (1.0).
        inspiration_level: Shift of the diaphragm towards the feet, in vertebrae.
        bone_hu: Attenuation of trabecular bone; 80 (osteoporosis)..260.
        bowel_gas: Share of bowel segments that hold gas, 0..1.
        rotation_deg: Roll about the long axis; positive turns the front to the patient's left.
        l3_z_mm: Table position of mid-L3.
        anatomy_seed: Seed of everything finer than these parameters.
    """

    seed: int
    index: int
    anatomy: PhantomAnatomy
    sex: Sex
    age_years: float
    height_mm: float
    bmi_kg_m2: float
    skeletal_muscle_cm2: float
    subcutaneous_fat_cm2: float
    visceral_fat_cm2: float
    muscle_hu: float
    muscle_fat_fraction: float
    fat_hu: float
    lordosis: float
    scoliosis_mm: float
    fat_droop: float
    iliac_crest_level: float
    liver_tip_level: float
    kidney_shift_level: float
    rib_drop: float
    rib12_length: float
    inspiration_level: float
    bone_hu: float
    bowel_gas: float
    contrast_phase: ContrastPhase
    oral_contrast: OralContrast
    arms_up: bool
    rotation_deg: float
    l3_z_mm: float
    anatomy_seed: int

    @property
    def weight_kg(self) -> float:
        """Body weight in kg, from height and body-mass index."""
        return self.bmi_kg_m2 * (self.height_mm / 1000.0) ** 2

    @property
    def height_scale(self) -> float:
        """Lengths of bones and organs relative to a person of 1700 mm."""
        return self.height_mm / 1700.0


def sample_patient(
    seed: int, index: int, anatomy: PhantomAnatomy = "standard"
) -> PatientParameters:
    """Draw patient ``index`` of the cohort ``seed``; each pair has its own random stream.

    Height, body-mass index and areas follow the spread of adult CT cohorts: muscle index about
    52 (men) and 41 cm2/m2 (women), visceral fat larger in men and with age.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
    sex: Sex = "F" if rng.random() < 0.5 else "M"
    age = float(rng.uniform(24, 86))
    height = _normal(rng, 1630 if sex == "F" else 1765, 68, 1460, 1960)
    bmi = _normal(rng, 26.5, 4.8, 17.0, 42.0)
    muscle, subcutaneous, visceral = _areas(rng, sex, age, height, bmi)
    streaks = float(np.clip(0.02 + 0.0022 * (age - 30) + rng.normal(0, 0.04), 0.0, 0.28))
    patient = PatientParameters(
        seed=seed,
        index=index,
        anatomy=anatomy,
        sex=sex,
        age_years=age,
        height_mm=height,
        bmi_kg_m2=bmi,
        skeletal_muscle_cm2=muscle,
        subcutaneous_fat_cm2=subcutaneous,
        visceral_fat_cm2=visceral,
        muscle_hu=_normal(rng, 57 - 0.13 * (age - 50) - 0.4 * (bmi - 26), 5.0, 36, 68),
        muscle_fat_fraction=streaks,
        fat_hu=_normal(rng, -104, 4.0, -115, -92),
        lordosis=_normal(rng, 1.0, 0.35, 0.2, 1.9),
        scoliosis_mm=_normal(rng, 0.0, 4.0, -10, 10),
        fat_droop=_normal(rng, 0.0, 0.5, -1.0, 1.0),
        iliac_crest_level=_normal(rng, 16.05, 0.22, 15.5, 16.6),
        liver_tip_level=_normal(rng, 14.6, 0.6, 13.3, 16.2),
        kidney_shift_level=_normal(rng, 0.0, 0.3, -0.8, 0.8),
        rib_drop=_normal(rng, 1.0, 0.1, 0.75, 1.25),
        rib12_length=_normal(rng, 1.0, 0.3, 0.3, 1.7),
        inspiration_level=_normal(rng, 0.0, 0.5, -1.2, 1.0),
        bone_hu=_normal(rng, 235 - 1.7 * (age - 35), 30, 70, 270),
        bowel_gas=float(rng.uniform(0.05, 0.6)),
        contrast_phase=_PHASES[int(rng.choice(4, p=[0.35, 0.1, 0.45, 0.1]))],
        oral_contrast=_ORAL[int(rng.choice(3, p=[0.45, 0.25, 0.30]))],
        arms_up=bool(rng.random() < 0.85),
        rotation_deg=_normal(rng, 0.0, 2.5, -8, 8),
        l3_z_mm=float(rng.uniform(-700, 900)),
        anatomy_seed=int(rng.integers(2**31)),
    )
    if anatomy == "standard":
        return patient
    return _far_from_average(replace(patient, **axis_cues(anatomy, patient.anatomy_seed)))


def _normal(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, sd), low, high))


def _areas(
    rng: np.random.Generator, sex: Sex, age: float, height_mm: float, bmi: float
) -> tuple[float, float, float]:
    """Muscle, subcutaneous and visceral fat areas at L3 in cm2 for a person of this build."""
    female = sex == "F"
    spread: NDArray[np.float64] = np.exp(rng.normal(0.0, 1.0, 3) * [0.10, 0.22, 0.38])
    index = (41 if female else 53) + 0.75 * (bmi - 26) - 0.10 * (age - 50)
    subcutaneous = max(35.0, (15.5 if female else 12.0) * (bmi - 17) + (45 if female else 25))
    visceral = max(14.0, (8.0 if female else 13.0) * (bmi - 18.5) * (0.75 + 0.005 * age) + 20)
    muscle_cm2 = index * (height_mm / 1000) ** 2 * spread[0]
    return (
        float(np.clip(muscle_cm2, 82, 215)),
        float(np.clip(subcutaneous * spread[1], 35, 430)),
        float(np.clip(visceral * spread[2], 14, 350)),
    )


def _far_from_average(patient: PatientParameters) -> PatientParameters:
    """Return a varied patient: a build from cachexia to the highest obesity, of any muscularity.

    Half of them keep their body-mass index; a third are obese, the rest thin.
    """
    rng = np.random.default_rng([patient.anatomy_seed, 11, 1])
    draw = Draw(rng, held_out=patient.anatomy == "held-out")
    build, bmi = rng.random(), patient.bmi_kg_m2
    if build > 0.82:
        bmi = draw.between(13.5, 19.0)
    elif build > 0.5:
        bmi = draw.factor(29.0, 55.0)
    muscle, subcutaneous, visceral = _areas(rng, patient.sex, patient.age_years, 1700.0, bmi)
    lean = 0.9 + 0.1 * min((bmi - 14) / 6, 1.0)
    split = draw.factor(0.6, 1.65)
    thin = float(np.clip((bmi - 13) / 7, 0.12, 1.0))
    size = (patient.height_mm / 1700.0) ** 2
    return replace(
        patient,
        bmi_kg_m2=bmi,
        skeletal_muscle_cm2=float(np.clip(muscle * lean * size * draw.factor(0.7, 1.4), 48, 235)),
        subcutaneous_fat_cm2=float(
            np.clip((subcutaneous + 9.0 * max(bmi - 40, 0.0)) * split * thin, 6, 850)
        ),
        visceral_fat_cm2=float(np.clip(visceral / split * thin, 5, 480)),
        muscle_hu=draw.between(26.0, 72.0),
        muscle_fat_fraction=0.6 * patient.muscle_fat_fraction,
        fat_droop=draw.between(-1.2, 1.2),
    )
