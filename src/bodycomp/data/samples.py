"""Which slices of a scan become samples of a training set, and how: for both formats.

Slices are brought to a square field in the standard view and resized here, image and labels
together, so that what is trained on stands as what is analysed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.sampling_options import LevelSampling, MaskSampling
from bodycomp.errors import ImageError
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE, SLICE_SELECTION_SIZE
from bodycomp.imaging.resize import resize_gray, resize_image, resize_labels
from bodycomp.imaging.square_field import AIR_HU, SquareField
from bodycomp.imaging.volume import Volume
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.level_names import head_to_feet

OFFSET_DECIMALS: Final = 2
"""A hundredth of a millimetre is far below what a person can mark."""

_INT16: Final = np.iinfo(np.int16)


@dataclass(frozen=True, eq=False)
class LevelSample:
    """A slice for slice selection: (256, 256) gray levels, and the height above each level."""

    gray: NDArray[np.uint8]
    offsets_mm: dict[str, float]


@dataclass(frozen=True, eq=False)
class MaskSample:
    """One slice for segmentation: (512, 512) HU and labels, standard view.

    Pixels that are not annotated have ``anatomy.NOT_ANNOTATED_LABEL``.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]


def mask_slices(
    volume: Volume,
    candidates: NDArray[np.bool_],
    level_z_mm: Mapping[str, float],
    sampling: MaskSampling,
) -> list[int]:
    """Return the slices that become samples for segmentation, feet to head.

    A stretch of candidates that the thinning would leave without any gives its middle one.

    ``candidates`` (slice,) may become samples: because somebody annotated them, or where all slices
    are wanted, unless it is known that nobody did.

    Raises:
        ImageError: ``sampling.around`` is not marked in this scan.
    """
    indices = _thinned_stretches(candidates, _step(volume, sampling.spacing_mm))
    if sampling.around:
        if sampling.around not in level_z_mm:
            raise ImageError(
                f"expected a position of {sampling.around}, about which slices are taken; "
                f"found {', '.join(level_z_mm) or 'no level'}"
            )
        center = level_z_mm[sampling.around]
        low_mm, high_mm = center - sampling.reach_mm, center + sampling.reach_mm
        indices = [index for index in indices if low_mm <= volume.slice_z_mm[index] <= high_mm]
    return _spread(indices, sampling.max_per_scan)


def level_slices(volume: Volume, sampling: LevelSampling) -> list[int]:
    """Return the slices that stand for the whole series, feet to head."""
    return list(range(0, len(volume), _step(volume, sampling.spacing_mm)))


def training_share(
    indices: Sequence[int],
    volume: Volume,
    level_z_mm: Mapping[str, float],
    sampling: LevelSampling,
) -> list[int]:
    """Return those of ``level_slices`` that training needs: all near a level, a share elsewhere."""
    heights = np.array([level_z_mm[name] for name in sampling.near if name in level_z_mm])
    return [
        index
        for rank, index in enumerate(indices)
        if rank % sampling.far_stride == 0
        or np.any(np.abs(volume.slice_z_mm[index] - heights) <= sampling.near_mm)
    ]


def mask_sample(volume: Volume, labels: NDArray[np.uint8], index: int) -> MaskSample:
    """Return a slice as a sample for segmentation; what is below air is raised to it.

    ``labels`` are (row, column) of that slice on the scan's pixel grid.

    Raises:
        ImageError: HU that 16 bits do not hold, or slices without a ``SquareField``.
    """
    field = SquareField.of_volume(volume)
    # What lies outside the scan is padded below air, each maker in its own way.
    hu = np.maximum(field.apply(volume.hu[index]), volume.hu.dtype.type(AIR_HU))
    if hu.shape != SEGMENTATION_SIZE:
        hu = resize_image(hu, SEGMENTATION_SIZE)
    low, high = hu.min(), hu.max()
    if not (low >= _INT16.min and high <= _INT16.max):  # also catches NaN
        raise ImageError(f"slice {index}: expected HU that fit 16 bits, found {low} to {high}")
    return MaskSample(
        hu=np.ascontiguousarray(np.rint(hu).astype(np.int16)),
        labels=np.ascontiguousarray(resize_labels(field.apply(labels, 0), SEGMENTATION_SIZE)),
    )


def level_sample(volume: Volume, level_z_mm: Mapping[str, float], index: int) -> LevelSample:
    """Return a slice as a sample for slice selection; a level outside the scan has no offset.

    Raises:
        ImageError: The slices have no ``SquareField``.
    """
    field = SquareField.of_volume(volume)
    gray = SOFT_TISSUE.to_gray(field.apply(volume.hu[index]))
    z_mm = float(volume.slice_z_mm[index])
    return LevelSample(
        gray=np.ascontiguousarray(resize_gray(gray, SLICE_SELECTION_SIZE)),
        offsets_mm={
            # First to a nanometre: headers hold positions in decimals, and what they lose must not
            # decide which way a tie is rounded.
            name: round(round(z_mm - height, 6), OFFSET_DECIMALS)
            for name, height in levels_in_scan(volume, level_z_mm).items()
        },
    )


def levels_in_scan(volume: Volume, level_z_mm: Mapping[str, float]) -> dict[str, float]:
    """Return the levels that lie between the first and the last slice, as ``head_to_feet``."""
    low, high = float(volume.slice_z_mm[0]), float(volume.slice_z_mm[-1])
    return {
        name: level_z_mm[name]
        for name in head_to_feet(level_z_mm)
        if low <= level_z_mm[name] <= high
    }


def _step(volume: Volume, spacing_mm: float | None) -> int:
    """Return how many slices lie from one sample to the next."""
    if spacing_mm is None:
        return 1
    return max(1, round(spacing_mm / (volume.slice_spacing_mm or spacing_mm)))


def _thinned_stretches(taken: NDArray[np.bool_], step: int) -> list[int]:
    """Keep every ``step``-th slice of the scan, and the middle of stretches without any."""
    bounds = np.flatnonzero(np.diff(taken.astype(np.int8), prepend=0, append=0))
    kept: list[int] = []
    for start, stop in zip(bounds[::2].tolist(), bounds[1::2].tolist(), strict=True):
        kept += list(range(-(-start // step) * step, stop, step)) or [(start + stop - 1) // 2]
    return kept


def _spread(indices: list[int], count: int | None) -> list[int]:
    if count is None or len(indices) <= count:
        return indices
    places = (np.arange(count) + 0.5) * len(indices) / count
    return [indices[int(place)] for place in places]
