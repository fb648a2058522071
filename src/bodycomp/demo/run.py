"""The steps of the demo, in order, with the time that each one took."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bodycomp.analysis.loading import SEGMENTATION_FOLDER, SLICE_SELECTION_FOLDER
from bodycomp.cohort import CohortOptions, read_truth, write_cohort
from bodycomp.cohort.patient import DICOM_FOLDER
from bodycomp.demo.comparison import Agreement, compare
from bodycomp.demo.options import DemoOptions
from bodycomp.demo.summary import SUMMARY_NAME, write_summary
from bodycomp.storage import refuse_existing
from bodycomp.study import AnalyzeOptions, analyze_inputs
from bodycomp.study.options import StudyProgress
from bodycomp.training.fit import train_segmentation, train_slice_selection
from bodycomp.training.options import SegmentationOptions, SliceSelectionOptions

log = logging.getLogger(__name__)

COHORT_FOLDER: Final = "phantom"
MODELS_FOLDER: Final = "models"
RESULTS_FOLDER: Final = "results"

ANALYSIS_MINUTES: Final = 1.5
"""Kept back from the trainings for the analysis of the test patients and for pictures."""

SEGMENTATION_SHARE: Final = 0.6
"""Share of the training time that the U-Net gets; its images have four times the pixels."""

SMALLEST_TRAINING_MINUTES: Final = 1.0


@dataclass(frozen=True, slots=True)
class DemoProgress:
    """Opens a bar for a step that shows none of its own.

    Attributes:
        patients: Number of patients -> bar of the cohort, told after each patient.
        study: Bar of the analysis.
    """

    patients: Callable[[int], AbstractContextManager[Callable[[int], None]]]
    study: Callable[[], AbstractContextManager[StudyProgress]]


def run_demo(options: DemoOptions, progress: DemoProgress) -> Agreement:
    """Make a cohort, train both networks, measure the test patients, compare with the truth.

    Everything lands in ``options.folder``: ``phantom/``, ``models/``, ``results/`` and
    ``summary.json``. What a step has finished stays if a later one fails.

    Raises:
        OutputError: The folder has content and ``overwrite`` is off.
    """
    began = time.monotonic()
    folder = options.folder
    _clear(folder, overwrite=options.overwrite)
    cohort, models = folder / COHORT_FOLDER, folder / MODELS_FOLDER
    count = sum(options.patients)
    _say(began, f"1/4 {count} synthetic patients")
    with progress.patients(count) as advance:
        write_cohort(CohortOptions(cohort, count, options.seed, options.patients), progress=advance)
    minutes = options.training_minutes or max(
        SMALLEST_TRAINING_MINUTES,
        options.total_minutes - (time.monotonic() - began) / 60 - ANALYSIS_MINUTES,
    )
    _say(began, f"2/4 segmentation network, {minutes * SEGMENTATION_SHARE:.1f} minutes")
    train_segmentation(segmentation_options(options, cohort, models, minutes))
    _say(began, f"3/4 slice-selection network, {minutes * (1 - SEGMENTATION_SHARE):.1f} minutes")
    train_slice_selection(slice_selection_options(options, cohort, models, minutes))
    _say(began, f"4/4 analysis of {options.patients[2]} other patients from their DICOM files")
    truths = [truth for truth in read_truth(cohort) if truth.split == "test"]
    inputs = tuple(cohort / DICOM_FOLDER / truth.patient for truth in truths)
    analysis = AnalyzeOptions(inputs=inputs, models_dir=models, out_dir=folder / RESULTS_FOLDER)
    with progress.study() as show:
        report = analyze_inputs(analysis, show)
    agreement = compare(cohort, truths, report, models)
    write_summary(folder, agreement, minutes=(time.monotonic() - began) / 60)
    _say(began, "done")
    return agreement


def _clear(folder: Path, *, overwrite: bool) -> None:
    """Remove what an earlier demo left, and nothing else."""
    if overwrite:
        for name in (COHORT_FOLDER, MODELS_FOLDER, RESULTS_FOLDER):
            if (folder / name).exists():
                shutil.rmtree(folder / name)
        (folder / SUMMARY_NAME).unlink(missing_ok=True)
    refuse_existing(folder)


def segmentation_options(
    options: DemoOptions, cohort: Path, models: Path, minutes: float
) -> SegmentationOptions:
    """Return how the demo trains the U-Net."""
    return SegmentationOptions(
        data_dir=cohort / "segmentation",
        output_dir=models,
        name=SEGMENTATION_FOLDER,
        seed=options.seed,
        batch_size=4,
        max_minutes=minutes * SEGMENTATION_SHARE,
    )


def slice_selection_options(
    options: DemoOptions, cohort: Path, models: Path, minutes: float
) -> SliceSelectionOptions:
    """Return how the demo trains the DenseNet."""
    return SliceSelectionOptions(
        data_dir=cohort / "slice-selection",
        output_dir=models,
        name=SLICE_SELECTION_FOLDER,
        seed=options.seed,
        max_minutes=minutes * (1 - SEGMENTATION_SHARE),
    )


def _say(began: float, message: str) -> None:
    log.info("[%4.1f min] %s", (time.monotonic() - began) / 60, message)
