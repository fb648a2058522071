"""Slices, labels and measurements of a level -> derived quantities, and cut-offs that they meet."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bodycomp.analysis.aorta import find_aorta
from bodycomp.analysis.field_of_view import TOUCHING_MM
from bodycomp.analysis.level_slices import LevelSlices
from bodycomp.analysis.measurement import within_hu
from bodycomp.analysis.skin_line import closed, tape_length_cm
from bodycomp.analysis.trabecular import LEVELS, trabecular_hu
from bodycomp.anatomy import (
    BACKGROUND_LABEL,
    INTERMUSCULAR_FAT,
    MUSCLE,
    PSOAS,
    SUBCUTANEOUS_FAT,
)
from bodycomp.imaging.volume import Volume
from bodycomp.quantities import (
    MUSCLE_KEY,
    PSOAS_KEYS,
    QUANTITIES,
    SAT_KEY,
    TRABECULAR_KEY,
    VAT_KEY,
    CutOff,
    Limit,
    cut_offs_for,
)
from bodycomp.results import CutOffOutcome, Measurement, Quantity
from bodycomp.subject import Subject

WINDOW_MM: Final = 6.0
SOFT_TISSUE_HU: Final = (0.0, 100.0)
BIN_HU: Final = 0.5
FEWEST_PIXELS: Final = 500


def global_noise_hu(
    hu: NDArray[np.generic], body: NDArray[np.bool_], pixel_spacing_mm: tuple[float, float]
) -> float | None:
    """Return the most frequent local standard deviation over soft tissue, in HU.

    Every square of 6 mm whose mean lies within 0..100 HU counts; squares across an edge have large
    deviations that are all different, so the most frequent value is that of even tissue. After
    Christianson et al., AJR 205:W93, 2015. None where there is too little soft tissue.
    """
    size = [max(3, round(WINDOW_MM / spacing)) for spacing in pixel_spacing_mm]
    values = hu.astype(np.float64)
    mean = ndimage.uniform_filter(values, size)
    variance = ndimage.uniform_filter(values**2, size) - mean**2
    # The squares of a population of n pixels, corrected for the mean taken from them.
    count = size[0] * size[1]
    deviation = np.sqrt(np.clip(variance * count / (count - 1), 0, None))
    low, high = SOFT_TISSUE_HU
    soft = deviation[body & (mean >= low) & (mean <= high)]
    if soft.size < FEWEST_PIXELS:
        return None
    top = float(np.percentile(soft, 95)) + 2 * BIN_HU
    histogram, edges = np.histogram(soft, np.arange(0.0, top + BIN_HU, BIN_HU))
    smooth = ndimage.gaussian_filter1d(histogram.astype(np.float64), 2.0)
    most = int(np.argmax(smooth))
    return float((edges[most] + edges[most + 1]) / 2)


LOW_ATTENUATION_HU: Final = (-29, 29)
NORMAL_ATTENUATION_HU: Final = (30, 150)
METAL_HU: Final = 2500
"""Denser than bone, whose densest parts stay below 2000 HU, and than contrast agent."""

_INDICES: Final = {
    "skeletal_muscle_index_cm2_m2": MUSCLE_KEY,
    "subcutaneous_fat_index_cm2_m2": SAT_KEY,
    "visceral_fat_index_cm2_m2": VAT_KEY,
}


NO_MUSCLE: Final = Quantity(None, "muscle is not labelled")
NO_VOLUME: Final = Quantity(None, "the slices about the level are not known")


def derive(
    slices: LevelSlices,
    measured: Mapping[str, Measurement],
    subject: Subject,
    trabecular: Quantity = NO_VOLUME,
) -> dict[str, Quantity]:
    """Return key -> quantity, in the order of the table, for all that the tissues allow.

    Where muscle is not labelled, quantities that lack it alone are there, too, and say so.

    ``trabecular`` is that of ``trabecular_quantity``, which needs the whole volume.
    """
    found = {
        **_indices(measured, subject),
        **_muscle(slices),
        **_psoas(slices, subject),
        **_body(slices),
        **_image(slices),
        "aortic_hu": _aorta(slices),
        TRABECULAR_KEY: trabecular,
        "visceral_to_subcutaneous_ratio": _fat_ratio(measured),
    }
    labeled = {tissue.key for tissue in slices.tissues}
    return {
        kind.key: found[kind.key] if labeled.issuperset(kind.tissues) else NO_MUSCLE
        for kind in QUANTITIES
        if labeled.union((MUSCLE_KEY,)).issuperset(kind.tissues)
    }


def evaluate_cut_offs(
    level: str,
    measured: Mapping[str, Measurement],
    quantities: Mapping[str, Quantity],
    subject: Subject,
) -> dict[str, CutOffOutcome]:
    """Return key -> outcome of every cut-off whose quantity the tissues allow."""
    values = compared_values(measured, quantities)
    return {
        cut_off.key: apply_cut_off(cut_off, values.get(cut_off.quantity), level, subject)
        for cut_off in cut_offs_for(tuple(measured))
    }


def compared_values(
    measured: Mapping[str, Measurement], quantities: Mapping[str, Quantity]
) -> dict[str, float | None]:
    """Return column -> value of what cut-offs and references are about."""
    values = {key: quantity.value for key, quantity in quantities.items()}
    for key, measurement in measured.items():
        values[f"{key}_hu_range_mean_hu"] = measurement.hu_range_mean_hu
        values[f"{key}_hu_range_area_cm2"] = measurement.hu_range_area_cm2
    return values


def _typical_cm2(measured: Mapping[str, Measurement], key: str) -> float:
    """Return a tissue's area inside its HU range; 0 if the tissue is not labelled at all."""
    measurement = measured.get(key)
    return (measurement.hu_range_area_cm2 or 0.0) if measurement else 0.0


