"""What training minimises: segmentation losses on masks, slice-selection losses on targets.

Segmentation: logits (B, C, H, W), masks (B, H, W) of integer labels 0..C-1; 0 is background, and
pixels with ``NOT_ANNOTATED_LABEL`` take no part. Marginal losses also take the labels of
``background_or``, of samples in which not all tissues were labeled. Slice selection: logits (B, L),
targets (B, L) in [0, 1], NaN where a level was not annotated, which takes no part; of whole series
(B, R, L), a value per row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor

from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    ALL_TISSUES,
    NOT_ANNOTATED_LABEL,
    OPEN_ABOVE,
    may_be,
)
from bodycomp.errors import UsageError
from bodycomp.imaging.label_map import folded

DICE_SMOOTH: Final = 1.0
"""Pixels added to both sides of the Dice quotient, so that an absent class scores 1."""


@dataclass(frozen=True, eq=False)
class ClassOverlap:
    """Sums over all annotated pixels of a batch, (C,) each.

    Attributes:
        overlap: Sum of a class's probability where it is true.
        predicted: Sum of its probability.
        size: Pixels where it is true.
    """

    overlap: Tensor
    predicted: Tensor
    size: Tensor

    @classmethod
    def of(
        cls, probabilities: Tensor, masks: Tensor, is_open: Sequence[Tensor] | None = None
    ) -> Self:
        """Compare (B, C, H, W) probabilities with (B, H, W) integer labels.

        ``is_open`` says for each class where nobody said whether a pixel is of it; without it, that
        is where pixels are not annotated.
        """
        overlaps, predicted, sizes = [], [], []
        known = (masks != NOT_ANNOTATED_LABEL).to(probabilities.dtype)
        for label in range(probabilities.shape[1]):
            member = (masks == label).to(probabilities.dtype)
            of_class = known if is_open is None else ~is_open[label]
            overlaps.append((probabilities[:, label] * member).sum())
            predicted.append((probabilities[:, label] * of_class).sum())
            sizes.append(member.sum())
        return cls(torch.stack(overlaps), torch.stack(predicted), torch.stack(sizes))


def softmax_overlap(logits: Tensor, masks: Tensor) -> tuple[Tensor, ClassOverlap]:
    """Compare softmax(logits), of any floating-point type, with masks; in float32.

    Returns:
        The mean over annotated pixels of -log(probability of the true class), 0 without any, and
        the sums per class.
    """
    log_probabilities = logits.float().log_softmax(dim=1)
    total = F.nll_loss(
        log_probabilities, masks.long(), ignore_index=NOT_ANNOTATED_LABEL, reduction="sum"
    )
    cross_entropy = total / (masks != NOT_ANNOTATED_LABEL).sum().clamp(min=1)
    return cross_entropy, ClassOverlap.of(log_probabilities.exp(), masks)


def marginal_overlap(logits: Tensor, masks: Tensor) -> tuple[Tensor, ClassOverlap]:
    """Compare softmax(logits) with masks that may hold labels of ``background_or``, in uint8.

    Where the background may hide tissues, their probabilities and the background's are summed: the
    marginal loss of X. Fang and P. Yan (IEEE Trans Med Imaging 39, 3619, 2020) and G. Shi et al.
    (Med Image Anal 70, 101979, 2021). The sums per class leave out pixels of which nobody said
    whether they are of the class. With other masks all is as ``softmax_overlap`` gives it, but for
    rounding.
    """
    log_probabilities = logits.float().log_softmax(dim=1)
    tissues = ALL_TISSUES[: logits.shape[1] - 1]
    is_open = [masks > OPEN_ABOVE, *(may_be(masks, tissue) for tissue in tissues)]
    possible = torch.stack([(masks == n) | each for n, each in enumerate(is_open)], dim=1)
    marginal = log_probabilities.masked_fill(~possible, -torch.inf).logsumexp(dim=1)
    known = masks != NOT_ANNOTATED_LABEL
    cross_entropy = -torch.where(known, marginal, 0).sum() / known.sum().clamp(min=1)
    return cross_entropy, ClassOverlap.of(log_probabilities.exp(), masks, is_open)


def soft_dice(found: ClassOverlap, *, smooth: float = DICE_SMOOTH) -> Tensor:
    """Return (C,) in (0, 1]: the soft Dice of every class over all annotated pixels of the batch.

    ``(2 * sum(p * t) + smooth) / (sum(p) + sum(t) + smooth)``.
    """
    return (2 * found.overlap + smooth) / (found.predicted + found.size + smooth)


Overlap = Callable[[Tensor, Tensor], tuple[Tensor, ClassOverlap]]


def negative_dice_sum(
    logits: Tensor, masks: Tensor, *, overlap: Overlap = softmax_overlap
) -> Tensor:
    """Return minus the sum of the soft Dice of all tissues, the loss of the earlier implementation.

    In [1 - C, 0).
    """
    _, found = overlap(logits, masks)
    return -soft_dice(found)[1:].sum()


def dice_cross_entropy(
    logits: Tensor, masks: Tensor, *, overlap: Overlap = softmax_overlap
) -> Tensor:
    """Return mean cross-entropy plus 1 minus the mean soft Dice of the tissues, at least 0.

    Cross-entropy gives every pixel a gradient from the first step on, Dice weighs small tissues
    like large ones.
    """
    cross_entropy, found = overlap(logits, masks)
    return cross_entropy + 1 - soft_dice(found)[1:].mean()


def masked_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy between sigmoid(logits) and soft targets.

    0 with zero gradient if nothing is annotated.
    """
    known = ~targets.isnan()
    losses = F.binary_cross_entropy_with_logits(
        logits.float(), targets.float().nan_to_num(0.0), reduction="none"
    )
    return _masked_mean(losses, known)


