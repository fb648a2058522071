"""What makes the measurements of a level less sure, each with its number and what it touches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bodycomp.anatomy import MUSCLE, MUSCLE_GROUPS, VERTEBRAE, Tissue
from bodycomp.quantities import CUT_OFFS, TRABECULAR_KEY
from bodycomp.results import MODEL_CAUTION_KEY, Measurement, QualityFlag, Quantity, SliceChoice
from bodycomp.subject import Acquisition


@dataclass(frozen=True, slots=True)
class FlagKind:
    """One kind of flag: its rule in words, from which limit on, and which columns it touches.

    Without a limit the files' words decide; ``affects`` may name beginnings of columns.
    """

    key: str
    rule: str
    limit: float | None
    affects: tuple[str, ...]


_MUSCLE_DENSITY: Final = (
    "muscle_mean_hu",
    "muscle_median_hu",
    "muscle_hu_range_mean_hu",
    "low_attenuation_muscle_area_cm2",
    "normal_attenuation_muscle_area_cm2",
    "skeletal_muscle_gauge_cm2_hu_m2",
    "low_muscle_attenuation_martin_2013",
)
_BONE: Final = (
    TRABECULAR_KEY,
    *(cut_off.key for cut_off in CUT_OFFS if cut_off.quantity == TRABECULAR_KEY),
)
_SPREAD: Final = (
    "muscle_sd_hu",
    "muscle_iqr_hu",
    "muscle_hu_range_area_cm2",
    "low_attenuation_muscle_area_cm2",
    "normal_attenuation_muscle_area_cm2",
    "intermuscular_fat_area_cm2",
)
_SUBCUTANEOUS: Final = (
    "subcutaneous_fat_",
    "visceral_to_subcutaneous_ratio",
    "body_area_cm2",
    "waist_circumference_cm",
)

TISSUE_AT_EDGE: Final = FlagKind(
    "tissue_at_edge", "share of a tissue's pixels at the edge of the field of view", 0.01, ()
)
BODY_CUT_OFF: Final = FlagKind(
    "body_cut_off",
    "area in cm2 of the body outside the field of view, estimated by an ellipse",
    1.0,
    _SUBCUTANEOUS,
)
LABELS_OUTSIDE_BODY: Final = FlagKind(
    "labels_outside_body",
    "area in cm2 of labels outside the trunk, as on arms or table",
    1.0,
    ("muscle_", "subcutaneous_fat_", "skeletal_muscle_"),
)
METAL: Final = FlagKind(
    "metal",
    "area in cm2 of 2500 HU and more",
    0.05,
    ("muscle_", "subcutaneous_fat_", "visceral_fat_", *_SPREAD[2:], *_BONE),
)
UNUSUAL_DENSITY: Final = FlagKind(
    "unusual_density", "share of a tissue's pixels inside its HU range, below", 0.8, ()
)
NOISE: Final = FlagKind("noise", "noise in HU", 20.0, _SPREAD)
SHARP_KERNEL: Final = FlagKind(
    "sharp_kernel", "a convolution kernel for bone or lung", None, _SPREAD
)
THICK_SLICES: Final = FlagKind(
    "thick_slices",
    "slice thickness in mm, above",
    5.0,
    ("muscle_", "intermuscular_fat_area_cm2", "visceral_fat_"),
)
TUBE_VOLTAGE: Final = FlagKind(
    "tube_voltage",
    "kVp differs from 120, for which HU ranges and cut-offs were found, by more than",
    5.0,
    (*_MUSCLE_DENSITY, "subcutaneous_fat_mean_hu", "visceral_fat_mean_hu", *_BONE),
)
CONTRAST_AGENT: Final = FlagKind(
    "contrast_agent",
    "the files name a contrast agent, or attenuation of the aorta in HU",
    80.0,
    (*_MUSCLE_DENSITY, *_BONE),
)
"""Without agent no blood of 166 people was denser than 70 HU, whatever their haematocrit (Black et
al., AJNR Am J Neuroradiol 32:1354, 2011)."""
MODEL_CAUTION: Final = FlagKind(
    MODEL_CAUTION_KEY, "the models' cards ask to say it with every result", None, ()
)
MEMBERS_DISAGREE: Final = FlagKind(
    "members_disagree",
    "with an ensemble: members miss the level or place it more than 10 mm apart, or the share of a "
    "tissue's area by which they differ",
    0.2,
    (),
)
MEMBERS_LEVEL_MM: Final = 10.0
NUMBERING_UNCERTAIN: Final = FlagKind(
    "numbering_uncertain",
    "share by which the scores speak for the next vertebra above or below, as with 13 ribs or six "
    "lumbar vertebrae",
    0.2,
    (),
)
FLAG_KINDS: Final = (
    TISSUE_AT_EDGE,
    BODY_CUT_OFF,
    LABELS_OUTSIDE_BODY,
    METAL,
    UNUSUAL_DENSITY,
    NOISE,
    SHARP_KERNEL,
    THICK_SLICES,
    TUBE_VOLTAGE,
    CONTRAST_AGENT,
    MODEL_CAUTION,
    MEMBERS_DISAGREE,
    NUMBERING_UNCERTAIN,
)
STANDARD_KVP: Final = 120.0


def quality_flags(
    tissues: Sequence[Tissue],
    measured: Mapping[str, Measurement],
    quantities: Mapping[str, Quantity],
    acquisition: Acquisition,
) -> tuple[QualityFlag, ...]:
    """Return every flag that a level's measurements deserve, in the order of ``FLAG_KINDS``."""
    raised = [
        *_tissue_flags(tissues, measured),
        *_image_flags(quantities),
        *_acquisition_flags(acquisition),
        *_contrast_flag(acquisition, quantities.get("aortic_hu", Quantity(None)).value),
    ]
    order = [kind.key for kind in FLAG_KINDS]
    raised = [_with_groups(flag, tissues) for flag in raised]
    return tuple(sorted(raised, key=lambda flag: order.index(flag.key)))