def _indices(measured: Mapping[str, Measurement], subject: Subject) -> dict[str, Quantity]:
    """Return areas per height squared and the muscle gauge, index times attenuation.

    Sources: Prado et al., Lancet Oncol 9:629, 2008; Shachar et al., Clin Cancer Res 23:658, 2017.
    """
    gauge = "skeletal_muscle_gauge_cm2_hu_m2"
    height_m = subject.height_m
    if height_m is None:
        return dict.fromkeys((*_INDICES, gauge), Quantity(None, subject.height_note))
    found = {
        name: Quantity(_typical_cm2(measured, key) / height_m**2) for name, key in _INDICES.items()
    }
    muscle = measured.get(MUSCLE_KEY)
    mean_hu = muscle.hu_range_mean_hu if muscle else None
    if mean_hu is None:
        return {**found, gauge: Quantity(None, "no muscle pixel lies within -29..150 HU")}
    index = _typical_cm2(measured, MUSCLE_KEY) / height_m**2
    return {**found, gauge: Quantity(index * mean_hu)}


def _fat_ratio(measured: Mapping[str, Measurement]) -> Quantity:
    subcutaneous_cm2 = _typical_cm2(measured, SAT_KEY)
    if not subcutaneous_cm2 > 0:
        return Quantity(None, "there is no subcutaneous fat")
    return Quantity(_typical_cm2(measured, VAT_KEY) / subcutaneous_cm2)


def _muscle(slices: LevelSlices) -> dict[str, Quantity]:
    muscle = MUSCLE.of(slices.labels)
    fat = np.stack(
        [
            intermuscular_fat(hu, labels, slices.pixel_spacing_mm)
            for hu, labels in zip(slices.hu, slices.labels, strict=True)
        ]
    )
    masks = {
        "low_attenuation_muscle_area_cm2": muscle & within_hu(slices.hu, LOW_ATTENUATION_HU),
        "normal_attenuation_muscle_area_cm2": muscle & within_hu(slices.hu, NORMAL_ATTENUATION_HU),
        "intermuscular_fat_area_cm2": fat,
    }
    return {key: Quantity(slices.area_cm2(mask) / len(slices.hu)) for key, mask in masks.items()}


