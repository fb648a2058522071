"""How well masks agree."""

from __future__ import annotations

import torch
from torch import Tensor

from bodycomp.anatomy import NOT_ANNOTATED_LABEL, Tissue


def count_pixels(predicted: Tensor, truth: Tensor, tissues: tuple[Tissue, ...]) -> Tensor:
    """Count what Dice is made of.

    Args:
        predicted: (B, H, W) integer labels.
        truth: The same; pixels with ``NOT_ANNOTATED_LABEL`` are not counted in either.
        tissues: The tissues to count.

    Returns:
        (B, tissue, 3) float64: pixels in both, predicted pixels, true pixels.
    """
    counts = []
    known = truth != NOT_ANNOTATED_LABEL
    for tissue in tissues:
        found, real = (predicted == tissue.label) & known, truth == tissue.label
        counts.append(torch.stack([x.sum(dim=(1, 2)) for x in (found & real, found, real)], dim=1))
    return torch.stack(counts, dim=1).double()


def dice(counts: Tensor) -> Tensor:
    """Turn (..., 3) pixel counts into (...) Dice, NaN where neither mask has a pixel.

    >>> dice(torch.tensor([[3.0, 4.0, 4.0], [0.0, 0.0, 0.0]]))
    tensor([0.7500,    nan])
    """
    return 2 * counts[..., 0] / (counts[..., 1] + counts[..., 2])
