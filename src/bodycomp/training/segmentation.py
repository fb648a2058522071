"""The segmentation task: labels on axial slices, evaluated by Dice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from bodycomp.anatomy import (
    NOT_ANNOTATED_LABEL,
    OPEN_ABOVE,
    Tissue,
    may_be,
)
from bodycomp.data.datasets import SampleSet, SegmentationDataset
from bodycomp.data.label_declaration import LabelDeclaration, read_declaration
from bodycomp.data.layout import segmentation_files
from bodycomp.data.segmentation_set import SegmentationSplit, open_segmentation_split
from bodycomp.errors import TrainingSetError
from bodycomp.imaging.preprocessing import SEGMENTATION_PREPROCESSING, Preprocessing
from bodycomp.networks.card import ModelCard
from bodycomp.networks.losses import segmentation_loss
from bodycomp.networks.model import network_config
from bodycomp.progress import StepProgress
from bodycomp.report.training_examples import SegmentationCase, write_segmentation_examples
from bodycomp.training.steps.evaluation_context import EvaluationContext
from bodycomp.training.task import (
    NONE_DECODED,
    CheckedData,
    Evaluation,
    Headline,
    Pick,
    Splits,
    Task,
)
from bodycomp.training.task_options import SegmentationOptions
from bodycomp.validation.segmentation import check_before_training, never_labeled


@dataclass(frozen=True)
class SegmentationTask(Task):
    """Masks of tissues; a batch is images (B, 1, H, W) and masks uint8 (B, H, W)."""

    headline: ClassVar[Headline] = Headline("mean Dice", "", 1, 4)
    options: SegmentationOptions

    @property
    def tissues(self) -> tuple[Tissue, ...]:
        """What is labelled."""
        return self.options.labeled_tissues

    @cached_property
    def has_partial_labels(self) -> bool:
        """Whether the set says that samples were labeled for some tissues only."""
        declared = read_declaration(self.options.data_dir)
        return isinstance(declared, LabelDeclaration) and bool(declared.labeled)

    def check(self, preprocessing: Preprocessing, progress: StepProgress) -> CheckedData:
        """Read every image and mask, and look closely at a sample."""
        del preprocessing
        issues = check_before_training(
            self.options.data_dir,
            tissues=self.tissues,
            allow_scaled=self.options.allow_scaled_images,
            progress=progress,
        )
        return CheckedData(issues)

    def files(self) -> list[Path]:
        """Return the arrays that are there, and what declares their labels."""
        return segmentation_files(self.options.data_dir)

    def whole_splits(
        self, preprocessing: Preprocessing, decoded: Mapping[str, str] = NONE_DECODED
    ) -> Splits:
        """Map the arrays."""
        del decoded

        def dataset(split: SegmentationSplit) -> SegmentationDataset:
            return SegmentationDataset(split, preprocessing)

        return Splits.opened(
            lambda name: open_segmentation_split(self.options.data_dir, name, self.tissues),
            dataset,
        )

    def chosen(
        self,
        name: str,
        sets: Mapping[str, SampleSet],
        places: Sequence[tuple[str, int]],
        **names: tuple[str, ...] | None,
    ) -> SampleSet:
        """Choose samples, to train on some that were labeled for each tissue.

        Raises:
            TrainingSetError: None was.
        """
        backgrounds = [
            own.split.backgrounds[index]
            for split, index in places
            if isinstance(own := sets[split], SegmentationDataset) and own.split.backgrounds
        ]
        is_partial = name == "train" and len(backgrounds) == len(places)
        for tissue in never_labeled(backgrounds, self.tissues) if is_partial else ():
            raise TrainingSetError(
                f"expected samples labeled for {tissue.title.lower()} outside each fold, found "
                f"none outside fold {self.options.fold}",
                hint="Use fewer folds, or add patients that were labeled for it.",
            )
        return super().chosen(name, sets, places, **names)

    def card(self) -> ModelCard:
        """Describe the chosen network."""
        values = self.options.network_values() | {
            "num_classes": self.tissues[-1].label + 1,
            "activation": self.options.activation,
        }
        return ModelCard(
            task="segmentation",
            architecture=self.options.arch,
            config=network_config(self.options.arch, values),
            preprocessing=SEGMENTATION_PREPROCESSING,
            tissues=self.tissues,
            hu_ranges=self.options.hu_ranges,
            copies=self.options.copies,
        )

    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the chosen loss of a batch."""
        return segmentation_loss(self.options.loss, marginal=self.has_partial_labels)(logits, truth)

    def evaluate(
        self, network: nn.Module, split: SampleSet, context: EvaluationContext
    ) -> Evaluation:
        """Return Dice per tissue, over all pixels of the split and as the mean over images.

        Metrics are ``loss``, ``dice_mean`` over tissues, ``dice_<tissue>`` over all pixels, and
        ``image_dice_<tissue>``, the mean over the images that have the tissue. Images in which a
        tissue was not labeled do not count for it.
        """
        tissues = self.tissues
        counts = torch.zeros(len(split), len(tissues), 3, dtype=torch.float64)
        losses = torch.zeros(len(split), dtype=torch.float64)
        for indices, logits, masks in context.predictions(network, split):
            counts[indices] = count_pixels(logits.argmax(dim=1), masks, tissues).cpu()
            losses[indices] = float(self.loss(logits, masks))
        counts, losses = context.ranks.sum(counts), context.ranks.sum(losses)
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
    def draw_examples(
        self, path: Path, network: nn.Module, split: SampleSet, picks: Sequence[Pick]
    ) -> None:
        """Draw image, truth, prediction and where they differ."""
        tissues, white = self.tissues, split.preprocessing.input_max
        device = next(network.parameters()).device
        cases = []
        for pick in picks:
            image, mask = split[pick.index]
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


def count_pixels(predicted: Tensor, truth: Tensor, tissues: tuple[Tissue, ...]) -> Tensor:
    """Count what Dice is made of.

    Args:
        predicted: (B, H, W) integer labels.
        truth: The same; pixels with ``NOT_ANNOTATED_LABEL`` are not counted in either. A tissue
            that was not labeled in a sample has no pixel there, in neither.
        tissues: The tissues to count.

    Returns:
        (B, tissue, 3) float64: pixels in both, predicted pixels, true pixels.
    """
    counts = []
    known = truth != NOT_ANNOTATED_LABEL
    is_open = (truth > OPEN_ABOVE) & known
    has_partial_labels = bool(is_open.any())
    for tissue in tissues:
        found, real = tissue.of(predicted) & known, tissue.of(truth)
        if has_partial_labels:
            found &= ~(is_open & may_be(truth, tissue)).any(dim=(1, 2), keepdim=True)
        counts.append(torch.stack([x.sum(dim=(1, 2)) for x in (found & real, found, real)], dim=1))
    return torch.stack(counts, dim=1).double()


def dice(counts: Tensor) -> Tensor:
    """Turn (..., 3) pixel counts into (...) Dice, NaN where neither mask has a pixel.

    >>> dice(torch.tensor([[3.0, 4.0, 4.0], [0.0, 0.0, 0.0]]))
    tensor([0.7500,    nan])
    """
    return 2 * counts[..., 0] / (counts[..., 1] + counts[..., 2])
