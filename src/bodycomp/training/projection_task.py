"""Slice selection by whole series, each seen from the front and the side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bodycomp.data.datasets import SampleSet, SliceDataset
from bodycomp.data.projection_set import ProjectionDataset
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.imaging.projection import at_heights
from bodycomp.networks.losses import ordered_cross_entropy
from bodycomp.networks.names import CROSS_ENTROPY, PROJECTION
from bodycomp.report.training_examples import SeriesCase, write_series_examples
from bodycomp.training.slice_selection import SLICES_SHOWN, SliceSelectionTask
from bodycomp.training.steps.evaluation_context import EvaluationContext
from bodycomp.training.task import NONE_DECODED, Pick, Splits
from bodycomp.training.task_options import SliceSelectionOptions


@dataclass(frozen=True)
class ProjectionTask(SliceSelectionTask):
    """Distances from levels; a batch is (B, view, row, column) and mm (B, row, level)."""

    def splits(
        self, preprocessing: Preprocessing, decoded: Mapping[str, str] = NONE_DECODED
    ) -> Splits:
        """Open the tables and project every series."""
        slices = super().splits(preprocessing, decoded)
        test = slices.test
        return replace(
            slices,
            train=self.dataset(cast("SliceDataset", slices.train)),
            val=self.dataset(cast("SliceDataset", slices.val)),
            test=None if test is None else self.dataset(cast("SliceDataset", test)),
        )

    def loss_of(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the chosen loss; the cross entropy is that of all levels together."""
        if self.options.loss == CROSS_ENTROPY:
            return ordered_cross_entropy(logits, targets)
        return super().loss_of(logits, targets)

    def dataset(self, slices: SliceDataset) -> SampleSet:
        """Return the series that slices belong to."""
        return ProjectionDataset(slices, self.options.data_dir)

    def predicted(
        self, network: nn.Module, split: SampleSet, context: EvaluationContext
    ) -> tuple[Tensor, Tensor]:
        """Return (slice, level) logits and true offsets in mm; NaN offsets outside of series."""
        found = cast("ProjectionDataset", split)
        logits = torch.zeros(len(found.split), len(self.options.levels), dtype=torch.float64)
        for indices, batch_logits, _ in context.predictions(network, found):
            for index, rows in zip(indices.tolist(), batch_logits.double().cpu(), strict=True):
                series = found.series[index]
                values = rows[: len(series.offsets_mm)].numpy()
                logits[series.slices] = torch.from_numpy(
                    at_heights(values, series.row_z_mm, series.z_mm)
                )
        offsets = torch.full_like(logits, torch.nan)
        own = np.concatenate([series.slices for series in found.series])
        offsets[own] = torch.from_numpy(found.split.offsets_mm[own]).double()
        return context.ranks.sum(logits), offsets

    def cases_of(self, split: SampleSet, slices: Tensor) -> Tensor:
        """Return the mean of each series' slices."""
        found = cast("ProjectionDataset", split)
        return torch.stack([slices[series.slices].nanmean() for series in found.series])

    @torch.no_grad()
    def draw_examples(
        self, path: Path, network: nn.Module, split: SampleSet, picks: Sequence[Pick]
    ) -> None:
        """Draw series from the front and the side, with true and estimated levels."""
        found, device = cast("ProjectionDataset", split), next(network.parameters()).device
        levels, cases = self.options.levels, []
        for pick in picks:
            image, true_mm = found[pick.index]
            logits = network(image[None].to(device))[0].cpu()
            cases.append(
                SeriesCase(
                    title=pick.title,
                    image=image.numpy(),
                    true_rows=_crossings(true_mm.numpy(), levels),
                    predicted_rows=_crossings(logits.numpy(), levels),
                )
            )
        logits, offsets = self.predicted(network, split, EvaluationContext(device, "32-true", 16))
        shown = slice(0, len(offsets), -(-len(offsets) // SLICES_SHOWN))
        write_series_examples(path, cases, self.estimates(logits[shown], offsets[shown]))


def slice_selection_task(options: SliceSelectionOptions) -> SliceSelectionTask:
    """Return the task of a level finder, by its architecture."""
    kind = ProjectionTask if options.arch == PROJECTION else SliceSelectionTask
    return kind(options)


def _crossings(values: NDArray[np.floating], levels: Sequence[str]) -> dict[str, float]:
    """Return level -> the row where its (row, level) values first rise through 0, if they do."""
    rows = {}
    for level, column in zip(levels, values.T, strict=True):
        rises = np.flatnonzero((column[:-1] < 0) & (column[1:] >= 0))
        if rises.size:
            low = int(rises[0])
            rows[level] = float(low - column[low] / (column[low + 1] - column[low]))
    return rows
