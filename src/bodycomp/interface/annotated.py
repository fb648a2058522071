"""Annotated scans as functions take them: the preparation of training sets, and the evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bodycomp.evaluation.options import EvaluateOptions
from bodycomp.interface.keywords import PathLike, options_from, takes
from bodycomp.preparation.options import LevelTask, MaskTask, PrepareOptions
from bodycomp.progress import Progress, shown

if TYPE_CHECKING:
    from bodycomp.evaluation.document import EvaluationDocument
    from bodycomp.preparation.run import PrepareSummary

_PREPARING: Final = {"cases": "cases", "writing": "writing", "checking": "reading again"}
_EVALUATING: Final = {
    "segmentation": "slices with masks",
    "slice_selection": "slices of series",
    "cases": "cases",
}


@takes(PrepareOptions, without=("cases", "out"), task=MaskTask)
def prepare_segmentation(
    cases: PathLike, out: PathLike, *, progress: bool | Progress = False, **options: Any
) -> PrepareSummary:
    """Make a segmentation set of annotated scans, as ``bodycomp prepare segmentation``.

    Args:
        cases: Cases table, .csv or .yaml.
        out: Folder to make.
        progress: True for bars, or a function of stage, steps done and all steps.
        options: Those of the command; ``labels`` such as ``["1=muscle"]`` or ``{1: "muscle"}`` are
            needed unless a YAML table says them. With ``jobs`` other than 1 a script needs the
            usual ``if __name__ == "__main__":`` around what it does.

    Raises:
        CasesError, OutputError, UsageError, RunInterruptedError: As the command.
    """
    known = {"cases": cases, "out": out, **options}
    parsed = options_from(prepare_segmentation, PrepareOptions, known, task=MaskTask)
    return run_preparation(parsed, progress)


@takes(PrepareOptions, without=("cases", "out"), task=LevelTask)
def prepare_slice_selection(
    cases: PathLike, out: PathLike, *, progress: bool | Progress = False, **options: Any
) -> PrepareSummary:
    """Make a slice-selection set of scans with levels, as ``bodycomp prepare slice-selection``.

    Args:
        cases: Cases table, .csv or .yaml.
        out: Folder to make.
        progress: True for bars, or a function of stage, steps done and all steps.
        options: Those of the command; ``jobs`` as for ``prepare_segmentation``.

    Raises:
        CasesError, OutputError, UsageError, RunInterruptedError: As the command.
    """
    known = {"cases": cases, "out": out, **options}
    parsed = options_from(prepare_slice_selection, PrepareOptions, known, task=LevelTask)
    return run_preparation(parsed, progress)


@takes(EvaluateOptions, without=("models", "out"))
def evaluate(
    models: PathLike | None, out: PathLike, *, progress: bool | Progress = False, **options: Any
) -> EvaluationDocument:
    """Compare models, or masks made anywhere, with what people annotated, as ``bodycomp evaluate``.

    Args:
        models: Folder with the models; None with ``masks`` and ``truth`` alone.
        out: Folder to make.
        progress: True for bars, or a function of stage, steps done and all steps.
        options: Those of the command.

    Raises:
        CasesError, InputNotFoundError, ModelError, OutputError, TrainingSetError, UsageError,
        RunInterruptedError: As the command.
    """
    known = {"models": models, "out": out, **options}
    return run_evaluation(options_from(evaluate, EvaluateOptions, known), progress)


def run_preparation(options: PrepareOptions, progress: bool | Progress) -> PrepareSummary:
    """Prepare a set; raises as ``prepare_segmentation``."""
    from bodycomp.preparation.run import prepare  # noqa: PLC0415 - PyTorch takes seconds

    with shown(progress, _PREPARING) as report:
        return prepare(options, report)


def run_evaluation(options: EvaluateOptions, progress: bool | Progress) -> EvaluationDocument:
    """Evaluate; raises as ``evaluate``."""
    from bodycomp.evaluation.run import evaluate as run  # noqa: PLC0415 - PyTorch takes seconds

    truths = options.truths
    compared = {
        "segmentation": truths.has_masks,
        "slice_selection": truths.slice_selection,
        "cases": truths.cases,
    }
    stages = {name: title for name, title in _EVALUATING.items() if compared[name]}
    with shown(progress, stages) as report:
        return run(options, report)
