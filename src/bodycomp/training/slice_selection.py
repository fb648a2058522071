"""The slice-selection task: distance of axial slices from vertebral levels, judged in mm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bodycomp.analysis.level_verdict import ChoiceOptions
from bodycomp.data.datasets import SampleSet, SliceDataset
from bodycomp.networks.losses import slice_selection_loss
from bodycomp.networks.targets import NEAR_MM, offset_to_target, target_to_offset
from bodycomp.report.training_examples import LevelEstimates, SliceCase, write_slice_examples
from bodycomp.training.located_series import (
    LocatedSeries,
    calibrations_of,
    locate_in_series,
)
from bodycomp.training.module import TrainingModule
from bodycomp.training.placement import Placement
from bodycomp.training.slice_metrics import (
    near_counts,
    offset_metrics,
    series_counts,
    series_metrics,
    view_error_mm,
)
from bodycomp.training.task import Evaluation, Headline, Pick

Offsets = NDArray[np.floating]
"""(slice, level) in mm."""

TELLING_ERROR_MM: Final = 10.0

SLICES_SHOWN: Final = 500
"""More validation slices than this would only cover each other in a picture."""


class SliceSelectionModule(TrainingModule):
    """A DenseNet in training; a batch is images (B, 1, H, W) and offsets in mm (B, level)."""

    headline = Headline("mean error", " mm", -1, 2)

    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the chosen loss of a batch, over the annotated levels of each slice."""
        targets = offset_to_target(truth.cpu().numpy(), self._scale_mm)
        return slice_selection_loss(self.options.loss)(
            logits, torch.as_tensor(targets, device=logits.device)
        )

    def evaluate(self, network: nn.Module, split: SampleSet, place: Placement) -> Evaluation:
        """Return errors in mm, slice by slice and, if the table names them, series by series.

        Metrics are ``loss``, those of ``slice_metrics`` and ``error_mm``, the mean of
        ``view_error_mm`` over all annotated slices and levels; the score is minus that.
        """
        levels = self.card.levels
        logits = torch.zeros(len(split), len(levels), dtype=torch.float64)
        offsets = torch.zeros(len(split), len(levels), dtype=torch.float64)
        for indices, batch_logits, batch_offsets in place.predictions(network, split):
            logits[indices] = batch_logits.double().cpu()
            offsets[indices] = batch_offsets.double().cpu()
        logits, offsets = place.total(logits), place.total(offsets)
        if not logits.isfinite().all():  # there is nothing to be located
            return Evaluation({"loss": torch.nan}, -torch.inf, torch.zeros(len(split)))
        loss = float(self.loss(logits, offsets))
        offsets_mm = offsets.numpy()
        estimated_mm = target_to_offset(torch.sigmoid(logits).numpy(), self._scale_mm)
        metrics = {"loss": loss} | offset_metrics(offsets_mm, estimated_mm, levels)
        located = self._locate(split, offsets_mm, estimated_mm)
        metrics |= series_metrics(located)
        errors_mm = torch.from_numpy(view_error_mm(offsets_mm, estimated_mm))
        is_annotated = not errors_mm.isnan().all()
        metrics["error_mm"] = float(errors_mm.nanmean()) if is_annotated else None
        score = -float(errors_mm.nanmean()) if is_annotated else -loss
        return Evaluation(
            metrics,
            score,
            -telling_errors_mm(offsets, errors_mm),
            counts=near_counts(offsets_mm, levels) | series_counts(located),
            calibrations=calibrations_of(located),
        )

    def _locate(
        self, split: SampleSet, offsets_mm: Offsets, estimated_mm: Offsets
    ) -> list[LocatedSeries]:
        """Look for every level in whole series, if the table names them."""
        if not (isinstance(split, SliceDataset) and split.split.series is not None):
            return []
        series, options = np.asarray(split.split.series), ChoiceOptions(scale_mm=self._scale_mm)
        return [
            locate_in_series(level, offsets_mm[:, column], estimated_mm[:, column], series, options)
            for column, level in enumerate(self.card.levels)
        ]

    @torch.no_grad()
    def draw_examples(self, path: Path, network: nn.Module, picks: Sequence[Pick]) -> None:
        """Draw slices with their true and estimated offset from the level judged worst."""
        white = self.card.preprocessing.input_max
        device = next(network.parameters()).device
        cases = []
        for pick in picks:
            image, truth = self.splits.val[pick.index]
            scores = torch.sigmoid(network(image[None].to(device)))[0].cpu().numpy()
            true_mm = truth.numpy()
            estimated_mm = target_to_offset(scores, self._scale_mm)
            level = int(np.nanargmax(view_error_mm(true_mm, estimated_mm)))
            cases.append(
                SliceCase(
                    title=pick.title,
                    image=image[0].numpy() / white,
                    level=self.card.levels[level],
                    true_offset_mm=float(true_mm[level]),
                    predicted_offset_mm=float(estimated_mm[level]),
                )
            )
        write_slice_examples(path, cases, self._estimates(network, device))

    def _estimates(self, network: nn.Module, device: torch.device) -> list[LevelEstimates]:
        """Return what the network says of validation slices, at most ``SLICES_SHOWN`` of them."""
        split = self.splits.val
        count = len(split)
        shown = range(0, count, -(-count // SLICES_SHOWN))
        place = Placement(device=device, precision="32-true", batch_size=16)
        batches = list(place.predictions(network, split, shown))
        scores = torch.sigmoid(torch.cat([logits for _, logits, _ in batches])).cpu().numpy()
        true_mm = torch.cat([offsets for _, _, offsets in batches]).cpu().numpy()
        estimated_mm = target_to_offset(scores, self._scale_mm)
        is_known = ~np.isnan(true_mm)
        return [
            LevelEstimates(level, true_mm[known, index], estimated_mm[known, index])
            for index, (level, known) in enumerate(zip(self.card.levels, is_known.T, strict=True))
        ]

    @property
    def _scale_mm(self) -> float:
        if self.card.target_scale_mm is None:
            raise TypeError("a slice-selection card has a target scale")
        return self.card.target_scale_mm


def telling_errors_mm(offsets_mm: Tensor, errors_mm: Tensor) -> Tensor:
    """Return (slice,) mean errors over levels, NaN for slices that tell little.

    Those are far from every level and taken for far, as most slices of a scan.

    Args:
        offsets_mm: (slice, level) true offsets, NaN where not annotated.
        errors_mm: (slice, level) of ``view_error_mm``.
    """
    means = errors_mm.nanmean(dim=1)
    is_near = (offsets_mm.abs() <= NEAR_MM).any(dim=1)
    return torch.where(is_near | (means > TELLING_ERROR_MM), means, torch.nan)
