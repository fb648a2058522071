"""Variation beyond the usual: bent bodies, coarser pixels, the blotches of iterative methods."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import torch
from torch.nn import functional

from bodycomp.data.augmentation_options import AugmentationOptions

BEND_GRID: Final = 7
"""Rows and columns of the random displacements that a smooth deformation is interpolated from."""

BLOTCH_GRID: Final = 128
"""Rows and columns of the blotches: 4 pixels each of a 512 x 512 image."""

COARSE_SHARE: Final = 0.5
"""Share of images that are made coarser; the others keep their pixels."""


@dataclass(frozen=True, eq=False)
class ScannerDraw:
    """What was drawn for a batch, on the CPU.

    Attributes:
        bend: (B, 2, ``BEND_GRID``, ``BEND_GRID``), displacements as a share of the side.
        coarse: (B,) factor by which pixels are coarser, 1 for none.
        grain: (B, 1, ``BLOTCH_GRID``, ``BLOTCH_GRID``), blotches as a share of white.
    """

    bend: torch.Tensor
    coarse: torch.Tensor
    grain: torch.Tensor

    def part(self, span: slice) -> ScannerDraw:
        """Return the draw of some samples of the batch."""
        return ScannerDraw(*(getattr(self, field.name)[span] for field in fields(self)))

    def bend_pixels(self, rows: int, columns: int) -> torch.Tensor:
        """Return displacements (B, 2, rows, columns) in pixels: along columns, along rows."""
        smooth = functional.interpolate(
            self.bend, (rows, columns), mode="bicubic", align_corners=True
        )
        return smooth * torch.tensor([columns, rows], dtype=smooth.dtype).view(1, 2, 1, 1)


def draw_scanner(
    batch_size: int, generator: torch.Generator, options: AugmentationOptions
) -> ScannerDraw:
    """Draw deformation, resolution and blotches of each sample, each of its own strength."""

    def strength() -> torch.Tensor:
        return torch.rand((batch_size, 1, 1, 1), generator=generator)

    def normal(channels: int, side: int) -> torch.Tensor:
        return torch.randn((batch_size, channels, side, side), generator=generator)

    bend = normal(2, BEND_GRID) * strength() * options.bend_fraction
    coarser = torch.rand(batch_size, generator=generator) < COARSE_SHARE
    factor = 1 + torch.rand(batch_size, generator=generator) * (options.coarse_factor - 1)
    grain = normal(1, BLOTCH_GRID) * strength() * options.grain_fraction
    return ScannerDraw(bend, torch.where(coarser, factor, 1.0), grain)


def coarsen(images: torch.Tensor, drawn: ScannerDraw) -> torch.Tensor:
    """Return (B, 1, rows, columns) images as coarser pixels would show them, shape kept."""
    if not bool((drawn.coarse > 1).any()):
        return images
    size = images.shape[-2:]
    coarse = [
        functional.interpolate(
            functional.interpolate(
                image[None], [max(1, round(n / factor)) for n in size], mode="area"
            ),
            size,
            mode="bilinear",
            align_corners=False,
        )
        if factor > 1
        else image[None]
        for image, factor in zip(images, drawn.coarse.tolist(), strict=True)
    ]
    return torch.cat(coarse)


def blotches(drawn: ScannerDraw, rows: int, columns: int) -> torch.Tensor:
    """Return what is added to images, (B, 1, rows, columns), as a share of white."""
    return functional.interpolate(
        drawn.grain, (rows, columns), mode="bilinear", align_corners=False
    )
