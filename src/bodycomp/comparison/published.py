"""What articles say that a measurement repeats to, and what another way to scan alone can do.

Each number was read in the article's own abstract or text; what could not be read is not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from bodycomp.anatomy import ABDOMINAL_TISSUES, MUSCLE, SUBCUTANEOUS_FAT, VISCERAL_FAT, Tissue

Kind = Literal["area", "hu"]

VAN_DER_WERF: Final = (
    "van der Werf et al., Clin Physiol Funct Imaging 38:366, 2018: 41 healthy people, an "
    "unenhanced and an enhanced scan each, L3"
)
TUBE_POTENTIAL: Final = (
    "Influence of tube potential on CT body composition analysis, Nutrition 53:9, 2018: 17 people, "
    "enhanced, 80 and 140 kV at once, L3"
)
VAN_VUGT: Final = (
    "van Vugt et al., Clin Nutr 37:1707, 2018: 50 people, unenhanced, arterial and portal-venous "
    "phase, L3"
)
AKAMATSU: Final = (
    "Akamatsu et al., preprint of Cureus, 2026 (doi:10.7759/cureus.102643): 203 people, five phases"
)
PARASPINAL: Final = (
    "Correcting Posterior Paraspinal Muscle Computed Tomography Density for Intravenous Contrast "
    "Material Independent of Sex and Vascular Phase: 140 people to make it, 100 to test it"
)


@dataclass(frozen=True, slots=True)
class PublishedLimit:
    """A smallest detectable change (95 %) of one tissue at one level."""

    tissue: str
    kind: Kind
    level: str
    value: float
    source: str = VAN_DER_WERF


DETECTABLE: Final = (
    PublishedLimit(MUSCLE.key, "area", "L3", 5.6),
    PublishedLimit(MUSCLE.key, "hu", "L3", 14.6),
)
"""Of two scans with the same kVp, of which one is enhanced: more than two alike scans need."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one difference between two scans alone does to one tissue.

    Attributes:
        difference: Key of the difference, as in ``alike.py``.
        size: cm2 or HU, or per cent of the value if ``is_percent``.
        words: What was seen.
    """

    difference: str
    tissue: str
    kind: Kind
    size: float
    words: str
    source: str
    is_percent: bool = False


_PHASES: Final[tuple[tuple[Tissue, Kind, str, tuple[str, float], tuple[str, float]], ...]] = (
    (MUSCLE, "area", "area", ("+1.1 to +3.5 %", 3.5), ("2.4 %", 2.4)),
    (MUSCLE, "hu", "attenuation", ("+2.1 to +9.6 HU", 9.6), ("7.5 HU", 7.5)),
    (SUBCUTANEOUS_FAT, "area", "area", ("-0.4 to -4.7 %", 4.7), ("4.3 %", 4.3)),
    (SUBCUTANEOUS_FAT, "hu", "attenuation", ("+1.2 to +6.2 HU", 6.2), ("5.0 HU", 5.0)),
    (VISCERAL_FAT, "area", "area", ("-7.5 to -22.2 %", 22.2), ("14.7 %", 14.7)),
    (VISCERAL_FAT, "hu", "attenuation", ("+1.5 to +6.1 HU", 6.1), ("4.6 HU", 4.6)),
)
"""Mean changes from unenhanced to early arterial and equilibrium, and between these phases; L3."""

EFFECTS: Final = (
    Effect(
        "kvp",
        MUSCLE.key,
        "area",
        19.9,
        "smallest detectable change of muscle area 19.9 cm2 where kVp differs, too",
        VAN_DER_WERF,
    ),
    Effect(
        "kvp",
        MUSCLE.key,
        "hu",
        21.8,
        "smallest detectable change of muscle attenuation 21.8 HU where kVp differs, too",
        VAN_DER_WERF,
    ),
    Effect(
        "kvp",
        MUSCLE.key,
        "area",
        5.1,
        "muscle area 117 cm2 at 80 kV and 123 cm2 at 140 kV, attenuation 48 and 41 HU",
        TUBE_POTENTIAL,
        is_percent=True,
    ),
    *(
        Effect(
            *("kvp", fat.key, "hu", 15.0, "fat -84 HU at 80 kV and -69 HU at 140 kV"),
            TUBE_POTENTIAL,
        )
        for fat in (SUBCUTANEOUS_FAT, VISCERAL_FAT)
    ),
    Effect(
        "contrast",
        MUSCLE.key,
        "area",
        5.6,
        "smallest detectable change of muscle area 5.6 cm2 between unenhanced and enhanced",
        VAN_DER_WERF,
    ),
    Effect(
        "contrast",
        MUSCLE.key,
        "hu",
        14.6,
        "smallest detectable change of muscle attenuation 14.6 HU between unenhanced and enhanced",
        VAN_DER_WERF,
    ),
    Effect(
        "contrast",
        MUSCLE.key,
        "hu",
        7.8,
        "muscle attenuation 30.9 HU unenhanced, 38.0 arterial, 38.7 portal-venous; muscle index "
        "42.5, 42.8 and 43.6 cm2/m2",
        VAN_VUGT,
    ),
    *(
        Effect(
            difference,
            tissue.key,
            kind,
            size,
            f"{tissue.title.lower()} {what} at L3 {words}",
            AKAMATSU,
            is_percent=kind == "area",
        )
        for tissue, kind, what, unenhanced, phases in _PHASES
        for difference, size, words in (
            ("contrast", unenhanced[1], f"{unenhanced[0]} from unenhanced to any enhanced phase"),
            ("phase", phases[1], f"up to {phases[0]} between enhanced phases"),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class ContrastCorrection:
    """What is taken from muscle attenuation of an enhanced scan to be like an unenhanced one.

    Attributes:
        offsets: (level, phase) -> HU; empty level or phase for all of them.
        limits: For whom and what it holds.
    """

    key: str
    offsets: tuple[tuple[str, str, float], ...]
    limits: str
    source: str

    def offset_hu(self, level: str, phase: str) -> float | None:
        """Return its offset, None where it has none.

        >>> CORRECTIONS[1].offset_hu("L3", "venous"), CORRECTIONS[1].offset_hu("L1", "venous")
        (-7.8, None)
        """
        for at, when, offset in self.offsets:
            if at in ("", level) and when in ("", phase):
                return offset
        return None


CORRECTIONS: Final = (
    ContrastCorrection(
        "paraspinal",
        (("", "", -7.5),),
        "made for the muscles beside the spine in arterial and venous phase, iodine by weight; "
        "means of groups were equivalent within 3 HU, single people differ (SD 6 to 8 HU)",
        PARASPINAL,
    ),
    ContrastCorrection(
        "van_vugt_2018",
        (("L3", "arterial", -7.1), ("L3", "venous", -7.8)),
        "difference of means of all muscle at L3, not proposed as a correction",
        VAN_VUGT,
    ),
    ContrastCorrection(
        "akamatsu_2026",
        (
            *(("L3", "venous", -7.8), ("L3", "delayed", -9.6)),
            *(("L1", "venous", -9.1), ("L1", "delayed", -9.8)),
        ),
        "difference of means of all muscle; portal phase for venous, equilibrium for delayed; the "
        "article's own equations could not be read",
        AKAMATSU,
    ),
)


def tissue_and_kind(quantity: str) -> tuple[str, Kind] | None:
    """Return which tissue's area or attenuation a column is, None for others.

    >>> tissue_and_kind("muscle_hu_range_mean_hu"), tissue_and_kind("waist_circumference_cm")
    (('muscle', 'hu'), None)
    """
    for tissue in ABDOMINAL_TISSUES:
        field = quantity.removeprefix(f"{tissue.key}_")
        if field in ("area_cm2", "hu_range_area_cm2"):
            return tissue.key, "area"
        if field in ("mean_hu", "hu_range_mean_hu"):
            return tissue.key, "hu"
    return None