def masked_absolute_error(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of |sigmoid(logits) - target|, the loss of the earlier implementation."""
    known = ~targets.isnan()
    losses = (logits.float().sigmoid() - targets.float().nan_to_num(0.0)).abs()
    return _masked_mean(losses, known)


def _masked_mean(losses: Tensor, known: Tensor) -> Tensor:
    """Return the mean over ``known``; a product, not indexing, so that shapes stay static."""
    return (losses * known).sum() / known.sum().clamp(min=1)


Loss = Callable[[Tensor, Tensor], Tensor]

_SEGMENTATION: Final[dict[str, Loss]] = {
    "dice_cross_entropy": dice_cross_entropy,
    "negative_dice_sum": negative_dice_sum,
}
_MARGINAL: Final[dict[str, Loss]] = {
    "dice_cross_entropy": partial(dice_cross_entropy, overlap=marginal_overlap),
    "negative_dice_sum": partial(negative_dice_sum, overlap=marginal_overlap),
}
_SLICE_SELECTION: Final[dict[str, Loss]] = {
    "cross_entropy": masked_cross_entropy,
    "absolute_error": masked_absolute_error,
}


def segmentation_loss(name: str = "dice_cross_entropy", *, marginal: bool = False) -> Loss:
    """Return the loss called ``name`` (``names.SEGMENTATION_LOSSES``) of logits and masks.

    ``marginal`` for sets with samples that were labeled for some tissues only. Of more than three
    tissues it is the mean of the loss of all and of that of the three, groups of muscle summed, so
    that what divides muscle does not take from muscle.
    """
    loss = _named(_MARGINAL if marginal else _SEGMENTATION, name)

    def of_both(logits: Tensor, masks: Tensor) -> Tensor:
        if logits.shape[1] <= 1 + len(ABDOMINAL_TISSUES):
            return loss(logits, masks)
        return 0.5 * (loss(logits, masks) + loss(*of_three(logits, masks)))

    return of_both


def of_three(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits and masks of background and the three tissues, by those of more.

    The softmax of the logits is the sum of the probabilities of what becomes one.
    """
    classes = torch.from_numpy(folded(np.arange(256, dtype=np.uint8), ABDOMINAL_TISSUES))
    parts = classes[: logits.shape[1]].tolist()
    own = [[n for n, part in enumerate(parts) if part == label] for label in range(4)]
    coarse = [logits[:, among].float().logsumexp(dim=1) for among in own]
    return torch.stack(coarse, dim=1), classes.to(masks.device)[masks.long()]


def slice_selection_loss(name: str = "cross_entropy") -> Loss:
    """Return the loss called ``name`` (``names.SLICE_SELECTION_LOSSES``) of logits and targets."""
    return _named(_SLICE_SELECTION, name)


def ordered_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross entropy of the parts that ordered levels share the body into.

    A row lies in one part: above the first level, between two levels, or below the last. Unlike
    the cross entropy of each level alone, its gradient leads straight to the right part, however
    improbable a network holds it.

    Args:
        logits: (..., L), that a row lies above each level, ascending from head to feet.
        targets: (..., L) in [0, 1], the same; NaN where a level was not annotated.

    Returns:
        The mean over rows with an annotated level, in nats; 0 without any.
    """
    logits, targets = logits.flatten(0, -2), targets.flatten(0, -2)
    known = ~targets.isnan()
    total, count = logits.sum() * 0, 0
    for pattern in dict.fromkeys(map(tuple, known.tolist())):
        annotated = torch.tensor(pattern, device=known.device)
        if annotated.any():
            rows = (known == annotated).all(dim=1)
            above = targets[rows][:, annotated]
            ends = above.new_zeros(len(above), 1)
            parts = torch.cat([ends, above, ends + 1], 1).diff(dim=1).clamp(min=0)
            total = total - (parts * _log_parts(logits[rows][:, annotated])).sum()
            count += len(above)
    return total / max(count, 1)


SMALLEST_STEP: Final = 1e-6
"""Logits of neighboring levels that differ by less leave a part nothing in 32 bits."""


def _log_parts(above: Tensor) -> Tensor:
    """Return the logarithms of the parts' probabilities, (N, L + 1), of ascending logits (N, L).

    sigmoid(u) - sigmoid(v) = sigmoid(u) sigmoid(-v) (1 - exp(v - u)) keeps its digits far away.
    """
    step = above.diff(dim=1).clamp(min=SMALLEST_STEP)
    first, rest = F.logsigmoid(above), F.logsigmoid(-above)
    between = first[:, 1:] + rest[:, :-1] + torch.log(-torch.expm1(-step))
    return torch.cat([first[:, :1], between, rest[:, -1:]], dim=1)


def _named(losses: dict[str, Loss], name: str) -> Loss:
    if name not in losses:
        raise UsageError(f"unknown loss {name!r}", hint=f"Known losses: {', '.join(losses)}.")
    return losses[name]
