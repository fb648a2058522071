"""How well levels are located in whole series, and what the scores and confidences are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from bodycomp.agreement.statistics import MEDIAN, quantile
from bodycomp.analysis.loading import load_slice_scorer
from bodycomp.data.layout import SPLITS, data_digest, images_path, table_path
from bodycomp.errors import UsageError
from bodycomp.evaluation.calibration import confidence_calibration, score_calibration
from bodycomp.evaluation.document import (
    SLICE_SELECTION_CSV,
    TEST_SPLIT,
    EvaluationDocument,
    count_steps,
)
from bodycomp.evaluation.level_rows import LevelRow
from bodycomp.evaluation.metrics import (
    Better,
    CaseMetric,
    absolute,
    compare,
    group_by,
    paired,
    share_metric,
    summarize,
    value_metric,
)
from bodycomp.evaluation.options import BootstrapOptions, EvaluateOptions
from bodycomp.evaluation.slice_set import SetSeries, locate_in_set, open_series
from bodycomp.progress import Progress
from bodycomp.report.result_rows import Cell
from bodycomp.results import LevelStatus

STAGE: Final = "slice_selection"
SOURCE: Final = "training_set"

Value = TypeVar("Value")


def _if_present(value: Callable[[LevelRow], Value | None]) -> Callable[[LevelRow], Value | None]:
    return lambda row: value(row) if row.is_present else None


_error: Final = _if_present(lambda row: row.error_mm)


def _within(limit_mm: float) -> CaseMetric[LevelRow]:
    return share_metric(
        f"within_{limit_mm:g}_mm", _if_present(lambda r: r.is_within(limit_mm)), Better.LARGER
    )


METRICS: Final[tuple[CaseMetric[LevelRow], ...]] = (
    share_metric("found", _if_present(lambda row: row.is_found), Better.LARGER),
    share_metric(
        "false_findings",
        lambda row: row.is_found if row.is_present is False else None,
        Better.SMALLER,
    ),
    value_metric("mean_error_mm", "mm", _error),
    value_metric("median_error_mm", "mm", _error, statistic=MEDIAN),
    value_metric("mean_absolute_error_mm", "mm", absolute(_error), Better.SMALLER),
    value_metric("median_absolute_error_mm", "mm", absolute(_error), Better.SMALLER, MEDIAN),
    value_metric("p90_absolute_error_mm", "mm", absolute(_error), Better.SMALLER, quantile(0.9)),
    _within(5.0),
    _within(10.0),
)
"""Shares are of the series that hold the level: one that was not found is not within 5 mm. Errors
are of those that were found; false findings of series that do not hold the level."""


def evaluate_slice_set(
    options: EvaluateOptions, progress: Progress, document: EvaluationDocument
) -> None:
    """Evaluate slice-selection models on a set.

    Raises:
        UsageError: The set is of the other kind.
        InputNotFoundError, TrainingSetError, ModelError: As ``open_series`` and ``load_model``.
    """
    data_dir, split = options.truths.slice_selection, options.truths.split or TEST_SPLIT
    if data_dir is None or options.models is None:
        return
    if any(images_path(data_dir, name).exists() for name in SPLITS):
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
    done = count_steps(progress, STAGE, sum(len(own.split) for own in sets))
    models = [
        list(locate_in_set(own, scorer, done)) for own, scorer in zip(sets, scorers, strict=True)
    ]
    document.add_digests(STAGE, tuple(scorer.digest for scorer in scorers))
    document.data[STAGE] = _data(data_dir, sets[0])
    document.warn_of_split(split)
    if not sets[0].patients_known:
        document.warn(
            "the slice-selection set does not say whose the series are: each counts as a patient "
            "of its own"
        )
    add_levels(document, SOURCE, models, options.bootstrap)


def add_levels(
    document: EvaluationDocument,
    source: str,
    models: Sequence[Sequence[LevelRow]],
    options: BootstrapOptions,
) -> None:
    """Note the levels by one or two models on the series of a source."""
    section = slice_selection_section(models[0], options)
    document.sections.setdefault(STAGE, {})[source] = section
    document.add_rows(SLICE_SELECTION_CSV, [[row.cells(source) for row in own] for own in models])
    if len(models) > 1:
        pairs = paired(models, lambda row: (row.case, row.level), "levels")
        document.comparison.setdefault(STAGE, {})[source] = {
            level: compare(METRICS, own, options)
            for level, own in group_by(pairs, lambda pair: pair[0].level).items()
        }


def _data(data_dir: Path, series: SetSeries) -> dict[str, Cell]:
    split = series.split
    files = [table_path(data_dir, split.name), *map(split.png_path, range(len(split)))]
    return {
        "kind": "slice-selection training set",
        "digest": data_digest(data_dir, files, {}),
        "split": split.name,
        "slices": len(split),
        "cases": len(series.names),
        "patients": len({names.patient for names in series.names}),
    }


def levels_section(rows: Sequence[LevelRow], options: BootstrapOptions) -> dict[str, Any]:
    """Return level -> counts and metrics."""
    return {
        level: {"counts": _counts(own), "metrics": summarize(METRICS, own, options)}
        for level, own in group_by(rows, lambda row: row.level).items()
    }


def slice_selection_section(rows: Sequence[LevelRow], options: BootstrapOptions) -> dict[str, Any]:
    """Return levels, calibration of the scores and calibration of the confidence."""
    levels = group_by(rows, lambda row: row.level)
    return {
        "levels": levels_section(rows, options),
        "score_calibration": {level: score_calibration(own) for level, own in levels.items()},
        "confidence_calibration": confidence_calibration(rows, options),
    }


def _counts(rows: Sequence[LevelRow]) -> dict[str, int]:
    """Return how many series there are of each kind; nothing that was looked for is left out."""
    present = [row for row in rows if row.is_present]
    absent = [row for row in rows if row.is_present is False]
    return {
        "series": len(rows),
        "present": len(present),
        "present_found": sum(row.is_found for row in present),
        "present_uncertain": sum(row.status is LevelStatus.UNCERTAIN for row in present),
        "present_called_absent": sum(row.status is LevelStatus.ABSENT for row in present),
        "absent": len(absent),
        "absent_found": sum(row.is_found for row in absent),
        "not_annotated": sum(row.is_present is None for row in rows),
    }
