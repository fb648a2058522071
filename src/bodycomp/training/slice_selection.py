"""The slice-selection task: distance of axial slices from vertebral levels, evaluated in mm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bodycomp.analysis.level_verdict import ChoiceOptions
from bodycomp.data.chosen_samples import ChosenSlices
from bodycomp.data.datasets import SampleSet, SliceDataset
from bodycomp.data.gray_cache import BYTES_PER_GB, GrayCache, default_cache_dir
from bodycomp.data.layout import SPLITS, table_path
from bodycomp.data.projection_set import ProjectionDataset
from bodycomp.data.slice_set import SliceSplit, open_slice_split
from bodycomp.imaging.preprocessing import SLICE_SELECTION_PREPROCESSING, Preprocessing
from bodycomp.networks.card import ModelCard
from bodycomp.networks.losses import slice_selection_loss
from bodycomp.networks.model import network_config
from bodycomp.networks.targets import NEAR_MM, offset_to_target, target_to_offset
from bodycomp.progress import StepProgress
from bodycomp.report.training_examples import LevelEstimates, SliceCase, write_slice_examples
from bodycomp.training.slice_metrics import (
    LocatedSeries,
    calibrations_of,
    locate_in_series,
    near_counts,
    offset_metrics,
    series_counts,
    series_metrics,
    view_error_mm,
)
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
from bodycomp.training.task_options import SliceSelectionOptions
from bodycomp.validation.slices import errors_of_a_sample, survey_slice_set

Offsets = NDArray[np.floating]
"""(slice, level) in mm."""

TELLING_ERROR_MM: Final = 10.0

SLICES_SHOWN: Final = 500
"""More validation slices than this would only cover each other in a picture."""


@dataclass(frozen=True)
class SliceSelectionTask(Task):
    """Distances from levels; a batch is images (B, 1, H, W) and offsets in mm (B, level)."""

    headline: ClassVar[Headline] = Headline("mean error", " mm", -1, 2)
    options: SliceSelectionOptions

    def check(self, preprocessing: Preprocessing, progress: StepProgress) -> CheckedData:
        """Read every slice and table, look closely at a sample, and keep decoded slices."""
        survey = survey_slice_set(
            self.options.data_dir,
            levels=self.options.levels,
            size=preprocessing.size,
            cache=self._cache(),
            progress=progress,
        )
        decoded = {name: file.key for name, file in survey.decoded.items()}
        errors = errors_of_a_sample(self.options.data_dir, survey.splits, self.options.levels)
        return CheckedData((*survey.issues, *errors), survey.contents, decoded)

    def files(self) -> list[Path]:
        """Return the tables that are there."""
        tables = (table_path(self.options.data_dir, name) for name in SPLITS)
        return [path for path in tables if path.exists()]

    def whole_splits(
        self, preprocessing: Preprocessing, decoded: Mapping[str, str] = NONE_DECODED
    ) -> Splits:
        """Open the tables; PNG files without decoded slices are decoded when they are needed."""
        folder, levels, cache = self.options.data_dir, self.options.levels, self._cache()

        def dataset(split: SliceSplit) -> SliceDataset:
            key = decoded.get(split.name)
            file = None if key is None else cache.find(key)
            return SliceDataset(split, preprocessing, decoded=file)

        return Splits.opened(lambda name: open_slice_split(folder, name, levels), dataset)

    def chosen(
        self,
        name: str,
        sets: Mapping[str, SampleSet],
        places: Sequence[tuple[str, int]],
        **names: tuple[str, ...] | None,
    ) -> SampleSet:
        """Return slices of several splits as a split of this name."""
        return ChosenSlices(name, cast("Mapping[str, SliceDataset]", sets), places, **names)

    def dataset(self, slices: SliceDataset) -> SampleSet:
        """Return the samples that the network sees, of the slices of a split."""
        return slices

    def _cache(self) -> GrayCache:
        folder = self.options.cache_dir or default_cache_dir()
        return GrayCache(folder, round(self.options.cache_gb * BYTES_PER_GB))

    def card(self) -> ModelCard:
        """Describe the chosen network."""
        values = self.options.network_values() | {
            "num_outputs": len(self.options.levels),
            "activation": self.options.activation,
        }
        if "omit_batch_norm" in values:
            values["batch_norm"] = not values.pop("omit_batch_norm")
        return ModelCard(
            task="slice_selection",
            architecture=self.options.arch,
            config=network_config(self.options.arch, values),
            preprocessing=replace(
                SLICE_SELECTION_PREPROCESSING,
                size=(self.options.image_size, self.options.image_size),
            ),
            levels=self.options.levels,
            target_scale_mm=self.options.threshold,
        )

    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the chosen loss of a batch, over the annotated levels of each slice."""
        targets = offset_to_target(truth.cpu().numpy(), self.options.threshold)
        return self.loss_of(logits, torch.as_tensor(targets, device=logits.device))

    def loss_of(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the chosen loss of logits and targets of the same shape."""
        return slice_selection_loss(self.options.loss)(logits, targets)

    def evaluate(
        self, network: nn.Module, split: SampleSet, context: EvaluationContext
    ) -> Evaluation:
        """Return errors in mm, slice by slice and, if the table names them, series by series.

        Metrics are ``loss``, those of ``slice_metrics`` and ``error_mm``, the mean of
        ``view_error_mm`` over all annotated slices and levels; the score is minus that.
        """
        levels = self.options.levels
        logits, offsets = self.predicted(network, split, context)
        if not logits.isfinite().all():  # there is nothing to be located
            return Evaluation({"loss": torch.nan}, -torch.inf, torch.zeros(len(split)))
        loss = float(self.loss(logits, offsets))
        offsets_mm = offsets.numpy()
        estimated_mm = target_to_offset(torch.sigmoid(logits).numpy(), self.options.threshold)
        metrics = {"loss": loss} | offset_metrics(offsets_mm, estimated_mm, levels)
        located = self._locate(slices_of(split), offsets_mm, estimated_mm)
        metrics |= series_metrics(located)
        errors_mm = torch.from_numpy(view_error_mm(offsets_mm, estimated_mm))
        is_annotated = not errors_mm.isnan().all()
        metrics["error_mm"] = float(errors_mm.nanmean()) if is_annotated else None
        score = -float(errors_mm.nanmean()) if is_annotated else -loss
        return Evaluation(
            metrics,
            score,
            self.cases_of(split, -telling_errors_mm(offsets, errors_mm)),
            counts=near_counts(offsets_mm, levels) | series_counts(located),
            calibrations=calibrations_of(located),
        )

    def predicted(
        self, network: nn.Module, split: SampleSet, context: EvaluationContext
    ) -> tuple[Tensor, Tensor]:
        """Return (slice, level) logits and true offsets in mm, all processes together."""
        logits = torch.zeros(len(split), len(self.options.levels), dtype=torch.float64)
        offsets = torch.zeros_like(logits)
        for indices, batch_logits, batch_offsets in context.predictions(network, split):
            logits[indices] = batch_logits.double().cpu()
            offsets[indices] = batch_offsets.double().cpu()
        return context.ranks.sum(logits), context.ranks.sum(offsets)

    def cases_of(self, split: SampleSet, slices: Tensor) -> Tensor:
        """Return how well each sample did of how well each slice did."""
        del split
        return slices

    def _locate(
        self, split: SliceSplit, offsets_mm: Offsets, estimated_mm: Offsets
    ) -> list[LocatedSeries]:
        """Look for every level in whole series, if the table names them."""
        if split.series is None:
            return []
        series, options = np.asarray(split.series), ChoiceOptions(scale_mm=self.options.threshold)
        return locate_in_series(self.options.levels, offsets_mm, estimated_mm, series, options)

    @torch.no_grad()
    def draw_examples(
        self, path: Path, network: nn.Module, split: SampleSet, picks: Sequence[Pick]
    ) -> None:
        """Draw slices with their true and estimated offset from the level estimated worst."""
        white = split.preprocessing.input_max
        device = next(network.parameters()).device
        cases = []
        for pick in picks:
            image, truth = split[pick.index]
            scores = torch.sigmoid(network(image[None].to(device)))[0].cpu().numpy()
            true_mm = truth.numpy()
            estimated_mm = target_to_offset(scores, self.options.threshold)
            level = int(np.nanargmax(view_error_mm(true_mm, estimated_mm)))
            cases.append(
                SliceCase(
                    title=pick.title,
                    image=image[0].numpy() / white,
                    level=self.options.levels[level],
                    true_offset_mm=float(true_mm[level]),
                    predicted_offset_mm=float(estimated_mm[level]),
                )
            )
        count = len(split)
        shown = range(0, count, -(-count // SLICES_SHOWN))
        context = EvaluationContext(device, "32-true", 16)
        batches = list(context.predictions(network, split, shown))
        logits = torch.cat([logits for _, logits, _ in batches])
        offsets_mm = torch.cat([offsets for _, _, offsets in batches])
        write_slice_examples(path, cases, self.estimates(logits, offsets_mm))

    def estimates(self, logits: Tensor, offsets_mm: Tensor) -> list[LevelEstimates]:
        """Return what the network says of slices, (slice, level), to draw."""
        scores, true_mm = torch.sigmoid(logits).cpu().numpy(), offsets_mm.cpu().numpy()
        estimated_mm = target_to_offset(scores, self.options.threshold)
        is_known = ~np.isnan(true_mm)
        return [
            LevelEstimates(level, true_mm[known, index], estimated_mm[known, index])
            for index, (level, known) in enumerate(
                zip(self.options.levels, is_known.T, strict=True)
            )
        ]


def slices_of(split: SampleSet) -> SliceSplit:
    """Return the table that a data set of slices, or of series of slices, is made of."""
    if not isinstance(split, SliceDataset | ProjectionDataset):
        raise TypeError(f"expected slices or series, found {type(split).__name__}")
    return split.split


def telling_errors_mm(offsets_mm: Tensor, errors_mm: Tensor) -> Tensor:
    """Return (slice,) mean errors over levels, NaN for slices that tell little.

    Those are far from every level and taken for far, as most slices of a scan. Offsets and errors
    are (slice, level), NaN where not annotated; errors those of ``view_error_mm``.
    """
    means = errors_mm.nanmean(dim=1)
    is_near = (offsets_mm.abs() <= NEAR_MM).any(dim=1)
    return torch.where(is_near | (means > TELLING_ERROR_MM), means, torch.nan)