def _psoas(slices: LevelSlices, subject: Subject) -> dict[str, Quantity]:
    """Return the areas of psoas on each side of the trunk's middle, and its index."""
    psoas = PSOAS.of(slices.labels) & within_hu(slices.hu, PSOAS.hu_range)
    view = slices.turn.apply(slices.trunk)  # of the patient's left on the right
    columns = np.flatnonzero(view.any(axis=0))
    if not columns.size:
        return dict.fromkeys(PSOAS_KEYS, Quantity(None, "no body is seen"))
    middle = (columns[0] + columns[-1] + 1) / 2
    on_right = np.broadcast_to(np.arange(view.shape[1]) + 0.5 < middle, view.shape)
    right_cm2, left_cm2 = (
        slices.area_cm2(psoas & slices.turn.undo(side)) / len(slices.hu)
        for side in (on_right, ~on_right)
    )
    height_m = subject.height_m
    index = (
        Quantity(None, subject.height_note)
        if height_m is None
        else Quantity((right_cm2 + left_cm2) / height_m**2)
    )
    return dict(zip(PSOAS_KEYS, (Quantity(right_cm2), Quantity(left_cm2), index), strict=True))


def _body(slices: LevelSlices) -> dict[str, Quantity]:
    """Return area and waist circumference where all of the trunk is seen, and what is not."""
    area, waist, cut_off = "body_area_cm2", "waist_circumference_cm", "cut_off_area_cm2"
    view, trunk = slices.field_of_view, slices.trunk
    if not trunk.any():
        return dict.fromkeys((area, waist, cut_off), Quantity(None, "no body is seen"))
    touched_mm = view.touched_mm(trunk)
    if touched_mm >= TOUCHING_MM:
        reason = f"the trunk reaches the edge of the field of view along {touched_mm:.0f} mm"
        outside = view.cut_off_area_cm2(trunk)
        return {
            **dict.fromkeys((area, waist), Quantity(None, reason)),
            cut_off: Quantity(outside, "" if outside is not None else "too little skin is seen"),
        }
    length_cm = tape_length_cm(trunk, slices.pixel_spacing_mm)
    return {
        area: Quantity(slices.area_cm2(trunk)),
        waist: Quantity(length_cm, "" if length_cm is not None else "no body is seen"),
        cut_off: Quantity(0.0),
    }


def _aorta(slices: LevelSlices) -> Quantity:
    """Return the attenuation (HU) of the aorta on the level's own slice, where it stands out."""
    hu, labels, turn = slices.hu[slices.middle], slices.labels[slices.middle], slices.turn
    muscle = hu[MUSCLE.of(labels)]
    if not muscle.size:
        return Quantity(None, "there is no muscle to compare vessels with")
    row_mm, column_mm = slices.pixel_spacing_mm
    found, reason = find_aorta(
        turn.apply(hu),
        turn.apply(slices.trunk),
        (column_mm, row_mm) if turn.transpose else (row_mm, column_mm),
        float(np.median(muscle)),
        slices.level,
    )
    return Quantity(found.hu if found else None, reason)


def trabecular_quantity(slices: LevelSlices, volume: Volume, slice_index: int) -> Quantity:
    """Return the attenuation (HU) of trabecular bone about the slice of a level above L5."""
    if slices.level not in LEVELS:
        return Quantity(None, f"it is measured at {', '.join(LEVELS)}")
    muscle = slices.hu[slices.middle][MUSCLE.of(slices.labels[slices.middle])]
    if not muscle.size:
        return Quantity(None, "there is no muscle to compare bone with")
    z_mm = float(volume.slice_z_mm[slice_index])
    found = trabecular_hu(volume, z_mm, slices.trunk, float(np.median(muscle)))
    return Quantity(*found)


