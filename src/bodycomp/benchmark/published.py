"""Results of others on the same data set, as they published them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class PublishedResult:
    """A result that somebody published.

    Attributes:
        group: Whose it is, in a word or two.
        dice: Dice as the source states it, for every tissue.
        source, doi: Where it stands.
        test: What it was measured on, and how that differs from this benchmark.
    """

    group: str
    dice: str
    source: str
    doi: str
    test: str


ON_SAROS: Final = PublishedResult(
    group="Duke",
    dice="> 0.89",
    source="Chen et al., Automated Muscle and Fat Segmentation in Computed Tomography for "
    "Comprehensive Body Composition Analysis, MELBA 2025:026, abstract: muscle, subcutaneous and "
    "visceral fat each exceed 89 % on internal and external data",
    doi="10.59275/j.melba.2025-ag5g",
    test="another model, to which SAROS was external data, on cases and tissues as its authors "
    "chose them; not the test of this table",
)
