"""Stand-ins for trained models, whose answers are known; imports no networks.

Processes that read ahead import the files of tests that started them, and need no PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bodycomp.anatomy import ABDOMINAL_TISSUES


@dataclass
class LevelAt:
    """Scores as a perfect network for a level at one height."""

    z_mm: float = 60.0
    levels: tuple = ("L3",)
    scale_mm: float = 10.0
    calibrations: dict = field(default_factory=dict)
    least_confidence: float = 0.0
    sees_series: bool = False
    digest: str = "aaaaaaaaaaaa"
    runs_as: str = "reference on cpu"
    caution: str = ""

    def __call__(self, volume, progress=None, slice_indices=None):
        z_mm = volume.slice_z_mm if slice_indices is None else volume.slice_z_mm[slice_indices]
        # As networks.targets has it; the exponent is bounded so that none overflows.
        score = 1 / (1 + np.exp(-np.clip((z_mm - self.z_mm) / self.scale_mm, -80, 80)))
        return np.repeat(score[:, None], len(self.levels), axis=1).astype(np.float32)


@dataclass
class BodyIsMuscle:
    """Labels the whole body as muscle."""

    tissues: tuple = ABDOMINAL_TISSUES
    digest: str = "bbbbbbbbbbbb"
    runs_as: str = "reference on cpu"
    caution: str = ""

    def __call__(self, volume, slice_indices, progress=None):
        return {index: (volume.hu[index] > -300).astype(np.uint8) for index in slice_indices}


@dataclass
class KnownLabels:
    """Labels slices as they are known to be."""

    labels: np.ndarray
    tissues: tuple = ABDOMINAL_TISSUES
    digest: str = "cccccccccccc"
    runs_as: str = "reference on cpu"
    caution: str = ""

    def __call__(self, volume, slice_indices, progress=None):
        if progress is not None:
            progress("segment", len(slice_indices), len(slice_indices))
        return {index: self.labels[index] for index in slice_indices}
