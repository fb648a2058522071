"""A model's confidence, calibrated on the series of a training set that it did not learn from."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bodycomp.analysis.confidence_fit import FEWEST_SERIES
from bodycomp.analysis.inference import resolve_device
from bodycomp.data.datasets import SliceDataset
from bodycomp.data.layout import SERIES_COLUMN, SPLITS
from bodycomp.data.slice_set import SliceSplit, open_slice_split
from bodycomp.errors import ModelError, TrainingSetError, UsageError
from bodycomp.networks.checkpoint import load_model
from bodycomp.networks.confidence_calibration import ConfidenceCalibration
from bodycomp.networks.ensemble import architectures_of
from bodycomp.training.projection_task import slice_selection_task
from bodycomp.training.steps.evaluation_context import EvaluationContext
from bodycomp.training.task_options import SliceSelectionOptions

log = logging.getLogger(__name__)

BATCH_SIZE: Final = 16
DEFAULT_SPLIT: Final = "val"


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Series that a model did not learn from.

    Attributes:
        data_dir: A slice-selection training set whose tables name series.
        split: Which of its splits.
    """

    data_dir: Path
    split: str = DEFAULT_SPLIT


def parse_held_out(text: str) -> HeldOut:
    """Return what ``SET`` or ``SET:SPLIT`` names.

    >>> parse_held_out("scans/set:test")
    HeldOut(data_dir=PosixPath('scans/set'), split='test')
    """
    folder, colon, split = text.rpartition(":")
    if colon and split in SPLITS:
        return HeldOut(Path(folder), split)
    return HeldOut(Path(text))


def calibrate_confidence(
    model_path: Path, held_out: HeldOut, *, device: str = "auto"
) -> ConfidenceCalibration:
    """Fit the confidence of a slice-selection model to series that it did not learn from.

    Raises:
        ModelError: There is no slice-selection model.
        TrainingSetError: The set breaks its format, names no series, or has too few.
        UsageError: The device is not there.
    """
    model = load_model(model_path, task="slice_selection")
    card = model.card
    if card.target_scale_mm is None:
        raise ModelError(f"{model_path}: the model's card has no scale")
    split = _open(held_out, card.levels)
    context = EvaluationContext(resolve_device(device), "32-true", BATCH_SIZE)
    network = model.network.to(context.device)
    place, scale_mm = held_out.data_dir, card.target_scale_mm
    options = SliceSelectionOptions(
        data_dir=place,
        output_dir=place,
        arch=architectures_of(card)[0],
        levels=card.levels,
        threshold=scale_mm,
    )
    task = slice_selection_task(options)
    samples = task.dataset(SliceDataset(split, card.preprocessing))
    evaluated = task.evaluate(network, samples, context)
    made = evaluated.calibrations
    if not made:
        raise TrainingSetError(
            f"{held_out.data_dir}: expected at least {FEWEST_SERIES} series in {held_out.split} in "
            f"which the model finds {', '.join(card.levels)}, found fewer",
            hint="Take a set of more patients.",
        )
    source = f"held-out series that a user named (split {held_out.split} of a set)"
    return ConfidenceCalibration(source, made)


def _open(held_out: HeldOut, levels: tuple[str, ...]) -> SliceSplit:
    if held_out.split == "train":
        log.warning("series that the model was trained on make its confidence too high")
    split = open_slice_split(held_out.data_dir, held_out.split, levels)
    if split is None:
        raise UsageError(f"{held_out.data_dir} has no split {held_out.split}")
    if split.series is None:
        raise TrainingSetError(
            f"{held_out.data_dir}: expected a column {SERIES_COLUMN} in "
            f"meta/{held_out.split}.csv, found none",
            hint="Levels are located in whole series; 'bodycomp prepare' names them.",
        )
    return split
