"""What differs from the standard patient inside and around the body, and in the scanner.

Drawn from a stream of its own, ``[anatomy_seed, 12]``, so that the standard patient keeps every
byte. In half of the varied patients attenuation is drawn near the truth, in the other half widely:
a network that has met both treats a real scanner as one more variant, and still knows what HU mean
(SynthSeg's ``mix_prior_and_random``; Billot et al., Medical Image Analysis 86, 2023).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bodycomp.phantom.acquisition.scanner_variety import ScannerVariety, draw_scanner
from bodycomp.phantom.acquisition.surrounding_variety import Surroundings, draw_surroundings
from bodycomp.phantom.acquisition.texture_bank import NUMBERS, Placing, draw_placing
from bodycomp.phantom.content.bowel_fill import BowelContent, BowelFill, draw_bowel, draw_stomach
from bodycomp.phantom.content.finding_variety import Findings, draw_findings
from bodycomp.phantom.content.organ_variety import OrganVariety, draw_organs
from bodycomp.phantom.patient import PatientParameters


@dataclass(frozen=True)
class FatWeb:
    """Septa, strands and water in one fat depot.

    Attributes:
        shift_hu: Attenuation relative to the patient's fat.
        placing: Where the web's tile lies.
        number: Number of the tile in its bank.
        septum_mm: Thickness of a septum; ``septum_hu``: how far it rises above the fat.
        haze_hu: Amplitude of cloudy water in the fat.
        texture_hu: Amplitude of the fine texture.
    """

    shift_hu: float
    placing: Placing
    number: int
    septum_mm: float
    septum_hu: float
    haze_hu: float
    texture_hu: float


@dataclass(frozen=True)
class FatContent:
    """What fat holds beside fat: webs of both depots, vessels, oedema.

    Attributes:
        skin_vessels: Number of vessels in the subcutaneous fat that a slice may cut.
        dependent_oedema: 0..1, water that sank into the fat of the back and flanks.
        mesenteric_vessels: Number of mesenteric vessels relative to the standard patient.
        vessel_mm: Their size relative to the standard.
    """

    subcutaneous: FatWeb
    visceral: FatWeb
    skin_vessels: int
    dependent_oedema: float
    mesenteric_vessels: float
    vessel_mm: float


@dataclass(frozen=True)
class MuscleContent:
    """Attenuation of muscle groups relative to the patient's, and texture amplitudes, in HU.

    Attributes:
        streak_width: Least width of a streak of fat, in units of the coarse texture.
        streak_gain: How much fat a streak holds, relative to what the patient's share gives.
    """

    back_hu: float
    psoas_hu: float
    rectus_hu: float
    right_hu: float
    fine_hu: float
    coarse_hu: float
    streak_width: float
    streak_gain: float


@dataclass(frozen=True)
class ContentVariety:
    """Content, surroundings and scanner of one patient; without arguments, the standard ones.

    Attributes:
        wide_hu: Attenuation is drawn widely instead of near the truth.
        bank: Bank of texture tiles; the held-out anatomy has one of its own.
        seed: Seed of everything finer.
        warp_mm: Standard deviation of a smooth deformation of all anatomy, labels with it.
    """

    wide_hu: bool = False
    bank: int = 0
    seed: int = 0
    warp_mm: float = 0.0
    fat: FatContent | None = None
    muscle: MuscleContent | None = None
    bowel: BowelContent | None = None
    stomach: BowelFill | None = None
    organs: OrganVariety | None = None
    findings: Findings | None = None
    surroundings: Surroundings | None = None
    scanner: ScannerVariety | None = field(default=None)

    @property
    def varied(self) -> bool:
        """Whether this is not the standard content."""
        return self.bank > 0


STANDARD_CONTENT: Final = ContentVariety()
TRAINED_BANK: Final = 1
HELD_OUT_BANK: Final = 2


def sample_content(patient: PatientParameters) -> ContentVariety:
    """Draw the content of ``patient``; neutral for the standard anatomy."""
    if patient.anatomy == "standard":
        return STANDARD_CONTENT
    rng = np.random.default_rng([patient.anatomy_seed, 12])
    held_out = patient.anatomy == "held-out"
    wide = bool(rng.random() < 0.5)
    bowel = draw_bowel(rng, patient.oral_contrast == "positive", wide)
    return ContentVariety(
        wide_hu=wide,
        bank=HELD_OUT_BANK if held_out else TRAINED_BANK,
        seed=int(rng.integers(2**31)),
        warp_mm=float(rng.uniform(0.3, 2.4)),
        fat=_draw_fat(rng, wide, held_out),
        muscle=_draw_muscle(rng, wide),
        bowel=bowel,
        stomach=draw_stomach(rng, bowel),
        organs=draw_organs(rng, patient.age_years),
        findings=draw_findings(rng),
        surroundings=draw_surroundings(rng, held_out, patient.arms_up),
        scanner=draw_scanner(rng, wide, held_out),
    )


def _draw_fat(rng: np.random.Generator, wide: bool, held_out: bool) -> FatContent:
    apart = float(rng.normal(0, 6.0 if wide else 2.5))
    swollen = float(rng.random() < 0.15)
    misty = float(rng.random() < 0.2)
    coarse = (0.8, 1.1) if held_out else (1.2, 3.2)
    fine = (3.2, 4.5) if held_out else (1.2, 3.2)
    scales = [float(rng.uniform(*(coarse if rng.random() < 0.5 else fine))) for _ in range(2)]
    webs = [
        FatWeb(
            shift_hu=sign * apart,
            placing=draw_placing(rng, scale),
            number=int(rng.integers(NUMBERS)),
            septum_mm=float(rng.uniform(0.2, 1.0)),
            septum_hu=float(rng.uniform(0, 70)) * (1 + 0.6 * water),
            haze_hu=float(rng.uniform(0, 6)) + 22 * water * float(rng.uniform(0.3, 1)),
            texture_hu=float(rng.uniform(0, 7)),
        )
        for sign, water, scale in ((-1.0, swollen, scales[0]), (1.0, misty, scales[1]))
    ]
    return FatContent(
        subcutaneous=webs[0],
        visceral=webs[1],
        skin_vessels=int(rng.integers(0, 11)),
        dependent_oedema=float(rng.uniform(0.2, 1.0)) if rng.random() < 0.25 else 0.0,
        mesenteric_vessels=float(rng.uniform(0.7, 3.0)),
        vessel_mm=float(rng.uniform(0.7, 1.5)),
    )


def _draw_muscle(rng: np.random.Generator, wide: bool) -> MuscleContent:
    groups = rng.normal(0, 9.0 if wide else 4.0, 3)
    return MuscleContent(
        back_hu=float(groups[0]),
        psoas_hu=float(groups[1]),
        rectus_hu=float(groups[2]),
        right_hu=float(rng.normal(0, 3.0 if wide else 1.0)),
        fine_hu=float(rng.uniform(0.0, 8.0)),
        coarse_hu=float(rng.uniform(0.0, 9.0)),
        streak_width=float(rng.uniform(0.05, 0.4)),
        streak_gain=float(rng.uniform(0.3, 1.6)),
    )