def _with_groups(flag: QualityFlag, tissues: Sequence[Tissue]) -> QualityFlag:
    """Return a flag that touches the columns of muscle's groups as those of muscle."""
    begin = f"{MUSCLE.key}_"
    of_groups = (
        f"{group.key}_{column.removeprefix(begin)}"
        for group in tissues
        if group in MUSCLE_GROUPS
        for column in flag.affects
        if column.startswith(begin)
    )
    return replace(flag, affects=(*flag.affects, *of_groups))


def touches_area(flags: Sequence[QualityFlag], tissue: str) -> bool:
    """Whether a flag, other than a model's own caution, makes a tissue's area less sure."""
    column = f"{tissue}_area_cm2"
    return any(
        not flag.affects or any(column.startswith(begin) for begin in flag.affects)
        for flag in flags
        if flag.key != MODEL_CAUTION.key
    )


def caution_flag(caution: str) -> tuple[QualityFlag, ...]:
    """Return the flag of models whose cards ask for a word with every result; none without."""
    return (_flag(MODEL_CAUTION, caution, None),) if caution else ()


def numbering_flag(choice: SliceChoice) -> tuple[QualityFlag, ...]:
    """Return the flag of a vertebra that may be the next one; none if it is clear."""
    doubt = choice.numbering_doubt
    is_vertebra = choice.level in VERTEBRAE
    if not is_vertebra or doubt is None or doubt < (NUMBERING_UNCERTAIN.limit or 0):
        return ()
    words = f"this may be the vertebra above or below {choice.level}; count on the sagittal picture"
    return (_flag(NUMBERING_UNCERTAIN, words, doubt),)


