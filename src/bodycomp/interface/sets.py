"""Training sets and trainings: the commands as functions with the same options and errors.

Each loads what it needs when it is called, so that importing this module is cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bodycomp.cohort.options import CohortOptions
from bodycomp.interface.keywords import OWN_BARS, command
from bodycomp.interface.options import (
    CacheOptions,
    DiscoverOptions,
    EnsembleOptions,
    ImportOptions,
    ShowOptions,
    ValidateOptions,
)
from bodycomp.preparation.options import LevelTask, MaskTask, PrepareOptions
from bodycomp.preparation.sources.options import (
    NnunetOptions,
    SarosOptions,
    TagOptions,
    TotalsegmentatorOptions,
    VerseOptions,
)
from bodycomp.progress import Progress
from bodycomp.review.options import FromReviewOptions
from bodycomp.training.options import RunOptions
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions

if TYPE_CHECKING:
    from bodycomp.cohort.write import CohortSummary
    from bodycomp.networks.card import ModelCard
    from bodycomp.preparation.discovery import Draft
    from bodycomp.preparation.run import PrepareSummary
    from bodycomp.review.training_cases import ReviewedCases
    from bodycomp.validation.validate import Validation


@dataclass(frozen=True, slots=True)
class CacheUse:
    """A cache's folder, number of files, and bytes that they take."""

    folder: Path
    files: int
    size_bytes: int


_PREPARING = {"cases": "cases", "writing": "writing", "checking": "reading again"}
_UNPACKING = {"unpacking": "unpacking", **_PREPARING}


@command(DiscoverOptions, {"search": "reading headers"}, folder="folder", cases="cases")
def discover_cases(options: DiscoverOptions, progress: Progress) -> Draft:
    """Draft a cases table from a folder of scans and annotations: ``bodycomp prepare discover``.

    Raises:
        InputNotFoundError, OutputError, UsageError: As the command.
    """
    from bodycomp.preparation.discovery import discover

    return discover(options.folder, options.cases, progress, overwrite=options.overwrite)


@command(FromReviewOptions, {"search": "reading headers", "series": "series"}, out="out_dir")
def prepare_from_review(options: FromReviewOptions, progress: Progress) -> ReviewedCases:
    """Make cases to train with of a reviewed run, as ``bodycomp prepare from-review``.

    Raises:
        InputNotFoundError, OutputError, ReviewError: As the command.
    """
    from bodycomp.review.training_cases import training_cases

    return training_cases(options, progress)


@command(PrepareOptions, _PREPARING, chosen={"task": MaskTask}, cases="cases", out="out")
def prepare_segmentation(options: PrepareOptions, progress: Progress) -> PrepareSummary:
    """Make a segmentation set of annotated scans, as ``bodycomp prepare segmentation``.

    ``labels``, such as ``["1=muscle"]`` or ``{1: "muscle"}``, are needed unless a YAML table says
    them. With ``jobs`` other than 1 a script needs the usual ``if __name__ == "__main__":`` around
    what it does.

    Raises:
        CasesError, OutputError, UsageError, RunInterruptedError: As the command.
    """
    from bodycomp.preparation.run import prepare

    return prepare(options, progress)


@command(PrepareOptions, _PREPARING, chosen={"task": LevelTask}, cases="cases", out="out")
def prepare_slice_selection(options: PrepareOptions, progress: Progress) -> PrepareSummary:
    """Make a slice-selection set of scans with levels, as ``bodycomp prepare slice-selection``.

    ``jobs`` is as for ``prepare_segmentation``, which raises the same.
    """
    from bodycomp.preparation.run import prepare

    return prepare(options, progress)


@command(SarosOptions, _UNPACKING, folder="folder", out="out")
def prepare_saros(options: SarosOptions, progress: Progress) -> PrepareSummary:
    """Make a segmentation set of SAROS as it was downloaded, as ``bodycomp prepare saros``.

    ``jobs`` is as for ``prepare_segmentation``.

    Raises:
        InputNotFoundError, CasesError, OutputError, UsageError, RunInterruptedError: As the
            command.
    """
    from bodycomp.preparation.sources.run import prepare_source

    return prepare_source(options, progress)


@command(TotalsegmentatorOptions, _UNPACKING, folder="folder", out="out")
def prepare_totalsegmentator(
    options: TotalsegmentatorOptions, progress: Progress
) -> PrepareSummary:
    """Make a slice-selection set of TotalSegmentator's, as ``bodycomp prepare totalsegmentator``.

    ``jobs`` and errors are as for ``prepare_saros``.
    """
    from bodycomp.preparation.sources.run import prepare_source

    return prepare_source(options, progress)


@command(VerseOptions, _UNPACKING, folder="folder", out="out")
def prepare_verse(options: VerseOptions, progress: Progress) -> PrepareSummary:
    """Make a slice-selection set of VerSe, as ``bodycomp prepare verse``.

    ``jobs`` and errors are as for ``prepare_saros``.
    """
    from bodycomp.preparation.sources.run import prepare_source

    return prepare_source(options, progress)


