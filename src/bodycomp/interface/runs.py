"""The commands as functions: the same options, defaults, files and errors.

Each loads what it needs when it is called, so that importing this module is cheap.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bodycomp.interface.keywords import PathLike, refuse_rest, take, takes
from bodycomp.progress import Progress, shown
from bodycomp.study.options import AnalyzeOptions, DicomObject, StudyReport
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions
from bodycomp.validation.options import ValidationOptions

if TYPE_CHECKING:
    from bodycomp.validation.validate import Validation


@takes(AnalyzeOptions, without=("out_dir", "models_dir"))
def analyze(
    inputs: PathLike | Iterable[PathLike],
    out: PathLike,
    *,
    models: PathLike,
    dicom: Iterable[str] = (),
    progress: bool | Progress = False,
    **options: Any,
) -> StudyReport:
    """Measure every CT series in the inputs and write its results, as ``bodycomp analyze``.

    Args:
        inputs: One or several folders, zip files or single files of DICOM, NIfTI or NRRD.
        out: Folder to make: tables, a page, and a folder per study.
        models: Folder with both models.
        dicom: DICOM objects to write, of "seg", "labelmap", "sr" and "overlay".
        progress: True for bars, or a function of stage, steps done and all steps.
        options: Fields of ``AnalyzeOptions``. Unless ``workers`` is 0, a script needs the usual
            ``if __name__ == "__main__":`` around what it does.

    Raises:
        InputNotFoundError, ModelError, OutputError, UsageError: As the command.
        RunInterruptedError: SIGTERM ended the run; it can be resumed.
    """
    from bodycomp.review.session import refresh_reviewed  # noqa: PLC0415 - torch takes seconds
    from bodycomp.study.run import analyze_inputs  # noqa: PLC0415

    options |= {
        "inputs": (inputs,) if isinstance(inputs, str | os.PathLike) else inputs,
        "out_dir": out,
        "models_dir": models,
        "dicom": frozenset(map(DicomObject, dicom)),
    }
    parsed = take(AnalyzeOptions, options)
    refuse_rest(analyze, options)
    titles = {"search": "reading headers", "series": "series"}
    with shown(progress, titles) as report:
        found = analyze_inputs(parsed, report)
    refresh_reviewed(parsed.out_dir)
    return found


@takes(SegmentationOptions, without=("data_dir", "output_dir"))
def train_segmentation(data: PathLike, out: PathLike, **options: Any) -> Path:
    """Train a segmentation model, as ``bodycomp train segmentation``.

    Args:
        data: The training set.
        out: Folder of runs; this one becomes ``out / name``.
        options: Fields of ``SegmentationOptions``.

    Returns:
        The run's folder; the best model lies in its ``model``.

    Raises:
        TrainingSetError, OutputError, UsageError, ModelError, TrainingError, RunInterruptedError:
            As the command.
    """
    from bodycomp.training.fit import train_segmentation as train  # noqa: PLC0415 - torch

    parsed = take(SegmentationOptions, options, data_dir=data, output_dir=out)
    refuse_rest(train_segmentation, options)
    return train(parsed)


@takes(SliceSelectionOptions, without=("data_dir", "output_dir"))
def train_slice_selection(data: PathLike, out: PathLike, **options: Any) -> Path:
    """Train a slice-selection model, as ``bodycomp train slice-selection``.

    Args:
        data: The training set.
        out: Folder of runs; this one becomes ``out / name``.
        options: Fields of ``SliceSelectionOptions``.

    Returns:
        As ``train_segmentation``, which raises the same.
    """
    from bodycomp.training.fit import train_slice_selection as train  # noqa: PLC0415 - torch

    parsed = take(SliceSelectionOptions, options, data_dir=data, output_dir=out)
    refuse_rest(train_slice_selection, options)
    return train(parsed)


def validate(
    data: PathLike,
    *,
    levels: Sequence[str] | None = None,
    thoracic: bool = False,
    allow_scaled_images: bool = False,
    progress: bool | Progress = False,
) -> Validation:
    """List everything that is wrong or looks wrong with a training set, as ``bodycomp validate``.

    Args:
        data: The training set, of either kind.
        levels: Levels of a slice-selection set; None for those with offsets in every split.
        thoracic: A segmentation set without visceral fat.
        allow_scaled_images: Report images that look windowed or scaled as a warning.
        progress: True for a bar, or a function of stage, steps done and all steps.

    Raises:
        InputNotFoundError: It is not there.
        TrainingSetError: The folder holds no training set.
    """
    from bodycomp.validation.validate import (  # noqa: PLC0415 - PyTorch takes seconds
        validate_training_set,
    )

    options = ValidationOptions(tuple(levels) if levels else None, thoracic, allow_scaled_images)
    with shown(progress, {"read": "reading the training set"}) as report:
        return validate_training_set(
            Path(data), options, lambda done, total: report("read", done, total)
        )
