"""The whole evaluation, into one folder that appears when all is measured."""

from __future__ import annotations

import shutil
import signal
from functools import partial
from typing import Final

from bodycomp.analysis.loading import load_analyzer
from bodycomp.errors import OutputError, RunInterruptedError
from bodycomp.evaluation.case_keeper import CaseKeeper
from bodycomp.evaluation.document import EVALUATION_NAME, Evaluation, write_document
from bodycomp.evaluation.options import EvaluateOptions
from bodycomp.evaluation.page import PAGE_NAME, write_evaluation_page
from bodycomp.evaluation.run_cases import LoadAnalyzer, case_cells, run_cases
from bodycomp.evaluation.run_segmentation import run_masks, run_segmentation_set
from bodycomp.evaluation.run_slice_selection import run_slice_set, set_cells
from bodycomp.evaluation.tables import SLICE_SELECTION_CSV, Cells, write_cells
from bodycomp.progress import Progress
from bodycomp.signals import SignalWatch
from bodycomp.storage import atomic_folder, refuse_existing, remove_interrupted

VIEWS_FOLDER: Final = ".views"
"""Cases until the page is written; never in what is left."""


def evaluate(
    options: EvaluateOptions, progress: Progress, load: LoadAnalyzer = load_analyzer
) -> Evaluation:
    """Evaluate, and write ``evaluation.json`` and its tables into ``options.out``.

    Args:
        options: What, against what, and how.
        progress: Told how far every stage is.
        load: Loads the models that run on cases.

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


def _evaluate(options: EvaluateOptions, progress: Progress, load: LoadAnalyzer) -> Evaluation:
    evaluation = Evaluation()
    with atomic_folder(options.out, overwrite=options.overwrite) as folder:
        run_segmentation_set(options, folder, progress, evaluation)
        run_masks(options, folder, progress, evaluation)
        in_set = run_slice_set(options, progress, evaluation)
        views = folder / VIEWS_FOLDER
        views.mkdir()
        keeper = CaseKeeper(views)
        in_cases = run_cases(options, folder, progress, evaluation, load, keeper)
        rows: list[list[Cells]] = [[], []]
        for model, own in enumerate(in_set):
            rows[model] += [set_cells(row) for row in own]
        for model, own in enumerate(in_cases):
            rows[model] += [case_cells(row) for row in own]
        write_cells(folder / SLICE_SELECTION_CSV, rows)
        document = evaluation.to_dict(options.bootstrap)
        write_document(folder, document)
        if options.models is not None and in_cases:
            page = folder / PAGE_NAME
            write_evaluation_page(page, document, keeper.cases, options.models)
        shutil.rmtree(views)
    return evaluation


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