def members_flag(
    message: str, value: float | None, limit: float | None, affects: tuple[str, ...] = ()
) -> QualityFlag:
    """Return the flag of an ensemble whose members disagree; ``affects`` nothing for all."""
    return replace(_flag(MEMBERS_DISAGREE, message, value, affects), limit=limit)


def _tissue_flags(
    tissues: Sequence[Tissue], measured: Mapping[str, Measurement]
) -> Iterator[QualityFlag]:
    for tissue in tissues:
        found = measured.get(tissue.key)
        if found is None or found.area_cm2 == 0:
            continue
        edge = found.border_fraction or 0.0
        if edge > (TISSUE_AT_EDGE.limit or 0):
            words = f"{edge:.1%} of {tissue.title.lower()} lies at the edge of the field of view"
            yield _flag(TISSUE_AT_EDGE, words, edge, (f"{tissue.key}_",))
        typical = (found.hu_range_area_cm2 or 0.0) / found.area_cm2
        if typical < (UNUSUAL_DENSITY.limit or 0):
            low, high = tissue.hu_range
            words = f"{typical:.0%} of {tissue.title.lower()} lies within {low}..{high} HU"
            yield _flag(UNUSUAL_DENSITY, words, typical, (f"{tissue.key}_",))


def _image_flags(quantities: Mapping[str, Quantity]) -> Iterator[QualityFlag]:
    cut_off = quantities["cut_off_area_cm2"]
    if cut_off.value is None and quantities["body_area_cm2"].reason != cut_off.reason:
        reason = quantities["body_area_cm2"].reason
        yield _flag(BODY_CUT_OFF, f"{reason}; how much is cut off cannot be told", None)
    elif (cut_off.value or 0) >= (BODY_CUT_OFF.limit or 0):
        words = f"about {cut_off.value:.0f} cm2 of the body lie outside the field of view"
        yield _flag(BODY_CUT_OFF, words, cut_off.value)
    for kind, key, words in (
        (LABELS_OUTSIDE_BODY, "outside_body_area_cm2", "cm2 of labels lie outside the trunk"),
        (METAL, "metal_area_cm2", "cm2 of metal (2500 HU and more)"),
        (NOISE, "noise_hu", "HU of noise"),
    ):
        value = quantities[key].value
        if value is not None and value >= (kind.limit or 0):
            yield _flag(kind, f"{value:.1f} {words}", value)


def _acquisition_flags(acquisition: Acquisition) -> Iterator[QualityFlag]:
    if acquisition.sharp_kernel:
        yield _flag(SHARP_KERNEL, f"kernel {acquisition.kernel} is made for bone or lung", None)
    thickness_mm = acquisition.slice_thickness_mm
    if thickness_mm is not None and thickness_mm > (THICK_SLICES.limit or 0):
        yield _flag(THICK_SLICES, f"slices are {thickness_mm:g} mm thick", thickness_mm)
    kvp = acquisition.kvp
    if kvp and abs(kvp - STANDARD_KVP) > (TUBE_VOLTAGE.limit or 0):
        yield _flag(TUBE_VOLTAGE, f"scanned at {kvp:g} kVp; densities change with it", kvp)


def _contrast_flag(acquisition: Acquisition, aortic_hu: float | None) -> Iterator[QualityFlag]:
    """Flag contrast agent that the files name or the aorta shows; the message says which."""
    seen = aortic_hu is not None and aortic_hu >= (CONTRAST_AGENT.limit or 0)
    signs = [
        *(["the files name a contrast agent"] if acquisition.names_contrast else []),
        *([f"the aorta has {aortic_hu:.0f} HU"] if seen else []),
    ]
    if signs:
        words = f"{' and '.join(signs)}; muscle is denser"
        yield _flag(CONTRAST_AGENT, words, aortic_hu if seen else None)


def _flag(
    kind: FlagKind, message: str, value: float | None, affects: tuple[str, ...] = ()
) -> QualityFlag:
    return QualityFlag(kind.key, message, value, kind.limit, affects or kind.affects)
