"""How softmax probabilities overlap with a truth: all that the segmentation losses need.

One pass over the pixels and one for the gradient on a CPU with the compiled kernels; PyTorch's
operators elsewhere. Both give the same numbers up to rounding.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Final, Self

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor
from torch.autograd.function import once_differentiable

from bodycomp.anatomy import NOT_ANNOTATED_LABEL
from bodycomp.networks.fused_norm import call_kernel, channels_last, kernels_serve, rows_of

MAX_CLASSES: Final = 8
"""Of the kernels."""


@dataclass(frozen=True, eq=False)
class ClassOverlap:
    """Sums over all pixels of a batch that are annotated, (C,) each.

    Attributes:
        overlap: Sum of a class's probability where it is true.
        predicted: Sum of its probability.
        size: Pixels where it is true.
    """

    overlap: Tensor
    predicted: Tensor
    size: Tensor

    @classmethod
    def of(cls, probabilities: Tensor, masks: Tensor) -> Self:
        """Compare (B, C, H, W) probabilities with (B, H, W) integer labels."""
        overlaps, predicted, sizes = [], [], []
        known = (masks != NOT_ANNOTATED_LABEL).to(probabilities.dtype)
        for label in range(probabilities.shape[1]):
            member = (masks == label).to(probabilities.dtype)
            overlaps.append((probabilities[:, label] * member).sum())
            predicted.append((probabilities[:, label] * known).sum())
            sizes.append(member.sum())
        return cls(torch.stack(overlaps), torch.stack(predicted), torch.stack(sizes))


def softmax_overlap(logits: Tensor, masks: Tensor) -> tuple[Tensor, ClassOverlap]:
    """Compare softmax(logits) with a truth.

    Args:
        logits: (B, C, H, W), any floating-point type; what is returned is float32.
        masks: (B, H, W) integer labels 0..C-1, or ``NOT_ANNOTATED_LABEL`` for pixels that take
            no part.

    Returns:
        The mean over annotated pixels of -log(probability of the true class), 0 without any, and
        the sums per class.
    """
    fits = logits.shape[1] <= MAX_CLASSES and masks.dtype == torch.uint8
    if fits and logits.requires_grad and kernels_serve(logits):
        cross_entropy, *sums = _Overlap.apply(logits, masks.contiguous())  # type: ignore[no-untyped-call]
        return cross_entropy, ClassOverlap(*sums)
    log_probabilities = logits.float().log_softmax(dim=1)
    total = F.nll_loss(
        log_probabilities, masks.long(), ignore_index=NOT_ANNOTATED_LABEL, reduction="sum"
    )
    cross_entropy = total / (masks != NOT_ANNOTATED_LABEL).sum().clamp(min=1)
    return cross_entropy, ClassOverlap.of(log_probabilities.exp(), masks)


class _Overlap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, masks: Tensor) -> tuple[Tensor, ...]:
        rows = rows_of(channels_last(logits))
        cross_entropy = torch.empty(1, dtype=torch.float64)
        sums = torch.empty(3, rows.shape[1], dtype=torch.float64)
        call_kernel("softmax_sums", rows, rows, masks, *rows.shape, cross_entropy, *sums)
        ctx.save_for_backward(logits, masks)
        ctx.pixels = max(1.0, float(sums[2].sum()))  # every annotated one is of one class
        overlap, predicted, size = sums.float()
        ctx.mark_non_differentiable(size)
        return (cross_entropy[0] / ctx.pixels).float(), overlap, predicted, size

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, entropy: Tensor, overlap: Tensor, predicted: Tensor, _: Tensor) -> Any:
        logits, masks = ctx.saved_tensors
        image = channels_last(logits)
        gradient = torch.empty_like(image)
        rows = rows_of(image)
        per_pixel = ctypes.c_float(float(entropy) / ctx.pixels)
        slopes = (per_pixel, overlap.float().contiguous(), predicted.float().contiguous())
        call_kernel("softmax_backward", rows, rows, masks, *rows.shape, *slopes, gradient)
        return gradient, None
