"""Slice-selection models against the series of a training set."""

from __future__ import annotations

from pathlib import Path

from bodycomp.analysis.loading import load_slice_scorer
from bodycomp.data.layout import images_path, table_path
from bodycomp.data.set_digest import data_digest
from bodycomp.errors import UsageError
from bodycomp.evaluation.chosen_cases import TEST_SPLIT, split_warnings
from bodycomp.evaluation.comparison import paired
from bodycomp.evaluation.document import Evaluation
from bodycomp.evaluation.level_rows import LevelRow
from bodycomp.evaluation.options import EvaluateOptions
from bodycomp.evaluation.slice_selection import compare_levels, slice_selection_section
from bodycomp.evaluation.slice_set import SetSeries, locate_in_set, open_series
from bodycomp.evaluation.tables import level_cells
from bodycomp.progress import Progress
from bodycomp.report.result_rows import Cell

STAGE = "slice_selection"
SOURCE = "training_set"


def run_slice_set(
    options: EvaluateOptions, progress: Progress, evaluation: Evaluation
) -> list[list[LevelRow]]:
    """Evaluate slice-selection models on a set and return the rows of each of them.

    Raises:
        UsageError: The set is of the other kind.
        InputNotFoundError, TrainingSetError, ModelError: As ``open_series`` and ``load_model``.
    """
    data_dir, split = options.truths.slice_selection, options.truths.split or TEST_SPLIT
    if data_dir is None or options.models is None:
        return []
    if any(images_path(data_dir, name).exists() for name in ("train", "val", "test")):
        raise UsageError(
            f"expected a slice-selection training set, found one for segmentation: {data_dir}",
            hint="Give it as --segmentation.",
        )
    scorers = [
        load_slice_scorer(models, device=options.device, engine=options.engine)
        for models in (options.models, options.against)
        if models
    ]
    sets = [
        open_series(data_dir, split, scorer.levels, identifiers=options.identifiers)
        for scorer in scorers
    ]
    total, done = sum(len(own.split) for own in sets), 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(STAGE, done, total)

    models = [
        list(locate_in_set(own, scorer, step)) for own, scorer in zip(sets, scorers, strict=True)
    ]
    evaluation.add_digests("slice_selection", tuple(scorer.digest for scorer in scorers))
    evaluation.data[STAGE] = _data(data_dir, sets[0])
    evaluation.warn(*split_warnings(split), *_unknown(sets[0]))
    section = slice_selection_section(models[0], options.bootstrap)
    evaluation.sections.setdefault(STAGE, {})[SOURCE] = section
    if len(models) > 1:
        pairs = paired(models, lambda row: (row.case, row.level), "levels")
        compared = compare_levels(pairs, options.bootstrap)
        evaluation.comparison.setdefault(STAGE, {})[SOURCE] = compared
    return models


def _data(data_dir: Path, series: SetSeries) -> dict[str, Cell]:
    split = series.split
    files = [table_path(data_dir, split.name), *split.png_paths]
    return {
        "kind": "slice-selection training set",
        "digest": data_digest(data_dir, files, {}),
        "split": split.name,
        "slices": len(split),
        "cases": len(series.names),
        "patients": len({names.patient for names in series.names}),
    }


def _unknown(series: SetSeries) -> list[str]:
    if series.patients_known:
        return []
    return [
        (
            "the slice-selection set does not say whose the series are: each counts as a patient "
            "of its own"
        )
    ]


def set_cells(row: LevelRow) -> dict[str, Cell]:
    """Return a row of ``slice_selection.csv``."""
    return {"source": SOURCE, **level_cells(row)}
