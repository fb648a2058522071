"""What a training knows of its model by itself, for the model's card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bodycomp.agreement.intervals import wilson_interval
from bodycomp.data.chosen_samples import ChosenSamples
from bodycomp.data.datasets import SampleSet, SliceDataset
from bodycomp.data.folds import FOLD_SPLITS
from bodycomp.data.manifest import Manifest, read_manifest
from bodycomp.data.projection_set import ProjectionDataset
from bodycomp.errors import TrainingSetError
from bodycomp.networks.card_description import (
    KIND_WORDS,
    Metric,
    MetricTable,
    ModelDescription,
    ModelWords,
    SplitSize,
    Task,
    TrainingData,
)
from bodycomp.networks.confidence_calibration import ConfidenceCalibration
from bodycomp.preparation.source_record import source_words
from bodycomp.training.manifest import software_versions
from bodycomp.training.task import Evaluation, Splits

VALIDATION_SERIES: Final = (
    "the validation series of the training, by which its best epoch was chosen"
)
INTERVALS: Final = (
    "Intervals here are those of shares of series (Wilson, 95 %); bodycomp evaluate makes all."
)
CHOSEN_BY: Final = "The best epoch was chosen by these, so that they flatter the model a little."
TITLES: Final = {"validation": "Validation split", "test": "Test split"}
SHARE: Final = "found_"
"""Beginning of metrics that are shares of series."""

NOT_SHOWN: Final = frozenset({"loss"})


def described(task: Task, splits: Splits, data_dir: Path, digest: str) -> ModelDescription:
    """Return the description of a model that is about to be trained."""
    try:
        manifest = read_manifest(data_dir)
    except TrainingSetError:  # validation says what is wrong with it; here it says nothing
        manifest = None
    named = {"train": splits.train, "val": splits.val, "test": splits.test}

    def is_fold(name: str) -> bool:
        return splits.folds is not None and name in FOLD_SPLITS

    sizes = {
        name: _size(split, None if manifest is None or is_fold(name) else manifest.of(name))
        for name, split in named.items()
        if split is not None
    }
    return ModelDescription(
        words=KIND_WORDS[task].overlaid(ModelWords(training_data=source_words(data_dir))),
        data=TrainingData(digest, sizes),
        software=software_versions(),
    )


def metric_table(key: str, evaluation: Evaluation, data: TrainingData | None) -> MetricTable:
    """Return an evaluation as a table of the card."""
    size = None if data is None else data.splits.get("val" if key == "validation" else key)
    size = size or SplitSize(len(evaluation.cases))
    metrics = tuple(
        _metric(name, value, evaluation.counts.get(name), size)
        for name, value in evaluation.metrics.items()
        if name not in NOT_SHOWN
    )
    notes = (INTERVALS, CHOSEN_BY) if key == "validation" else (INTERVALS,)
    return MetricTable(
        key=key,
        title=TITLES[key],
        source=f"{size.slices} slices of the training set's own split",
        metrics=metrics,
        data_digest="" if data is None else data.digest,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=notes,
    )


def _metric(name: str, value: float | None, count: int | None, size: SplitSize) -> Metric:
    """Return one number; ``count`` is None where it is made of all slices of the split."""
    metric = Metric(
        name,
        value,
        unit=_unit(name),
        cases=size.slices if count is None else count,
        patients=size.patients if count is None else None,
        reason="" if value is not None else "nothing of it in this split",
    )
    if value is None or not count or not name.startswith(SHARE):
        return metric
    found = wilson_interval(round(value * count), count)
    return replace(metric, low=found.low, high=found.high)


def confidence_of_validation(evaluation: Evaluation) -> ConfidenceCalibration | None:
    """Return the calibration that the validation series give; None without enough of them."""
    if not evaluation.calibrations:
        return None
    return ConfidenceCalibration(VALIDATION_SERIES, evaluation.calibrations)


def _size(split: SampleSet, manifest: Manifest | None) -> SplitSize:
    columns: Mapping[str, tuple[str, ...] | None] = {}
    slices = len(split)
    if isinstance(split, ChosenSamples):
        columns = {"patient": split.patient, "series": split.series}
    if isinstance(split, SliceDataset | ProjectionDataset):
        slices = len(split.split)
        columns = {"patient": split.split.patient, "series": split.split.series}
    if manifest is not None and len(manifest) == slices:
        known = {"patient": "patient", "series": "series_instance_uid"}
        columns = {
            key: manifest.texts(name) if name in manifest else columns.get(key)
            for key, name in known.items()
        }
    return SplitSize(
        slices, series=_number(columns.get("series")), patients=_number(columns.get("patient"))
    )


def _number(names: tuple[str, ...] | None) -> int | None:
    """Return how many there are; None where a sample has no name."""
    return len(set(names)) if names and all(names) else None


def _unit(name: str) -> str:
    return "mm" if "error_mm" in name or name.startswith("mae_mm") else "1"
