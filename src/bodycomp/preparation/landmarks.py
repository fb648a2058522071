"""Where the lungs end and the pelvis begins in a scan: landmarks to hold marked levels against.

Neither needs a network: lungs are the only large region of their density inside the body, and
between the ribs and the iliac crests nothing beside the spine is as dense as bone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.imaging.body_mask import MATTER_ABOVE_HU, STEP, body_mask
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.volume import Volume

LUNG_HU: Final = (-950.0, -500.0)
"""Aerated lung (Gattinoni et al., Am J Respir Crit Care Med 164:1701, 2001); bowel gas is less
dense."""
LUNG_SHARE: Final = 0.15
BONE_HU: Final = 250.0
BESIDE_SPINE_MM: Final = 45.0
PELVIS_CM2: Final = 8.0
"""Dense area beside the spine that some slice through the pelvis has."""
WAIST_CM2: Final = 4.0
WAIST_MM: Final = 16.0
"""The waist without ribs is at least so high, and no slice of it has so much dense area."""
PELVIS_MM: Final = 25.0
LUNGS_MM: Final = 20.0
LUNGS_TO_CREST_MM: Final = (110.0, 320.0)
EVERY_MM: Final = 4.0


@dataclass(frozen=True, slots=True)
class Landmarks:
    """The lowest slice with much lung, and the highest with much of the iliac wings.

    Heights on the scale of ``slice_z_mm``; None where the scan does not show them.
    """

    lung_edge_mm: float | None = None
    crest_mm: float | None = None


def find_landmarks(volume: Volume) -> Landmarks:
    """Return the landmarks of a scan; none where lungs and pelvis are too near for a body."""
    step = max(1, int(EVERY_MM / (volume.slice_spacing_mm or EVERY_MM)))
    turn = OrientationTransform.from_orientation(volume.orientation)
    row_mm, column_mm = volume.pixel_spacing_mm
    spacing_mm = (column_mm, row_mm) if turn.transpose else (row_mm, column_mm)
    seen = [_shares(turn.apply(hu), spacing_mm) for hu in volume.hu[::step]]
    lung_share, beside_spine_cm2 = (np.array(each) for each in zip(*seen, strict=True))
    return landmarks_of(volume.slice_z_mm[::step], lung_share, beside_spine_cm2)


def _shares(hu: NDArray[Any], pixel_spacing_mm: tuple[float, float]) -> tuple[float, float]:
    """Return the lungs' share of the body and the dense area beside its middle, cm2."""
    coarse = hu[STEP // 2 :: STEP, STEP // 2 :: STEP]
    body = body_mask(coarse, MATTER_ABOVE_HU)
    columns = np.flatnonzero(body.any(axis=0))
    if not len(columns):
        return 0.0, 0.0
    lungs = body & (coarse > LUNG_HU[0]) & (coarse < LUNG_HU[1])
    row_mm, column_mm = (STEP * mm for mm in pixel_spacing_mm)
    middle = (columns[0] + columns[-1]) / 2
    away_mm = np.abs(np.arange(body.shape[1]) - middle) * column_mm
    dense = body & (coarse > BONE_HU) & (away_mm > BESIDE_SPINE_MM)
    cm2 = row_mm * column_mm / 100
    return float(lungs.sum() / body.sum()), float(dense.sum() * cm2)


def landmarks_of(
    z_mm: NDArray[np.float64],
    lung_share: NDArray[np.float64],
    beside_spine_cm2: NDArray[np.float64],
) -> Landmarks:
    """Return the landmarks from what every slice shows, feet to head."""
    edge_mm = _lung_edge_mm(z_mm, lung_share)
    below = np.ones(len(z_mm), np.bool_) if edge_mm is None else z_mm < edge_mm
    crest_mm = _crest_mm(z_mm[below], beside_spine_cm2[below])
    if edge_mm is not None and crest_mm is not None:
        low, high = LUNGS_TO_CREST_MM
        if not low <= edge_mm - crest_mm <= high:
            return Landmarks()
    return Landmarks(edge_mm, crest_mm)


def _lung_edge_mm(z_mm: NDArray[np.float64], share: NDArray[np.float64]) -> float | None:
    ends = [(z_mm[first], z_mm[last]) for first, last in _stretches(share > LUNG_SHARE)]
    low, high = max(ends, key=lambda each: each[1] - each[0], default=(0.0, 0.0))
    # Where lungs fill the lowest slice their edge lies below the scan.
    return float(low) if high - low >= LUNGS_MM and low > z_mm[0] else None


def _crest_mm(z_mm: NDArray[np.float64], beside_spine_cm2: NDArray[np.float64]) -> float | None:
    """Return where the pelvis at the lower end of a scan gives way to a waist without ribs."""
    for first, last in _stretches(beside_spine_cm2 < WAIST_CM2):
        is_waist = z_mm[last] - z_mm[first] >= WAIST_MM
        if is_waist and first > 0 and z_mm[first - 1] - z_mm[0] >= PELVIS_MM:
            seen = bool(beside_spine_cm2[:first].max() >= PELVIS_CM2)
            return float(z_mm[first - 1]) if seen else None
    return None


def _stretches(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and last index of every stretch of True."""
    bounds = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [(int(first), int(end) - 1) for first, end in bounds.reshape(-1, 2)]
