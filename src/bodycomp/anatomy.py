"""The tissues and vertebrae that bodycomp knows; all else derives from these tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from bodycomp.errors import UsageError


@dataclass(frozen=True, slots=True)
class CodedConcept:
    """A DICOM coded concept (PS3.3 section 8): value, scheme designator, meaning."""

    value: str
    scheme: str
    meaning: str


OWN_SCHEME: Final = "99BODYCOMP"
"""Designator of our coding scheme; private ones begin with 99 (PS3.3 section 8.2)."""


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
            is none that says visceral alone: the title does. Muscle groups have the codes of DICOM
            PS3.16, and our own where none was found there.
        hu_range: Densities by which the tissue is distinguished in the body-composition
            literature, HU (Mourtzakis et al., Appl Physiol Nutr Metab 33, 2008).
        parts: Labels of tissues that it is the sum of, beside its own label: muscle has those of
            its groups, its own is that of muscle of no group.
    """

    label: int
    key: str
    title: str
    color: tuple[int, int, int]
    concept: CodedConcept
    hu_range: tuple[int, int]
    parts: tuple[int, ...] = ()

    def of(self, labels: Any) -> Any:
        """Return where labels, an array or a tensor, are of the tissue or a part of it.

        >>> [bool(MUSCLE.of(label)) for label in (1, 2, 4)], PSOAS.of(1)
        ([True, False, True], False)
        """
        found = labels == self.label
        for part in self.parts:
            found = found | (labels == part)
        return found


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
    parts=(4, 5, 6, 7),
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

PSOAS: Final = Tissue(
    4,
    "psoas",
    "Psoas",
    (0, 114, 178),
    CodedConcept("PSOAS", OWN_SCHEME, "Psoas muscle"),
    _MUSCLE_HU,
)
ERECTOR_SPINAE: Final = Tissue(
    5,
    "erector_spinae",
    "Erector spinae",
    (204, 121, 167),
    CodedConcept("44947003", "SCT", "Erector spinae muscle"),
    _MUSCLE_HU,
)
QUADRATUS_LUMBORUM: Final = Tissue(
    6,
    "quadratus_lumborum",
    "Quadratus lumborum",
    (0, 158, 115),
    CodedConcept("QUADRATUS-LUMB", OWN_SCHEME, "Quadratus lumborum muscle"),
    _MUSCLE_HU,
)
ABDOMINAL_WALL: Final = Tissue(
    7,
    "abdominal_wall",
    "Abdominal wall muscle",
    (230, 159, 0),
    CodedConcept("1142228004", "SCT", "Abdominal wall muscle"),
    _MUSCLE_HU,
)
INTERMUSCULAR_FAT: Final = Tissue(
    8,
    "fat_between_muscles",
    "Fat between muscles",
    (150, 150, 60),
    CodedConcept("INTERMUSC-FAT", OWN_SCHEME, "Intermuscular adipose tissue"),
    _FAT_HU,
)
VERTEBRAL_BODY: Final = Tissue(
    9,
    "vertebral_body",
    "Vertebral body",
    (220, 220, 220),
    CodedConcept("VERTEBRAL-BODY", OWN_SCHEME, "Body of vertebra"),
    (-200, 3000),
)

MUSCLE_GROUPS: Final = (PSOAS, ERECTOR_SPINAE, QUADRATUS_LUMBORUM, ABDOMINAL_WALL)
"""Parts of muscle: what is left of it has muscle's own label."""

ABDOMINAL_TISSUES: Final = (MUSCLE, SUBCUTANEOUS_FAT, VISCERAL_FAT)
"""Tissues of the standard model, ordered by label."""

ALL_TISSUES: Final = (
    *ABDOMINAL_TISSUES,
    *MUSCLE_GROUPS,
    INTERMUSCULAR_FAT,
    VERTEBRAL_BODY,
)
"""Every tissue, ordered by label. A model labels the first few of them, or ``FATS``."""

