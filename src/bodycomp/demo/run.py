"""The steps of the demo, in order, with the time that each one took."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import Final

from bodycomp.cohort.options import CohortOptions
from bodycomp.cohort.study import CASES_NAME, DICOM_FOLDER, read_truth
from bodycomp.cohort.write import SEGMENTATION_FOLDER as MASKS_FOLDER
from bodycomp.cohort.write import SLICE_SELECTION_FOLDER as OFFSETS_FOLDER
from bodycomp.cohort.write import write_cohort
from bodycomp.demo.options import DemoOptions
from bodycomp.demo.trainings import DemoTraining, train_side_by_side, training_bars
from bodycomp.evaluation.document import EvaluationDocument
from bodycomp.evaluation.options import EvaluateOptions, Truths
from bodycomp.evaluation.run import evaluate
from bodycomp.networks.shipped import SEGMENTATION_FOLDER, SLICE_SELECTION_FOLDER
from bodycomp.progress import stage_progress
from bodycomp.storage import refuse_existing
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.run import analyze_inputs

log = logging.getLogger(__name__)

COHORT_FOLDER: Final = "phantom"
MODELS_FOLDER: Final = "models"
RESULTS_FOLDER: Final = "results"
EVALUATION_FOLDER: Final = "evaluation"

KEPT_BACK_MINUTES: Final = 3.0
"""For what the trainings' own limit leaves out (start, data checks, test split, pictures) and for
the analysis and evaluation of the test patients."""

SMALLEST_TRAINING_MINUTES: Final = 1.0

SUBGROUPS: Final = ("sex",)


def run_demo(options: DemoOptions) -> tuple[EvaluateOptions, EvaluationDocument]:
    """Make a cohort, train both networks, measure the test patients, compare with the truth.

    Bars show on a terminal how far each step is. Everything lands in ``options.folder``:
    ``phantom/``, ``models/``, ``results/`` and ``evaluation/``. What a step has finished stays if
    a later one fails.

    Returns:
        What was evaluated, and how well the test patients agree with their truth.

    Raises:
        OutputError: The folder has content and ``overwrite`` is off.
    """
    began = time.monotonic()
    folder = options.folder
    _clear(folder, overwrite=options.overwrite)
    cohort, models = folder / COHORT_FOLDER, folder / MODELS_FOLDER
    count = sum(options.patients)
    _say(began, f"1/4 {count} synthetic patients")
    with stage_progress({"patients": "patients"}) as show:
        write_cohort(CohortOptions(cohort, count, options.seed, splits=options.patients), show)
    minutes = options.training_minutes or max(
        SMALLEST_TRAINING_MINUTES,
        options.total_minutes - (time.monotonic() - began) / 60 - KEPT_BACK_MINUTES,
    )
    _say(began, f"2/4 both trainings side by side, {minutes:.1f} minutes")
    trainings = (
        segmentation_training(options, cohort, models, minutes),
        slice_selection_training(options, cohort, models, minutes),
    )
    for training in trainings:
        log.info("  %s", training.command_line)
    with training_bars(trainings) as watch:
        train_side_by_side(trainings, watch)
    _say(began, f"3/4 analysis of {options.patients[2]} other patients from their DICOM files")
    truths = [truth for truth in read_truth(cohort) if truth.split == "test"]
    inputs = tuple(cohort / DICOM_FOLDER / truth.patient for truth in truths)
    analysis = AnalyzeOptions(
        inputs=inputs, models_dir=models, out_dir=folder / RESULTS_FOLDER, workers=0
    )
    with stage_progress({"search": "reading headers", "series": "series"}) as show:
        analyze_inputs(analysis, show)
    _say(began, "4/4 comparison with their truth")
    evaluation = EvaluateOptions(
        out=folder / EVALUATION_FOLDER,
        truths=Truths(cases=cohort / CASES_NAME, split="test"),
        models=models,
        by=SUBGROUPS,
        identifiers=True,
    )
    with stage_progress({"cases": "patients"}) as show:
        agreement = evaluate(evaluation, show)
    _say(began, "done")
    return evaluation, agreement


def _clear(folder: Path, *, overwrite: bool) -> None:
    """Remove what an earlier demo left, and nothing else."""
    if overwrite:
        for name in (COHORT_FOLDER, MODELS_FOLDER, RESULTS_FOLDER, EVALUATION_FOLDER):
            if (folder / name).exists():
                shutil.rmtree(folder / name)
    refuse_existing(folder)


def segmentation_training(
    options: DemoOptions, cohort: Path, models: Path, minutes: float
) -> DemoTraining:
    """Return how the demo trains the U-Net: half the default width, small batches.

    In a few minutes on two cores more steps are worth more than a wider network.
    """
    width = "-C 8 16 32 64 128 256 -M 128 64 32 16 8"
    return DemoTraining(
        network=SEGMENTATION_FOLDER,
        data_dir=cohort / MASKS_FOLDER,
        models_dir=models,
        minutes=minutes,
        options=(
            *("--seed", str(options.seed), "--batch_size", "2", "--learning_rate", "2e-3"),
            *width.split(),
        ),
    )


def slice_selection_training(
    options: DemoOptions, cohort: Path, models: Path, minutes: float
) -> DemoTraining:
    """Return how the demo trains the DenseNet: a third of its depth, for the same reason."""
    return DemoTraining(
        network=SLICE_SELECTION_FOLDER,
        data_dir=cohort / OFFSETS_FOLDER,
        models_dir=models,
        minutes=minutes,
        options=(
            *("--seed", str(options.seed), "--batch_size", "16", "--learning_rate", "2e-3"),
            *("--nb_layers_per_block", "4"),
        ),
    )


def _say(began: float, message: str) -> None:
    log.info("[%4.1f min] %s", (time.monotonic() - began) / 60, message)
