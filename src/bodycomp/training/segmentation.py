"""The segmentation task: labels on axial slices, judged by Dice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from bodycomp.data.datasets import SampleSet
from bodycomp.networks.losses import segmentation_loss
from bodycomp.report.training_examples import SegmentationCase, write_segmentation_examples
from bodycomp.training.module import TrainingModule
from bodycomp.training.placement import Placement
from bodycomp.training.segmentation_metrics import count_pixels, dice
from bodycomp.training.task import Evaluation, Headline, Pick


class SegmentationModule(TrainingModule):
    """A U-Net in training; a batch is images (B, 1, H, W) and masks uint8 (B, H, W)."""

    has_masks: ClassVar[bool] = True
    headline = Headline("mean Dice", "", 1, 4)

    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the chosen loss of a batch."""
        return segmentation_loss(self.options.loss)(logits, truth)

    def evaluate(self, network: nn.Module, split: SampleSet, place: Placement) -> Evaluation:
        """Return Dice per tissue, over all pixels of the split and as the mean over images.

        Metrics are ``loss``, ``dice_mean`` over tissues, ``dice_<tissue>`` over all pixels, and
        ``image_dice_<tissue>``, the mean over the images that have the tissue.
        """
        tissues = self.card.tissues
        counts = torch.zeros(len(split), len(tissues), 3, dtype=torch.float64)
        losses = torch.zeros(len(split), dtype=torch.float64)
        for indices, logits, masks in place.predictions(network, split):
            counts[indices] = count_pixels(logits.argmax(dim=1), masks, tissues).cpu()
            losses[indices] = float(self.loss(logits, masks))
        counts, losses = place.total(counts), place.total(losses)
        overall, images = dice(counts.sum(dim=0)), dice(counts)
        metrics = {"loss": float(losses.mean()), "dice_mean": _measured(overall.nanmean())}
        for index, tissue in enumerate(tissues):
            metrics[f"dice_{tissue.key}"] = _measured(overall[index])
        for index, tissue in enumerate(tissues):
            metrics[f"image_dice_{tissue.key}"] = _measured(images[:, index].nanmean())
        score = metrics["dice_mean"]
        both, _, real = counts.sum(dim=0).unbind(dim=1)
        return Evaluation(
            metrics,
            -float(losses.mean()) if score is None else score,
            images.nanmean(dim=1),
            tuple(t.key for i, t in enumerate(tissues) if real[i] > 0 and both[i] == 0),
            counts={
                f"image_dice_{tissue.key}": int((~images[:, index].isnan()).sum())
                for index, tissue in enumerate(tissues)
            },
        )

    @torch.no_grad()
    def draw_examples(self, path: Path, network: nn.Module, picks: Sequence[Pick]) -> None:
        """Draw image, truth, prediction and where they differ."""
        tissues, white = self.card.tissues, self.card.preprocessing.input_max
        device = next(network.parameters()).device
        cases = []
        for pick in picks:
            image, mask = self.splits.val[pick.index]
            labels = network(image[None].to(device)).argmax(dim=1).cpu()
            overlap = dice(count_pixels(labels, mask[None], tissues))[0]
            cases.append(
                SegmentationCase(
                    title=pick.title,
                    image=image[0].numpy() / white,
                    truth=mask.numpy(),
                    prediction=labels[0].to(torch.uint8).numpy(),
                    dice={t.key: _measured(overlap[i]) for i, t in enumerate(tissues)},
                )
            )
        write_segmentation_examples(path, cases, tissues)


def _measured(value: Tensor) -> float | None:
    return None if value.isnan() else float(value)
