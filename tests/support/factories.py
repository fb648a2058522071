"""Small fake training sets in the real formats, with answers known in closed form.

The torso is concentric ellipses: subcutaneous fat around muscle around visceral fat, in air. A
slice-selection image shows a bright vertebra whose height grows with the offset from the level, so
that a network, or a test, can read the offset off the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    MUSCLE,
    SUBCUTANEOUS_FAT,
    VISCERAL_FAT,
    Tissue,
)
from bodycomp.data import writers
from bodycomp.data.writers import SegmentationWriter, SliceWriter
from bodycomp.imaging.volume import Volume
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.level_names import vertebra_rank

AIR_HU, MUSCLE_HU, FAT_HU, BONE_HU = -1000, 50, -100, 400
COUNTS = {"train": 4, "val": 2}

OUTER, MIDDLE, INNER = 0.8, 0.65, 0.45
"""Half axes of the three ellipses as shares of half the image's side; rows take 3/4 of that."""


def ellipse(size: tuple[int, int], share: float, center: tuple[float, float] = (0, 0)) -> NDArray:
    """A (row, column) mask; its area is pi / 4 * 3/4 * share^2 * rows * columns pixels."""
    y, x = (np.linspace(-1, 1, 2 * n + 1)[1::2] for n in size)  # pixel centres
    return ((y[:, None] - center[0]) / 0.75) ** 2 + (x - center[1]) ** 2 <= share**2


NOT_SQUARE = [((512, 400), (0.8, 0.8)), ((330, 400), (0.8, 1.2)), ((400, 400), (1.2, 0.8))]
"""Matrix and pixel spacing of fields of view that are not square."""

SIDEWAYS = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0)


def cylinder(
    size: tuple[int, int],
    spacing_mm: tuple[float, float],
    orientation: tuple[float, ...],
    radius_mm: float,
) -> Volume:
    """One slice of bone in air: a circle in millimetres, in the middle of the source grid."""
    down, across = (
        (np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(size, spacing_mm, strict=True)
    )
    inside = down[:, None] ** 2 + across**2 <= radius_mm**2
    hu = np.where(inside, BONE_HU, AIR_HU).astype(np.int16)
    return Volume(hu[None], spacing_mm, np.zeros(1), orientation)


def torso_slice(
    rng: np.random.Generator,
    size: tuple[int, int] = (512, 512),
    tissues: Sequence[Tissue] = ABDOMINAL_TISSUES,
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """HU with 8 HU of noise, and labels, of a torso of random position."""
    center = tuple(rng.uniform(-0.1, 0.1, 2))
    outer, middle, inner = (ellipse(size, share, center) for share in (OUTER, MIDDLE, INNER))
    labels = np.zeros(size, np.uint8)
    hu = np.full(size, AIR_HU, np.float32)
    for mask, tissue, value in (
        (outer, SUBCUTANEOUS_FAT, FAT_HU),
        (middle, MUSCLE, MUSCLE_HU),
        (inner, VISCERAL_FAT, FAT_HU),
    ):
        labels[mask] = tissue.label if tissue in tissues else 0
        hu[mask] = value
    hu += rng.normal(0, 8, size)
    return np.rint(hu).astype(np.int16), labels


def level_slice(
    rng: np.random.Generator, offset_mm: float, size: tuple[int, int] = (256, 256)
) -> NDArray[np.int16]:
    """HU of a torso whose vertebra is the taller the farther the slice lies towards the head.

    Its height is a share of 0.25 + offset / 1000 mm of the image's rows.
    """
    hu, _ = torso_slice(rng, size)
    rows = round(size[0] * (0.25 + offset_mm / 1000))
    top = (size[0] - rows) // 2
    left, right = size[1] * 7 // 16, size[1] * 9 // 16
    hu[top : top + rows, left:right] = BONE_HU
    return hu


def make_segmentation_set(
    folder: Path,
    counts: Mapping[str, int] = COUNTS,
    *,
    tissues: Sequence[Tissue] = ABDOMINAL_TISSUES,
    seed: int = 0,
) -> Path:
    """Write a segmentation training set of int16 images; returns ``folder``."""
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        with SegmentationWriter(folder, split) as writer:
            for _ in range(count):
                writer.append(*torso_slice(rng, writers.SEGMENTATION_SIZE, tissues))
    return folder


def make_slice_set(
    folder: Path,
    counts: Mapping[str, int] = COUNTS,
    *,
    levels: Sequence[str] = ("L3",),
    sizes: Sequence[tuple[int, int]] = ((256, 256),),
    seed: int = 0,
) -> Path:
    """Write a slice-selection training set; returns ``folder``.

    Each split is one patient and one series, feet to head, evenly from -100 to 100 mm about the
    first level; vertebrae are 11 mm high, as a newborn's, and other levels lie as high as the first
    one. Sizes take turns.
    """
    rng, first = np.random.default_rng(seed), vertebra_rank(levels[0]) or 0
    down_mm = {name: 11 * ((vertebra_rank(name) or first) - first) for name in levels}
    columns = ("PatientID", "SeriesInstanceUID")
    for number, (split, count) in enumerate(counts.items()):
        names = {"PatientID": f"patient {number}", "SeriesInstanceUID": f"1.2.3.{number}"}
        with SliceWriter(folder, split, levels, columns) as writer:
            for index, offset_mm in enumerate(np.linspace(-100, 100, count)):
                hu = level_slice(rng, offset_mm, sizes[index % len(sizes)])
                offsets = {level: offset_mm + down_mm[level] for level in levels}
                writer.append(SOFT_TISSUE.to_gray(hu), offsets, names)
    return folder
