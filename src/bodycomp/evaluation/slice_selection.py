"""How well levels are located in whole series, and what the scores and confidences are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from bodycomp.agreement.statistics import MEAN, MEDIAN, Statistic, quantile
from bodycomp.analysis.confidence import CLOSE_MM
from bodycomp.analysis.inference import NetworkSliceScorer
from bodycomp.analysis.loading import load_slice_scorer, model_path
from bodycomp.analysis.series_scorer import slice_scorer
from bodycomp.data.folds import check_folds, fold_folder
from bodycomp.data.layout import SPLITS, data_digest, images_path, table_path
from bodycomp.digests import SHORT
from bodycomp.errors import UsageError
from bodycomp.evaluation.document import (
    SLICE_SELECTION_CSV,
    TEST_SPLIT,
    EvaluationDocument,
    count_steps,
)
from bodycomp.evaluation.level_rows import LevelRow
from bodycomp.evaluation.metrics import (
    SHARE_UNIT,
    Better,
    CaseMetric,
    absolute,
    compare,
    estimate,
    estimate_share,
    group_by,
    number,
    paired,
    share_metric,
    summarize,
    value_metric,
)
from bodycomp.evaluation.options import FOLDS, BootstrapOptions, EvaluateOptions
from bodycomp.evaluation.slice_set import SetSeries, locate_in_set, open_fold_series, open_series
from bodycomp.networks.checkpoint import load_model
from bodycomp.networks.model_folder import read_model_files
from bodycomp.networks.shipped import SLICE_SELECTION_FOLDER
from bodycomp.networks.targets import NEAR_MM
from bodycomp.progress import Progress
from bodycomp.results import LevelStatus
from bodycomp.tables import Cell

Floats = NDArray[np.float64]

SCORE_BIN_MM: Final = 10.0
CONFIDENCE_BINS: Final = 10
"""Of equal width over 0..1, as usual for the expected calibration error."""


def score_calibration(rows: Sequence[LevelRow]) -> list[dict[str, Any]]:
    """Return per bin of 10 mm of true offset what the network said of the slices in it.

    Bins hold their lower end, the last one both. ``median_error_mm`` and ``mean_error_mm`` are
    estimated minus true; scores saturate, so that far slices are estimated nearer than they are.
    """
    if not rows:
        return []
    true_mm = np.concatenate([row.near_true_mm for row in rows]).astype(np.float64)
    estimated_mm = np.concatenate([row.near_estimated_mm for row in rows]).astype(np.float64)
    count = int(2 * NEAR_MM / SCORE_BIN_MM)
    place = np.clip(np.floor((true_mm + NEAR_MM) / SCORE_BIN_MM).astype(int), 0, count - 1)
    bins = []
    for index in range(count):
        true, estimated = true_mm[place == index], estimated_mm[place == index]
        numbers: dict[str, tuple[Callable[[Floats], Any], Floats]] = {
            "mean_true_mm": (np.mean, true),
            "mean_estimated_mm": (np.mean, estimated),
            "mean_error_mm": (np.mean, estimated - true),
            "median_error_mm": (np.median, estimated - true),
            "mean_absolute_error_mm": (np.mean, np.abs(estimated - true)),
        }
        low_mm = -NEAR_MM + index * SCORE_BIN_MM
        bins.append(
            {"from_mm": low_mm, "to_mm": low_mm + SCORE_BIN_MM, "n": true.size}
            | {name: float(of(own)) if true.size else None for name, (of, own) in numbers.items()}
        )
    return bins


def confidence_calibration(rows: Sequence[LevelRow], options: BootstrapOptions) -> dict[str, Any]:
    """Return per bin of confidence how many positions are right, and how far off it is on average.

    Positions that were given and whose truth is known; one in a series without the level is wrong
    unless it lies within 10 mm of where the level is, beyond the end. The expected calibration
    error is the mean over bins of the distance between mean confidence and share of right
    positions, weighted by their number (Naeini, AAAI 2015); it is never 0 for few cases, even of a
    perfect confidence.
    """
    given = [row for row in rows if row.confidence is not None and row.is_present is not None]
    patients = [row.patient for row in given]
    table = [(row.confidence or 0.0, float(row.is_within(CLOSE_MM) or False)) for row in given]
    numbers = {
        "mean_confidence": estimate(MEAN, [(c,) for c, _ in table], patients, options),
        "share_right": estimate_share([bool(r) for _, r in table], patients, options),
        "expected_calibration_error": estimate(
            EXPECTED_CALIBRATION_ERROR, table, patients, options
        ),
    }
    return {
        "within_mm": CLOSE_MM,
        "bins": _confidence_bins(given, options),
        **{name: number(interval, SHARE_UNIT) for name, interval in numbers.items()},
    }


def _confidence_bins(rows: Sequence[LevelRow], options: BootstrapOptions) -> list[dict[str, Any]]:
    confidence = np.array([row.confidence for row in rows], np.float64)
    place = _bin_of(confidence)
    bins = []
    for index in range(CONFIDENCE_BINS):
        own = [row for row, at in zip(rows, place, strict=True) if at == index]
        right = [bool(row.is_within(CLOSE_MM)) for row in own]
        share = estimate_share(right, [row.patient for row in own], options)
        bins.append(
            {
                "from": index / CONFIDENCE_BINS,
                "to": (index + 1) / CONFIDENCE_BINS,
                "n": len(own),
                "mean_confidence": float(confidence[place == index].mean()) if own else None,
                "share_right": number(share, SHARE_UNIT),
            }
        )
    return bins


def _bin_of(confidence: Floats) -> NDArray[np.intp]:
    """Return the bin of each confidence; bins hold their lower end, the last one both."""
    place = np.floor(confidence * CONFIDENCE_BINS).astype(np.intp)
    clipped: NDArray[np.intp] = np.clip(place, 0, CONFIDENCE_BINS - 1)
    return clipped


def _calibration_error(values: Floats, weights: Floats) -> Floats:
    gaps = values[:, 0] - values[:, 1]
    member = np.zeros((len(values), CONFIDENCE_BINS))
    member[np.arange(len(values)), _bin_of(values[:, 0])] = 1
    # |sum of a bin's gaps| is its number times the distance of its two means.
    total = weights.sum(axis=1)
    per_bin = np.abs(weights @ (gaps[:, None] * member)).sum(axis=1)
    error: Floats = per_bin / np.where(total == 0, np.nan, total)
    return error


EXPECTED_CALIBRATION_ERROR: Final = Statistic(
    _calibration_error, 2, "no level was located whose place is known"
)
"""Columns: confidence, and 1 for right or 0 for wrong."""


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
    """Evaluate slice-selection models on a set."""
    data_dir, split = options.truths.slice_selection, options.truths.split or TEST_SPLIT
    if data_dir is None or options.models is None:
        return
    if any(images_path(data_dir, name).exists() for name in SPLITS):
        raise UsageError(
            f"expected a slice-selection training set, found one for segmentation: {data_dir}",
            hint="Give it as --segmentation.",
        )
    sets = [
        _opened(models, data_dir, split, options)
        for models in (options.models, options.against)
        if models
    ]
    total = sum(series.slice_count for own in sets for series, _ in own.pairs)
    done = count_steps(progress, STAGE, total)
    models = [
        [row for series, scorer in own.pairs for row in locate_in_set(series, scorer, done)]
        for own in sets
    ]
    document.add_digests(STAGE, tuple(own.digest for own in sets))
    first = [series for series, _ in sets[0].pairs]
    document.data[STAGE] = _data(data_dir, split, first)
    document.warn_of_split(split)
    if not all(series.patients_known for series in first):
        document.warn(
            "the slice-selection set does not say whose the series are: each counts as a patient "
            "of its own"
        )
    add_levels(document, SOURCE, models, options.bootstrap)


@dataclass(frozen=True, eq=False)
class _Located:
    """Series to locate levels in, each with the model that does, and the digest of all models."""

    pairs: list[tuple[SetSeries, NetworkSliceScorer]]
    digest: str


def _opened(models: Path, data_dir: Path, split: str, options: EvaluateOptions) -> _Located:
    """Open a split; of folds, each series goes with the model that did not learn from it."""
    identifiers = options.identifiers
    if split != FOLDS:
        scorer = load_slice_scorer(models, device=options.device, engine=options.engine)
        series = open_series(data_dir, split, scorer.levels, identifiers=identifiers)
        return _Located([(series, scorer)], scorer.digest)
    run = model_path(models, SLICE_SELECTION_FOLDER)
    check_folds(run)
    card, _, digest = read_model_files(run)
    pairs = []
    for fold, held_out in open_fold_series(
        data_dir, run, card.levels, identifiers=identifiers
    ).items():
        scorer = slice_scorer(
            load_model(fold_folder(run, fold), task="slice_selection"),
            device=options.device,
            engine=options.engine,
        )
        pairs += [(series, scorer) for series in held_out]
    return _Located(pairs, digest[:SHORT])


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


def _data(data_dir: Path, split: str, series: Sequence[SetSeries]) -> dict[str, Cell]:
    splits = {own.split.name: own.split for own in series}
    files = [
        file
        for own in splits.values()
        for file in (table_path(data_dir, own.name), *map(own.png_path, range(len(own))))
    ]
    return {
        "kind": "slice-selection training set",
        "digest": data_digest(data_dir, files, {}),
        "split": split,
        "slices": sum(map(len, splits.values())),
        "cases": sum(len(own.names) for own in series),
        "patients": len({names.patient for own in series for names in own.names}),
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
