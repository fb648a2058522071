"""How strongly training images are varied; plain values, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

from bodycomp.errors import UsageError


@dataclass(frozen=True, slots=True)
class AugmentationOptions:
    """Largest variation of each kind; every sample draws its own between none and this.

    Attributes:
        rotation_deg: Rotation about the image centre, either way.
        shift_fraction: Shift along rows and along columns, as a share of the image's side.
        scale_fraction: Zoom by a factor between ``1 / (1 + s)`` and ``1 + s``, log-uniform.
        flip_left_right: Mirror half of the images. Off, and best left off: the liver lies on the
            right and the spleen on the left, so that a mirrored slice is an anatomy (situs
            inversus) that one patient in ten thousand has.
        contrast_fraction: Steepen or flatten grey levels about the window's centre.
        brightness_fraction: Shift of grey levels as a share of white; 0.05 is 20 HU in the
            400 HU window.
        noise_fraction: Standard deviation of added Gaussian noise as a share of white.
        sharpness_fraction: Blend towards (or away from) a 3 x 3 smoothed image, as
            reconstruction kernels differ.
        bend_fraction: Largest standard deviation of a smooth deformation, as a share of the
            image's side.
        coarse_factor: Largest factor by which the pixels are made coarser, at least 1.
        grain_fraction: Standard deviation of added blotches of some pixels, as a share of white.

    Raises:
        UsageError: A value is negative, not finite, or too large to make sense.
    """

    rotation_deg: float = 10.0
    shift_fraction: float = 0.06
    scale_fraction: float = 0.15
    flip_left_right: bool = False
    contrast_fraction: float = 0.1
    brightness_fraction: float = 0.04
    noise_fraction: float = 0.04
    sharpness_fraction: float = 0.5
    bend_fraction: float = 0.0
    coarse_factor: float = 1.0
    grain_fraction: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least, largest = _RANGES.get(field.name, (0.0, 1.0))
            if not (math.isfinite(value) and least <= value <= largest):
                raise UsageError(
                    f"expected {field.name} from {least:g} to {largest:g}, found {value}"
                )

    @property
    def moves(self) -> bool:
        """Whether pixels change place."""
        amounts = (
            self.rotation_deg,
            self.shift_fraction,
            self.scale_fraction,
            self.bend_fraction,
        )
        return self.flip_left_right or any(amounts)

    @property
    def varies_scanner(self) -> bool:
        """Whether shape and scanner vary beyond what a training usually does."""
        return bool(self.bend_fraction or self.grain_fraction) or self.coarse_factor > 1


_RANGES: Final = {"rotation_deg": (0.0, 180.0), "coarse_factor": (1.0, 8.0)}


NO_AUGMENTATION = AugmentationOptions(
    rotation_deg=0,
    shift_fraction=0,
    scale_fraction=0,
    contrast_fraction=0,
    brightness_fraction=0,
    noise_fraction=0,
    sharpness_fraction=0,
)
"""Leaves images as they are, bit for bit."""

STRONG_AUGMENTATION = AugmentationOptions(
    rotation_deg=15,
    shift_fraction=0.08,
    scale_fraction=0.25,
    contrast_fraction=0.2,
    brightness_fraction=0.06,
    noise_fraction=0.06,
    sharpness_fraction=0.6,
    bend_fraction=0.015,
    coarse_factor=3.0,
    grain_fraction=0.05,
)
"""For models that shall hold on scanners and bodies that they were not trained on (after the ranges
of SynthSeg: Billot et al., Medical Image Analysis 86, 2023)."""
