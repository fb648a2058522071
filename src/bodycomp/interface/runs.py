"""The commands as functions: the same options, defaults, files and errors.

Each loads what it needs when it is called, so that importing this module is cheap.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bodycomp.interface.keywords import PathLike, options_from, takes
from bodycomp.progress import Progress, shown
from bodycomp.study.options import AnalyzeOptions, StudyReport
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions
from bodycomp.validation.options import ValidationOptions

if TYPE_CHECKING:
    from bodycomp.training.options import RunOptions
    from bodycomp.validation.validate import Validation

_ANALYZING: Final = {"search": "reading headers", "series": "series"}


@takes(AnalyzeOptions, without=("inputs", "out_dir", "models_dir"))
def analyze(
    inputs: PathLike | Iterable[PathLike],
    out: PathLike,
    *,
    models: PathLike,
    workers: int = 0,
    progress: bool | Progress = False,
    **options: Any,
) -> StudyReport:
    """Measure every CT series in the inputs and write its results, as ``bodycomp analyze``.

    Args:
        inputs: One or several folders, zip files or single files of DICOM, NIfTI or NRRD.
        out: Folder to make: tables, a page, and a folder per study.
        models: Folder with both models.
        workers: Processes that read ahead. With 1, the command's default, a script needs the usual
            ``if __name__ == "__main__":`` around what it does.
        progress: True for bars, or a function of stage, steps done and all steps.
        options: Those of the command.

    Raises:
        InputNotFoundError, ModelError, OutputError, UsageError: As the command.
        RunInterruptedError: SIGTERM ended the run; it can be resumed.
    """
    several = (inputs,) if isinstance(inputs, str | os.PathLike) else tuple(inputs)
    known = {"workers": workers, "inputs": several, "out_dir": out, "models_dir": models, **options}
    return run_analysis(options_from(analyze, AnalyzeOptions, known), progress)


@takes(SegmentationOptions, without=("data_dir", "output_dir"))
def train_segmentation(data: PathLike, out: PathLike, **options: Any) -> Path:
    """Train a segmentation model, as ``bodycomp train segmentation``.

    Args:
        data: The training set.
        out: Folder of runs; this one becomes ``out / name``.
        options: Those of the command.

    Returns:
        The run's folder; the best model lies in its ``model``.

    Raises:
        TrainingSetError, OutputError, UsageError, ModelError, TrainingError, RunInterruptedError:
            As the command.
    """
    known = {"data_dir": data, "output_dir": out, **options}
    return run_training(options_from(train_segmentation, SegmentationOptions, known))


@takes(SliceSelectionOptions, without=("data_dir", "output_dir"))
def train_slice_selection(data: PathLike, out: PathLike, **options: Any) -> Path:
    """Train a slice-selection model, as ``bodycomp train slice-selection``.

    Args:
        data: The training set.
        out: Folder of runs; this one becomes ``out / name``.
        options: Those of the command.

    Returns:
        As ``train_segmentation``, which raises the same.
    """
    known = {"data_dir": data, "output_dir": out, **options}
    return run_training(options_from(train_slice_selection, SliceSelectionOptions, known))


@takes(ValidationOptions)
def validate(data: PathLike, *, progress: bool | Progress = False, **options: Any) -> Validation:
    """List everything that is wrong or looks wrong with a training set, as ``bodycomp validate``.

    Args:
        data: The training set, of either kind.
        progress: True for a bar, or a function of stage, steps done and all steps.
        options: Those of the command.

    Raises:
        InputNotFoundError: It is not there.
        TrainingSetError: The folder holds no training set.
    """
    return run_validation(Path(data), options_from(validate, ValidationOptions, options), progress)


def run_analysis(options: AnalyzeOptions, progress: bool | Progress) -> StudyReport:
    """Analyze; raises as ``analyze``."""
    from bodycomp.review.session import refresh_reviewed  # noqa: PLC0415 - PyTorch takes seconds
    from bodycomp.study.run import analyze_inputs  # noqa: PLC0415

    with shown(progress, _ANALYZING) as report:
        found = analyze_inputs(options, report)
    refresh_reviewed(options.out_dir)
    return found


def run_training(options: RunOptions) -> Path:
    """Train; raises as ``train_segmentation``."""
    from bodycomp.training import fit  # noqa: PLC0415 - PyTorch takes seconds

    if isinstance(options, SegmentationOptions):
        return fit.train_segmentation(options)
    assert isinstance(options, SliceSelectionOptions)
    return fit.train_slice_selection(options)


def run_validation(
    data_dir: Path, options: ValidationOptions, progress: bool | Progress
) -> Validation:
    """Validate; raises as ``validate``."""
    from bodycomp.networks.allocator import keep_freed_memory  # noqa: PLC0415 - PyTorch
    from bodycomp.validation.validate import validate_training_set  # noqa: PLC0415

    keep_freed_memory()
    with shown(progress, {"read": "reading the training set"}) as report:
        return validate_training_set(
            data_dir, options, lambda done, total: report("read", done, total)
        )
