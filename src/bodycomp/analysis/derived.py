"""Slices, labels and measurements of a level -> every quantity of ``bodycomp.quantities``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from bodycomp.analysis.aorta import find_aorta
from bodycomp.analysis.cut_off_body import TOUCHING_MM
from bodycomp.analysis.cut_offs import apply_cut_off
from bodycomp.analysis.indices import area_ratio, muscle_gauge, per_height_squared
from bodycomp.analysis.intermuscular_fat import intermuscular_fat
from bodycomp.analysis.level_slices import LevelSlices
from bodycomp.analysis.measurement import within_hu
from bodycomp.analysis.noise import global_noise_hu
from bodycomp.analysis.skin_line import tape_length_cm
from bodycomp.anatomy import MUSCLE
from bodycomp.quantities import (
    MUSCLE_KEY,
    SAT_KEY,
    VAT_KEY,
    cut_offs_for,
    quantities_for,
)
from bodycomp.results import CutOffOutcome, Measurement, Quantity
from bodycomp.subject import Subject

LOW_ATTENUATION_HU: Final = (-29, 29)
NORMAL_ATTENUATION_HU: Final = (30, 150)
METAL_HU: Final = 2500
"""Denser than bone, whose densest parts stay below 2000 HU, and than contrast agent."""

_INDICES: Final = {
    "skeletal_muscle_index_cm2_m2": MUSCLE_KEY,
    "subcutaneous_fat_index_cm2_m2": SAT_KEY,
    "visceral_fat_index_cm2_m2": VAT_KEY,
}


def derive(
    slices: LevelSlices, measured: Mapping[str, Measurement], subject: Subject
) -> dict[str, Quantity]:
    """Return key -> quantity, in the order of the table, for all that the tissues allow."""
    found = {
        **_indices(measured, subject),
        **_muscle(slices),
        **_body(slices),
        **_image(slices),
        "aortic_hu": _aorta(slices),
        "visceral_to_subcutaneous_ratio": _fat_ratio(measured),
    }
    return {kind.key: found[kind.key] for kind in quantities_for(slices.tissue_keys)}


def judge(
    level: str,
    measured: Mapping[str, Measurement],
    quantities: Mapping[str, Quantity],
    subject: Subject,
) -> dict[str, CutOffOutcome]:
    """Return key -> outcome of every cut-off whose quantity the tissues allow."""
    values = {key: quantity.value for key, quantity in quantities.items()}
    for key, measurement in measured.items():
        values[f"{key}_hu_range_mean_hu"] = measurement.hu_range_mean_hu
        values[f"{key}_hu_range_area_cm2"] = measurement.hu_range_area_cm2
    return {
        cut_off.key: apply_cut_off(cut_off, values.get(cut_off.quantity), level, subject)
        for cut_off in cut_offs_for(tuple(measured))
    }


def _typical_cm2(measured: Mapping[str, Measurement], key: str) -> float:
    """Return a tissue's area inside its HU range; 0 if the tissue is not labelled at all."""
    measurement = measured.get(key)
    return (measurement.hu_range_area_cm2 or 0.0) if measurement else 0.0


def _indices(measured: Mapping[str, Measurement], subject: Subject) -> dict[str, Quantity]:
    gauge = "skeletal_muscle_gauge_cm2_hu_m2"
    height_m = subject.height_m
    if height_m is None:
        return dict.fromkeys((*_INDICES, gauge), Quantity(None, subject.height_note))
    found = {
        name: Quantity(per_height_squared(_typical_cm2(measured, key), height_m))
        for name, key in _INDICES.items()
    }
    muscle = measured.get(MUSCLE_KEY)
    mean_hu = muscle.hu_range_mean_hu if muscle else None
    if mean_hu is None:
        return {**found, gauge: Quantity(None, "no muscle pixel lies within -29..150 HU")}
    index = per_height_squared(_typical_cm2(measured, MUSCLE_KEY), height_m)
    return {**found, gauge: Quantity(muscle_gauge(index, mean_hu))}


def _fat_ratio(measured: Mapping[str, Measurement]) -> Quantity:
    ratio = area_ratio(_typical_cm2(measured, VAT_KEY), _typical_cm2(measured, SAT_KEY))
    return Quantity(ratio, "" if ratio is not None else "there is no subcutaneous fat")


def _muscle(slices: LevelSlices) -> dict[str, Quantity]:
    muscle = slices.labels == MUSCLE.label
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
    return {key: Quantity(slices.mean_area_cm2(mask)) for key, mask in masks.items()}


def _body(slices: LevelSlices) -> dict[str, Quantity]:
    """Area and girth of the trunk, where all of it is seen, and what is not seen of it."""
    area, girth, cut_off = "body_area_cm2", "waist_circumference_cm", "cut_off_area_cm2"
    view, trunk = slices.field_of_view, slices.trunk
    if not trunk.any():
        return dict.fromkeys((area, girth, cut_off), Quantity(None, "no body is seen"))
    touched_mm = view.touched_mm(trunk)
    if touched_mm >= TOUCHING_MM:
        reason = f"the trunk reaches the edge of the field of view along {touched_mm:.0f} mm"
        outside = view.cut_off_area_cm2(trunk)
        return {
            **dict.fromkeys((area, girth), Quantity(None, reason)),
            cut_off: Quantity(outside, "" if outside is not None else "too little skin is seen"),
        }
    length_cm = tape_length_cm(trunk, slices.pixel_spacing_mm)
    return {
        area: Quantity(slices.area_cm2(trunk)),
        girth: Quantity(length_cm, "" if length_cm is not None else "no body is seen"),
        cut_off: Quantity(0.0),
    }


def _aorta(slices: LevelSlices) -> Quantity:
    """Return the density of the aorta on the level's own slice, where it stands out."""
    hu, labels, turn = slices.hu[slices.middle], slices.labels[slices.middle], slices.turn
    muscle = hu[labels == MUSCLE.label]
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


def _image(slices: LevelSlices) -> dict[str, Quantity]:
    """Noise, metal and labels outside the trunk on the level's own slice."""
    hu, labels, trunk = slices.hu[slices.middle], slices.labels[slices.middle], slices.trunk
    noise_hu = global_noise_hu(hu, trunk, slices.pixel_spacing_mm)
    return {
        "noise_hu": Quantity(noise_hu, "" if noise_hu is not None else "too little soft tissue"),
        "metal_area_cm2": Quantity(slices.area_cm2(trunk & (np.asarray(hu) >= METAL_HU))),
        "outside_body_area_cm2": Quantity(slices.area_cm2((labels > 0) & ~trunk)),
    }
