"""The tissues and vertebrae that bodycomp knows; all else derives from these tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Literal

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
        color: sRGB, 0..255, chosen to stay apart for colour-blind readers.
        concept: SNOMED CT code of the segmented property type. Skeletal muscle is in DICOM PS3.16
            (CID 7710); its context groups for tissues (CID 7151, 7166) know fat, but not where, so
            the fats have codes of SNOMED CT itself, as TotalSegmentator and MOOSE use them. There
            is none that says visceral alone: the title does.
        hu_range: Densities by which the tissue is distinguished in the body-composition
            literature, HU (Mourtzakis et al., Appl Physiol Nutr Metab 33, 2008).
    """

    label: int
    key: str
    title: str
    color: tuple[int, int, int]
    concept: CodedConcept
    hu_range: tuple[int, int]


_MUSCLE_HU: Final = (-29, 150)
_FAT_HU: Final = (-190, -30)

BACKGROUND_LABEL: Final = 0

NOT_ANNOTATED_LABEL: Final = 255
"""Of pixels of which nobody said what they are: they take no part in losses and metrics. SAROS has
the same value (Koitka et al., Sci Data 11, 2024); a training set declares that it uses it."""

MUSCLE: Final = Tissue(
    1,
    "muscle",
    "Muscle",
    (213, 94, 0),
    CodedConcept("127954009", "SCT", "Skeletal muscle"),
    _MUSCLE_HU,
)
SUBCUTANEOUS_FAT: Final = Tissue(
    2,
    "subcutaneous_fat",
    "Subcutaneous fat",
    (86, 180, 233),
    CodedConcept("67769002", "SCT", "Subcutaneous adipose tissue"),
    _FAT_HU,
)
VISCERAL_FAT: Final = Tissue(
    3,
    "visceral_fat",
    "Visceral fat",
    (240, 228, 66),
    CodedConcept("725273006", "SCT", "Adipose tissue of abdomen"),
    _FAT_HU,
)

ABDOMINAL_TISSUES: Final = (MUSCLE, SUBCUTANEOUS_FAT, VISCERAL_FAT)
"""Tissues of the standard model, ordered by label."""

THORACIC_TISSUES: Final = (MUSCLE, SUBCUTANEOUS_FAT)
"""Tissues of a thoracic model, which has no visceral fat class."""

OPEN_ABOVE: Final[int] = NOT_ANNOTATED_LABEL + 1 - 2 ** len(ABDOMINAL_TISSUES)
"""Labels above, those of ``background_or``, leave open what a pixel is."""

VERTEBRAE: Final = (
    *(f"C{i}" for i in range(1, 8)),
    *(f"T{i}" for i in range(1, 13)),
    *(f"L{i}" for i in range(1, 6)),
    "S1",
)
"""Vertebrae from head to feet; each names a level, the mid-height of its body."""

DEFAULT_LEVEL: Final = "L3"

_VERTEBRA_CODES: Final = (
    *("14806007", "39976000", "113205007", "5329002"),  # C1 to C4
    *("36978003", "36054005", "87391001"),  # C5 to C7
    *("64864005", "53733008", "1626008", "73071006", "56401006", "45296009"),  # T1 to T6
    *("62487009", "11068009", "82687006", "7610001", "12989004", "23215003"),  # T7 to T12
    *("66794005", "14293000", "36470004", "11994002", "49668003"),  # L1 to L5
)

LEVEL_CONCEPTS: Final = {
    **{
        name: CodedConcept(code, "SCT", f"{name} vertebra")
        for name, code in zip(VERTEBRAE, _VERTEBRA_CODES, strict=False)
    },
    "S1": CodedConcept("54735007", "SCT", "Sacrum"),
}
"""Level -> SNOMED CT code of its vertebra (DICOM PS3.16 annex D and CID 4031); S1, which has no
code of its own there, is coded as the sacrum that it belongs to."""


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


def background_or(tissues: Collection[Tissue]) -> int:
    """Return the label of pixels that are background or one of these tissues, nobody said which.

    It has a bit for each tissue, so that all of them give ``NOT_ANNOTATED_LABEL``. Files hold no
    other: a training set says which tissues were labeled, and in memory background becomes this.

    >>> [background_or(some) for some in ((), (MUSCLE,), ABDOMINAL_TISSUES)]
    [0, 249, 255]
    """
    if not tissues:
        return BACKGROUND_LABEL
    bits = sum(1 << (tissue.label - 1) for tissue in set(tissues))
    return OPEN_ABOVE + bits


def may_be(labels: Any, tissue: Tissue) -> Any:
    """Return where uint8 labels, an array or a tensor, leave open whether a pixel is of a tissue.

    >>> may_be(249, MUSCLE), may_be(249, VISCERAL_FAT), may_be(1, MUSCLE)
    (True, False, False)
    """
    return (labels > OPEN_ABOVE) & ((labels >> (tissue.label - 1)) & 1 == 1)


PhantomAnatomy = Literal["standard", "varied", "held-out"]

PHANTOM_ANATOMIES: Final[tuple[PhantomAnatomy, ...]] = ("standard", "varied", "held-out")
"""How much synthetic patients differ: ``standard``, the average adult and its spread; ``varied``,
what hospitals see beside that, for models that shall measure real patients; ``held-out``, as
varied but of other proportions, textures and scanners: another hospital, never trained on."""
