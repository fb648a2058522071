"""Annotated scans as functions take them: the preparation of training sets, and the evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from bodycomp.anatomy import DEFAULT_LEVEL
from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.data.sampling_options import LevelSampling, MaskSampling
from bodycomp.evaluation.options import AnnotationFormat, BootstrapOptions, EvaluateOptions, Truths
from bodycomp.interface.keywords import PathLike, refuse_rest, take, takes
from bodycomp.preparation.options import (
    PrepareOptions,
    SegmentationTask,
    SliceTask,
    SplitOptions,
)
from bodycomp.progress import Progress, shown

if TYPE_CHECKING:
    from bodycomp.evaluation.document import EvaluationDocument
    from bodycomp.preparation.run import PrepareSummary

_LEVEL_FORMAT: Final = {
    "levels_first_slice": "first_slice",
    "levels_from": "from_end",
    "vertebra_labels": "vertebra_labels",
}
"""Keywords -> fields of ``LevelOptions``."""


@takes(MaskSampling, SplitOptions, PrepareOptions, without=("annotated_only", "task", "fractions"))
def prepare_segmentation(
    cases: PathLike,
    out: PathLike,
    *,
    labels: Iterable[str] = (),
    slices: str = "annotated",
    progress: bool | Progress = False,
    **options: Any,
) -> PrepareSummary:
    """Make a segmentation set of annotated scans, as ``bodycomp prepare segmentation``.

    Args:
        cases: Cases table, .csv or .yaml.
        out: Folder to make.
        labels: What each label means, such as "1=muscle"; needed unless a YAML table says it.
        slices: "annotated" for those with a labeled pixel, or "all".
        progress: True for bars, or a function of stage, steps done and all steps.
        options: Fields of ``MaskSampling``, ``SplitOptions`` and ``PrepareOptions``, and how files
            of levels are read: ``levels_first_slice``, ``levels_from``, ``vertebra_labels``. With
            ``jobs`` other than 1 a script needs the usual ``if __name__ == "__main__":``.

    Raises:
        CasesError, OutputError, UsageError, RunInterruptedError: As the command.
    """
    mapping, levels = _mapping(labels), _level_format(options)
    sampling = take(MaskSampling, options, annotated_only=slices == "annotated")
    task = SegmentationTask(mapping, sampling, levels)
    options |= {"cases": cases, "out": out, "task": task}
    return _prepare(prepare_segmentation, options, progress)


@takes(LevelSampling, SplitOptions, PrepareOptions, without=("near", "task", "fractions"))
def prepare_slice_selection(
    cases: PathLike,
    out: PathLike,
    *,
    levels: Iterable[str] = (),
    progress: bool | Progress = False,
    **options: Any,
) -> PrepareSummary:
    """Make a slice-selection set of scans with levels, as ``bodycomp prepare slice-selection``.

    Args:
        cases: Cases table, .csv or .yaml.
        out: Folder to make.
        levels: Levels that get a column of offsets; all that lie in any scan if empty.
        progress: True for bars, or a function of stage, steps done and all steps.
        options: As for ``prepare_segmentation``, with fields of ``LevelSampling``.

    Raises:
        CasesError, OutputError, UsageError, RunInterruptedError: As the command.
    """
    names, form = tuple(levels), _level_format(options)
    sampling = take(LevelSampling, options, near=names or (DEFAULT_LEVEL,))
    options |= {"cases": cases, "out": out, "task": SliceTask(names, sampling, form)}
    return _prepare(prepare_slice_selection, options, progress)


@takes(Truths, EvaluateOptions, without=("truths", "form"))
def evaluate(
    models: PathLike | None,
    out: PathLike,
    *,
    labels: Iterable[str] = (),
    bootstrap: int = 2000,
    progress: bool | Progress = False,
    **options: Any,
) -> EvaluationDocument:
    """Compare models, or masks made anywhere, with what people annotated, as ``bodycomp evaluate``.

    Args:
        models: Folder with the models; None with ``masks`` and ``truth`` alone.
        out: Folder to make.
        labels: What labels of masks mean, such as "1=muscle".
        bootstrap: Resamples of patients for the intervals; ``seed`` is that of the resamples.
        progress: True for bars, or a function of stage, steps done and all steps.
        options: Fields of ``Truths``, what to compare with, and of ``EvaluateOptions``; how files
            of levels are read, as for ``prepare_segmentation``.

    Raises:
        CasesError, InputNotFoundError, ModelError, OutputError, TrainingSetError, UsageError,
        RunInterruptedError: As the command.
    """
    from bodycomp.evaluation.run import evaluate as run  # noqa: PLC0415 - PyTorch takes seconds

    form = AnnotationFormat(_mapping(labels), _level_format(options))
    resamples = BootstrapOptions(bootstrap, options.pop("seed", 0))
    options |= {"models": models, "out": out, "form": form, "bootstrap": resamples}
    options["truths"] = take(Truths, options)
    parsed = take(EvaluateOptions, options)
    refuse_rest(evaluate, options)
    titles = {
        "segmentation": "slices with masks",
        "slice_selection": "slices of series",
        "cases": "cases",
    }
    compared = {
        "segmentation": parsed.truths.has_masks,
        "slice_selection": parsed.truths.slice_selection,
        "cases": parsed.truths.cases,
    }
    stages = {name: title for name, title in titles.items() if compared[name]}
    with shown(progress, stages) as report:
        return run(parsed, report)


def _prepare(
    function: Callable[..., Any], options: dict[str, Any], progress: bool | Progress
) -> PrepareSummary:
    from bodycomp.preparation.run import prepare  # noqa: PLC0415 - PyTorch takes seconds

    fractions = options.pop("split", None)
    options["split"] = take(SplitOptions, options, fractions=fractions)
    parsed = take(PrepareOptions, options)
    refuse_rest(function, options)
    stages = {"cases": "cases", "writing": "writing", "checking": "reading again"}
    with shown(progress, stages) as report:
        return prepare(parsed, report)


def _mapping(labels: Iterable[str]) -> LabelMapping | None:
    terms = tuple(labels)
    return LabelMapping.parse(terms) if terms else None


def _level_format(options: dict[str, Any]) -> LevelOptions:
    """Take how files of levels are read out of the keywords."""
    given = {field: options.pop(name) for name, field in _LEVEL_FORMAT.items() if options.get(name)}
    return take(LevelOptions, given)
