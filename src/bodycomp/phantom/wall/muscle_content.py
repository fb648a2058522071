"""Fat streaks, texture and the attenuation of muscle groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import INTERMUSCULAR_FAT, MUSCLE
from bodycomp.phantom.content.content_variety import MuscleContent
from bodycomp.phantom.frame import SliceFrame
from bodycomp.phantom.materials import MUSCLE_HU
from bodycomp.phantom.shapes import Floats


def grain_muscle(frame: SliceFrame) -> None:
    """Marble the muscle with streaks of fat, more in the back and by the patient's share."""
    canvas = frame.canvas
    labels = canvas.labels.reshape(-1)
    flat = np.flatnonzero(MUSCLE.of(labels))
    coarse, fine = canvas.blotch.reshape(-1).take(flat), canvas.grain.reshape(-1).take(flat)
    behind = canvas.y.reshape(-1).take(flat) - np.float32(frame.section.spine_y + 20)
    share = frame.patient.muscle_fat_fraction * (0.5 + 1.1 * np.clip(behind / 30, 0, 1))
    content = frame.content.muscle
    thinnest = 0.03 if content is None else content.streak_width
    streak = np.clip(
        1.15 - np.abs(coarse + 0.35 * fine - 0.3) / (thinnest + 1.5 * share), 0.0, 0.75
    )
    streak *= np.clip(0.15 + 5 * share + 1.2 * fine, 0.0, 1.0)
    hu = canvas.hu.reshape(-1)
    before = hu.take(flat)
    if content is None:
        before = before + 3.0 * fine + 2.0 * coarse
    else:
        before = _group_hu(frame, content, flat, before, behind)
        before += content.fine_hu * fine + content.coarse_hu * coarse
        streak *= np.minimum(content.streak_gain * (0.3 + 5 * share), 1.0)
    hu[flat] = before + streak * (frame.materials.fat + 15 - before)
    labels[flat[streak >= 0.5]] = INTERMUSCULAR_FAT.label


def _group_hu(
    frame: SliceFrame,
    content: MuscleContent,
    flat: NDArray[np.intp],
    hu: Floats,
    behind: Floats,
) -> Floats:
    """Shift the back, the psoas and the front against the rest, and right against left."""
    section = frame.section
    x = frame.canvas.x.reshape(-1).take(flat) - np.float32(section.x)
    beside = np.abs(x) < np.float32(0.5 * section.half_width)
    back = np.clip(behind / 12 + 0.5, 0.0, 1.0)
    front = np.clip(-(behind + np.float32(40 + 0.5 * section.front)) / 20, 0.0, 1.0)
    shift = np.float32(content.back_hu) * back + np.float32(content.rectus_hu) * front
    shift += np.float32(content.psoas_hu) * (beside & (back < 0.5) & (front < 0.5))
    shift += np.float32(content.right_hu) * (x < 0)
    inner = np.clip(frame.materials.muscle + shift, *MUSCLE_HU) - frame.materials.muscle
    return np.asarray(hu + inner, dtype=np.float32)