THORACIC_TISSUES: Final = (MUSCLE, SUBCUTANEOUS_FAT)
"""Tissues of a thoracic model, which has no visceral fat class."""

FATS: Final = (SUBCUTANEOUS_FAT, VISCERAL_FAT)
"""Tissues of a model of fats alone: its class 1, muscle, stays unused."""

_BITS: Final = {
    **{tissue.label: bit for bit, tissue in enumerate(ABDOMINAL_TISSUES)},
    **{tissue.label: 0 for tissue in MUSCLE_GROUPS},
    INTERMUSCULAR_FAT.label: 3,
    VERTEBRAL_BODY.label: 4,
}
"""Label -> bit of ``background_or``; groups of muscle have that of muscle."""

OPEN_ABOVE: Final[int] = NOT_ANNOTATED_LABEL + 1 - 2 ** (max(_BITS.values()) + 1)
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


def is_model_order(tissues: Sequence[Tissue]) -> bool:
    """Return whether a model may label these tissues, in this order, by classes that are labels."""
    return tuple(tissues) == FATS or (
        len(tissues) > 0 and tuple(tissues) == ALL_TISSUES[: len(tissues)]
    )


def tissues_of_model(keys: Sequence[str]) -> tuple[Tissue, ...]:
    """Return the tissues of these keys: the first few of ``ALL_TISSUES``, or ``FATS``.

    Raises:
        UsageError: They are not what a model can label.
    """
    tissues = tuple(tissue for key in keys for tissue in ALL_TISSUES if tissue.key == key)
    if len(tissues) != len(keys) or not is_model_order(tissues):
        raise UsageError(
            f"expected the first few of {' '.join(tissue.key for tissue in ALL_TISSUES)}, in this "
            f"order, or {' '.join(tissue.key for tissue in FATS)}, found "
            f"{' '.join(keys) or 'none'}",
            hint="A model labels every tissue up to the last one that is wanted, or fats alone.",
        )
    return tissues


def tissue_by_key(key: str) -> Tissue:
    """Return the tissue named ``key``.

    Raises:
        UsageError: No tissue has this key.
    """
    for tissue in ALL_TISSUES:
        if tissue.key == key:
            return tissue
    known = ", ".join(tissue.key for tissue in ALL_TISSUES)
    raise UsageError(f"unknown tissue {key!r}", hint=f"Known tissues are {known}.")


def background_or(tissues: Collection[Tissue]) -> int:
    """Return the label of pixels that are background or one of these tissues, nobody said which.

    It has a bit for each tissue, one for muscle and its groups, so that all of them give
    ``NOT_ANNOTATED_LABEL``. Files hold no other: a training set says which tissues were labeled,
    and in memory background becomes this.

    >>> [background_or(some) for some in ((), (MUSCLE,), ABDOMINAL_TISSUES, ALL_TISSUES)]
    [0, 225, 231, 255]
    """
    if not tissues:
        return BACKGROUND_LABEL
    return OPEN_ABOVE + sum(1 << bit for bit in {_BITS[tissue.label] for tissue in tissues})


def may_be(labels: Any, tissue: Tissue) -> Any:
    """Return where uint8 labels, an array or a tensor, leave open whether a pixel is of a tissue.

    >>> may_be(225, PSOAS), may_be(225, VISCERAL_FAT), may_be(1, MUSCLE)
    (True, False, False)
    """
    return (labels > OPEN_ABOVE) & ((labels >> _BITS[tissue.label]) & 1 == 1)


PhantomAnatomy = Literal["standard", "varied", "held-out"]

PHANTOM_ANATOMIES: Final[tuple[PhantomAnatomy, ...]] = ("standard", "varied", "held-out")
"""How much synthetic patients differ: ``standard``, the average adult and its spread; ``varied``,
what hospitals see beside that, for models that shall measure real patients; ``held-out``, as
varied but of other proportions, textures and scanners: another hospital, never trained on."""
