"""The tissues and vertebral levels that bodycomp knows; all else derives from these tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bodycomp.errors import UsageError


@dataclass(frozen=True, slots=True)
class CodedConcept:
    """A DICOM coded concept (PS3.3 section 8): value, scheme designator, meaning."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Tissue:
    """One label of a segmentation mask.

    Attributes:
        label: Value of the tissue's pixels in a mask (uint8).
        key: Name in column headers, JSON keys and file names.
        title: Name for people.
        colour: sRGB, 0..255, chosen to stay apart for colour-blind readers.
        concept: SNOMED CT code of the segmented property type (DICOM PS3.16 CID 7151 and related).
        hu_range: Densities by which the tissue is told from others in the body-composition
            literature, HU (Mourtzakis et al., Appl Physiol Nutr Metab 33, 2008).
    """

    label: int
    key: str
    title: str
    colour: tuple[int, int, int]
    concept: CodedConcept
    hu_range: tuple[int, int]


_MUSCLE_HU: Final = (-29, 150)
_FAT_HU: Final = (-190, -30)

BACKGROUND_LABEL: Final = 0

MUSCLE: Final = Tissue(
    1,
    "muscle",
    "Muscle",
    (213, 94, 0),
    CodedConcept("71616004", "SCT", "Skeletal muscle"),
    _MUSCLE_HU,
)
SUBCUTANEOUS_FAT: Final = Tissue(
    2,
    "subcutaneous_fat",
    "Subcutaneous fat",
    (86, 180, 233),
    CodedConcept("67769000", "SCT", "Subcutaneous fat"),
    _FAT_HU,
)
VISCERAL_FAT: Final = Tissue(
    3,
    "visceral_fat",
    "Visceral fat",
    (240, 228, 66),
    CodedConcept("725273007", "SCT", "Visceral adipose tissue"),
    _FAT_HU,
)

ABDOMINAL_TISSUES: Final = (MUSCLE, SUBCUTANEOUS_FAT, VISCERAL_FAT)
"""Tissues of the standard model, ordered by label."""

THORACIC_TISSUES: Final = (MUSCLE, SUBCUTANEOUS_FAT)
"""Tissues of a thoracic model, which has no visceral fat class."""

LEVEL_NAMES: Final = (
    *(f"C{i}" for i in range(1, 8)),
    *(f"T{i}" for i in range(1, 13)),
    *(f"L{i}" for i in range(1, 6)),
    "S1",
)
"""Vertebral levels from head to feet.

A level's position is the mid-height of its vertebral body.
"""

DEFAULT_LEVEL: Final = "L3"


def level_order(name: str) -> int:
    """Return the rank of a level counted from the head.

    >>> level_order("T12") < level_order("L1")
    True
    """
    check_levels([name])
    return LEVEL_NAMES.index(name)


def check_levels(names: Sequence[str]) -> tuple[str, ...]:
    """Return ``names`` as a tuple if each is a known level and none is repeated.

    Raises:
        UsageError: None given, an unknown level, or one named twice.
    """
    if not names:
        raise UsageError("expected at least one level name, found none", hint="Name one, e.g. L3.")
    for position, name in enumerate(names):
        if name not in LEVEL_NAMES:
            raise UsageError(
                f"unknown level name {name!r}",
                hint=f"Known levels are {LEVEL_NAMES[0]}..C7, T1..T12, L1..L5 and S1.",
            )
        if name in names[:position]:
            raise UsageError(f"level {name} is named twice", hint="Name each level once.")
    return tuple(names)


def tissues_for(*, thoracic: bool) -> tuple[Tissue, ...]:
    """Return the tissues of a model: with visceral fat unless it is thoracic."""
    return THORACIC_TISSUES if thoracic else ABDOMINAL_TISSUES


def tissue_by_key(key: str) -> Tissue:
    """Return the tissue named ``key``.

    Raises:
        UsageError: No tissue has this key.
    """
    for tissue in ABDOMINAL_TISSUES:
        if tissue.key == key:
            return tissue
    known = ", ".join(tissue.key for tissue in ABDOMINAL_TISSUES)
    raise UsageError(f"unknown tissue {key!r}", hint=f"Known tissues are {known}.")