def _image(slices: LevelSlices) -> dict[str, Quantity]:
    """Noise, metal and labels outside the trunk on the level's own slice."""
    hu, labels, trunk = slices.hu[slices.middle], slices.labels[slices.middle], slices.trunk
    noise_hu = global_noise_hu(hu, trunk, slices.pixel_spacing_mm)
    return {
        "noise_hu": Quantity(noise_hu, "" if noise_hu is not None else "too little soft tissue"),
        "metal_area_cm2": Quantity(slices.area_cm2(trunk & (np.asarray(hu) >= METAL_HU))),
        "outside_body_area_cm2": Quantity(slices.area_cm2((labels > 0) & ~trunk)),
    }


GAP_RADIUS_MM: Final = 5.0
"""Gaps between muscles into which no disc of this radius fits lie inside the fascia."""


def intermuscular_fat(
    hu: NDArray[np.generic], labels: NDArray[np.uint8], pixel_spacing_mm: tuple[float, float]
) -> NDArray[np.bool_]:
    """Return the pixels of fat inside the muscle fascia of a slice.

    The rule: a pixel of -190..-30 HU counts if it is labelled muscle, or if it has no label and
    lies in a gap between muscle pixels into which no disc of 5 mm radius fits. What is labelled
    subcutaneous or visceral fat lies outside the fascia by the label.
    """
    muscle, labeled_fat = MUSCLE.of(labels), INTERMUSCULAR_FAT.of(labels)
    gaps = closed(muscle, GAP_RADIUS_MM, pixel_spacing_mm) & (labels == BACKGROUND_LABEL)
    inside = muscle | gaps | labeled_fat
    fat: NDArray[np.bool_] = inside & within_hu(hu, SUBCUTANEOUS_FAT.hu_range)
    return fat


_RELATIONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def apply_cut_off(
    cut_off: CutOff, value: float | None, level: str, subject: Subject
) -> CutOffOutcome:
    """Compare a value with the limit that holds for this person at this level.

    >>> from bodycomp.quantities import CUT_OFFS
    >>> apply_cut_off(CUT_OFFS[0], 50.0, "L3", Subject(sex="M"))
    CutOffOutcome(met=True, limit=52.4, reason='')
    >>> apply_cut_off(CUT_OFFS[0], 50.0, "L3", Subject()).reason
    'the cut-off depends on sex, which is not known'
    """
    if level not in cut_off.levels:
        found = " and ".join(cut_off.levels)
        return CutOffOutcome(None, reason=f"the cut-off was found at {found}, not at {level}")
    if value is None:
        return CutOffOutcome(None, reason=f"{cut_off.quantity} was not measured")
    needed = _missing(cut_off, subject)
    if needed:
        return CutOffOutcome(None, reason=f"the cut-off depends on {needed}, which is not known")
    limit = next(limit.value for limit in cut_off.limits if _holds(limit, subject))
    return CutOffOutcome(_RELATIONS[cut_off.relation](value, limit), limit)


def _missing(cut_off: CutOff, subject: Subject) -> str:
    """Return what must be known of the subject and is not; empty if one limit holds."""
    if any(_holds(limit, subject) for limit in cut_off.limits):
        return ""
    if not subject.sex and all(limit.sex for limit in cut_off.limits):
        return "sex"
    return "body mass index (height and weight)"


def _holds(limit: Limit, subject: Subject) -> bool:
    """Whether a limit is the one for this subject."""
    if limit.sex and limit.sex != subject.sex:
        return False
    if limit.bmi_from is None and limit.bmi_below is None:
        return True
    bmi = subject.bmi_kg_m2
    if bmi is None:
        return False
    return (limit.bmi_from is None or bmi >= limit.bmi_from) and (
        limit.bmi_below is None or bmi < limit.bmi_below
    )
