"""The whole evaluation, into one folder that appears when all is measured."""

from __future__ import annotations

import shutil
import signal
from functools import partial
from typing import Final

from bodycomp.analysis.loading import load_analyzer
from bodycomp.errors import OutputError, RunInterruptedError
from bodycomp.evaluation.case_run import CaseKeeper
from bodycomp.evaluation.document import (
    EVALUATION_NAME,
    EvaluationDocument,
    write_evaluation,
)
from bodycomp.evaluation.options import EvaluateOptions
from bodycomp.evaluation.page import PAGE_NAME, write_evaluation_page
from bodycomp.evaluation.run_cases import LoadAnalyzer, evaluate_cases
from bodycomp.evaluation.segmentation import evaluate_masks, evaluate_segmentation_set
from bodycomp.evaluation.slice_selection import evaluate_slice_set
from bodycomp.progress import Progress
from bodycomp.signals import SignalWatch
from bodycomp.storage import atomic_folder, refuse_existing, remove_interrupted

VIEWS_FOLDER: Final = ".views"
"""Cases until the page is written; never in what is left."""


def evaluate(
    options: EvaluateOptions, progress: Progress, load: LoadAnalyzer = load_analyzer
) -> EvaluationDocument:
    """Evaluate, and write ``evaluation.json`` and its tables into ``options.out``.

    Raises:
        OutputError: The folder has content that may not be replaced.
        InputNotFoundError, ModelError, TrainingSetError, CasesError, UsageError: An input cannot
            be used.
        RunInterruptedError: Ctrl-C or SIGTERM; nothing is left.
    """
    check_replaced(options)
    remove_interrupted(options.out)
    with SignalWatch(partial(_interrupted, options)):
        return _evaluate(options, progress, load)


def _interrupted(options: EvaluateOptions, number: int) -> RunInterruptedError:
    return RunInterruptedError(
        f"the evaluation was ended by {signal.Signals(number).name}; nothing of "
        f"it is left in {options.out}",
        signal_number=number,
        hint="Start it again with the same command.",
    )


def _evaluate(
    options: EvaluateOptions, progress: Progress, load: LoadAnalyzer
) -> EvaluationDocument:
    document = EvaluationDocument()
    with atomic_folder(options.out, overwrite=options.overwrite) as folder:
        evaluate_segmentation_set(options, progress, document)
        evaluate_masks(options, progress, document)
        evaluate_slice_set(options, progress, document)
        views = folder / VIEWS_FOLDER
        views.mkdir()
        keeper = CaseKeeper(views)
        evaluate_cases(options, progress, document, load, keeper)
        content = write_evaluation(folder, document, options.bootstrap)
        if options.models is not None and options.truths.cases is not None:
            write_evaluation_page(folder / PAGE_NAME, content, keeper.cases, options.models)
        shutil.rmtree(views)
    return document


def check_replaced(options: EvaluateOptions) -> None:
    """Check that what ``--overwrite`` would remove is an evaluation.

    Raises:
        OutputError: The folder has content and shall not be replaced, or is no evaluation.
    """
    out = options.out
    refuse_existing(out, overwrite=options.overwrite)
    if out.is_dir() and any(out.iterdir()) and not (out / EVALUATION_NAME).is_file():
        raise OutputError(
            f"expected an earlier evaluation to replace, found another folder: {out}",
            hint=f"An evaluation holds {EVALUATION_NAME}. Name another folder.",
        )
