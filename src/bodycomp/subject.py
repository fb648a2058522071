"""Who was scanned and how, as far as measurements depend on it; nothing that names a person."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

HEIGHT_M: Final = (0.4, 2.6)
"""Heights that people have, newborns included; a height of 175 m was meant in cm."""

WEIGHT_KG: Final = (1.5, 400.0)
"""Weights that people have, newborns included."""

AGE_YEARS: Final = (0.0, 120.0)

SEXES: Final = ("F", "M")

NO_CONTRAST_WORDS: Final = frozenset({"no", "none", "without", "n"})
"""What some scanners write as the contrast agent where there was none."""

SHARP_KERNELS: Final = frozenset(
    {"BONE", "BONEPLUS", "LUNG", "EDGE", "DETAIL", "CHEST", "ULTRA", "D", "E", "L", "YA", "YB",
     "YC", "YD"}
)  # fmt: skip
"""Names of kernels of GE and Philips for bone or lung."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Height, weight, sex and age of who was scanned, None or empty if not known; never a guess.

    ``height_note`` says why there is no height. The age is that at the scan, as far as it is known:
    in completed years, if the files say no more.
    """

    height_m: float | None = None
    weight_kg: float | None = None
    sex: str = ""
    height_note: str = "the files give no height and no --patients table was given"
    age_years: float | None = None

    @property
    def bmi_kg_m2(self) -> float | None:
        """Body mass index, None without height or weight.

        >>> round(Subject(1.75, 70.0).bmi_kg_m2, 2)
        22.86
        """
        if self.height_m is None or self.weight_kg is None:
            return None
        return self.weight_kg / self.height_m**2


def subject_from(
    height_m: float | None, weight_kg: float | None, sex: str, age_years: float | None = None
) -> Subject:
    """Return a subject of what a header or a table says; what cannot be right is left out.

    >>> subject_from(175.0, 70.0, "M").height_note
    'a height of 175 m cannot be right'
    """
    height, note = height_m, ""
    if height_m is None or height_m == 0 or not math.isfinite(height_m):
        height, note = None, Subject().height_note
    elif not HEIGHT_M[0] <= height_m <= HEIGHT_M[1]:
        height, note = None, f"a height of {height_m:g} m cannot be right"
    weighs = weight_kg is not None and WEIGHT_KG[0] <= weight_kg <= WEIGHT_KG[1]
    aged = age_years is not None and AGE_YEARS[0] <= age_years <= AGE_YEARS[1]
    return Subject(
        height_m=height,
        weight_kg=weight_kg if weighs else None,
        sex=sex if sex in SEXES else "",
        height_note=note,
        age_years=age_years if aged else None,
    )


@dataclass(frozen=True, slots=True)
class Acquisition:
    """How a series was made, as far as its files say.

    Attributes:
        kernel: Convolution kernel; several values are joined by a backslash.
        slice_thickness_mm: Thickness of a slice, not the distance to the next one.
        contrast_agent: Intravenous or oral agent; empty means that none is stated.
    """

    kvp: float | None = None
    kernel: str = ""
    slice_thickness_mm: float | None = None
    contrast_agent: str = ""
    exposure_mas: float | None = None
    manufacturer: str = ""
    scanner_model: str = ""

    @property
    def sharp_kernel(self) -> bool:
        """Whether the kernel is known to be made for bone or lung, and therefore noisy.

        Known are the names of GE and Philips, the number in Siemens' (50 and up, as in B70f, Br64)
        and in Canon's (FC30 and up). An unknown kernel counts as soft.

        >>> [Acquisition(kernel=name).sharp_kernel for name in ("B70f", "STANDARD", "FC51")]
        [True, False, True]
        """
        name = self.kernel.split("\\", maxsplit=1)[0].strip().upper()
        if canon := re.fullmatch(r"FC(\d+)\w*", name):
            return int(canon[1]) >= 30
        if siemens := re.match(r"[A-Z][A-Z]?(\d{2})", name):
            return int(siemens[1]) >= 50
        return name in SHARP_KERNELS

    @property
    def names_contrast(self) -> bool:
        """Whether the files name a contrast agent.

        >>> Acquisition(contrast_agent="Iohexol").names_contrast
        True
        >>> Acquisition(contrast_agent="NONE").names_contrast
        False
        """
        words = self.contrast_agent.strip().casefold()
        return bool(words) and words not in NO_CONTRAST_WORDS