@command(NnunetOptions, _UNPACKING, folder="folder", out="out")
def prepare_nnunet(options: NnunetOptions, progress: Progress) -> PrepareSummary:
    """Make a set of data in the raw layout of nnU-Net, as ``bodycomp prepare nnunet``.

    ``labels`` are as for ``prepare_segmentation``, ``jobs`` and errors as for ``prepare_saros``.
    """
    from bodycomp.preparation.sources.run import prepare_source

    return prepare_source(options, progress)


@command(TagOptions, _UNPACKING, folder="folder", out="out")
def prepare_tag(options: TagOptions, progress: Progress) -> PrepareSummary:
    """Make a segmentation set of Slice-O-Matic's TAG files, as ``bodycomp prepare tag``.

    ``labels`` are as for ``prepare_segmentation``, ``jobs`` and errors as for ``prepare_saros``.
    """
    from bodycomp.preparation.sources.run import prepare_source

    return prepare_source(options, progress)


@command(ValidateOptions, {"read": "reading the training set"}, data="data_dir")
def validate(options: ValidateOptions, progress: Progress) -> Validation:
    """List everything that is wrong or looks wrong with a training set, as ``bodycomp validate``.

    Raises:
        InputNotFoundError: It is not there.
        TrainingSetError: The folder holds no training set.
    """
    from bodycomp.networks.allocator import keep_freed_memory
    from bodycomp.validation.validate import validate_training_set

    keep_freed_memory()
    return validate_training_set(
        options.data_dir, options.rules, lambda done, total: progress("read", done, total)
    )


@command(ShowOptions, {"read": "reading the training set"}, data="data_dir")
def show(options: ShowOptions, progress: Progress) -> tuple[Path, Validation]:
    """Validate a training set and write a page to look at it, as ``bodycomp show``.

    Returns the page, and what ``validate`` does, which raises the same.
    """
    from bodycomp.report.training_set_page import write_training_set_page

    found = validate.run(options, progress)
    folder = options.data_dir.resolve()
    page = options.out or folder.with_name(f"{folder.name}-show.html")
    write_training_set_page(page, found, options.page, options.rules.levels)
    return page, found


@command(SegmentationOptions, OWN_BARS, data="data_dir", out="output_dir")
def train_segmentation(options: SegmentationOptions, progress: bool | Progress) -> Path:
    """Train a segmentation model, as ``bodycomp train segmentation``.

    Returns the run's folder, which is ``out / name``; the best model lies in its ``model``. With
    ``folds`` it holds ``fold-1`` and so on instead, each such a folder.

    Raises:
        TrainingSetError, OutputError, UsageError, ModelError, TrainingError, RunInterruptedError:
            As the command.
    """
    from bodycomp.training.folds import train

    return train(options, progress)


@command(SliceSelectionOptions, OWN_BARS, data="data_dir", out="output_dir")
def train_slice_selection(options: SliceSelectionOptions, progress: bool | Progress) -> Path:
    """Train a slice-selection model, as ``bodycomp train slice-selection``.

    Returns and raises as ``train_segmentation``.
    """
    from bodycomp.training.folds import train

    return train(options, progress)


def dry_run(options: RunOptions, progress: bool | Progress = False) -> list[str]:
    """Report what a training would take, as ``bodycomp train --dry-run``; nothing is written."""
    from bodycomp.training.dry_run import dry_run as run

    return run(options, progress)


@command(ImportOptions, weights="weights", out="out")
def import_keras(options: ImportOptions, _: Progress) -> ModelCard:
    """Make a model folder of a Keras file and return its card, as ``bodycomp import-keras``.

    Raises:
        InputNotFoundError, ModelError, OutputError, UsageError: As the command.
    """
    from bodycomp.networks.checkpoint import import_keras as run

    tissues = options.expected_tissues
    return run(
        options.weights, options.out, options.keras, tissues=tissues, overwrite=options.overwrite
    ).card


@command(EnsembleOptions, models="models", out="out")
def ensemble(options: EnsembleOptions, _: Progress) -> ModelCard:
    """Make one model of several, and return its card, as ``bodycomp ensemble``.

    Raises:
        InputNotFoundError, ModelError, OutputError, TrainingSetError, UsageError: As the command.
    """
    from bodycomp.data.folds import FOLDS_NAME
    from bodycomp.networks.ensemble_folder import save_ensemble
    from bodycomp.training.folds import fold_models

    paths = [
        path
        for given in options.models
        for path in (fold_models(given) if (given / FOLDS_NAME).is_file() else [given])
    ]
    of_folds = len(options.models) == 1 < len(paths)
    return save_ensemble(paths, options.out, of_folds=of_folds, overwrite=options.overwrite).card


@command(CohortOptions, {"patients": "phantom patients"}, out="folder")
def write_phantom(options: CohortOptions, progress: Progress) -> CohortSummary:
    """Write synthetic patients as DICOM and both training sets, as ``bodycomp phantom``.

    Raises:
        OutputError, UsageError: As the command.
    """
    from bodycomp.cohort.write import write_cohort

    return write_cohort(options, progress=progress)


@command(CacheOptions)
def cache(options: CacheOptions, _: Progress) -> CacheUse:
    """Return what the cache of decoded slices holds, or held before it was emptied."""
    from bodycomp.data.gray_cache import GrayCache, default_cache_dir

    found = GrayCache(options.cache_dir or default_cache_dir(), 0)
    return CacheUse(found.folder, *(found.clear() if options.clear else found.usage()))
