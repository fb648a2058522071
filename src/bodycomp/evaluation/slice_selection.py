"""How well levels are located in whole series, and what the scores and confidences are worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from bodycomp.agreement.statistics import MEAN, MEDIAN, quantile
from bodycomp.evaluation.calibration import confidence_calibration, score_calibration
from bodycomp.evaluation.estimates import BootstrapOptions
from bodycomp.evaluation.level_rows import LevelRow
from bodycomp.evaluation.metrics import Better, Metric, compare, share_metric, summarise
from bodycomp.results import LevelStatus


def _signed(row: LevelRow) -> tuple[float] | None:
    error_mm = row.error_mm if row.is_present else None
    return None if error_mm is None else (error_mm,)


def _absolute(row: LevelRow) -> tuple[float] | None:
    error_mm = row.error_mm if row.is_present else None
    return None if error_mm is None else (abs(error_mm),)


def _found(row: LevelRow) -> bool | None:
    return row.is_found if row.is_present else None


def _false_finding(row: LevelRow) -> bool | None:
    return row.is_found if row.is_present is False else None


def _within(limit_mm: float) -> Metric[LevelRow]:
    return share_metric(
        f"within_{limit_mm:g}_mm",
        lambda row: row.is_within(limit_mm) if row.is_present else None,
        Better.LARGER,
    )


METRICS: Final[tuple[Metric[LevelRow], ...]] = (
    share_metric("found", _found, Better.LARGER),
    share_metric("false_findings", _false_finding, Better.SMALLER),
    Metric("mean_error_mm", "mm", MEAN, _signed),
    Metric("median_error_mm", "mm", MEDIAN, _signed),
    Metric("mean_absolute_error_mm", "mm", MEAN, _absolute, Better.SMALLER),
    Metric("median_absolute_error_mm", "mm", MEDIAN, _absolute, Better.SMALLER),
    Metric("p90_absolute_error_mm", "mm", quantile(0.9), _absolute, Better.SMALLER),
    _within(5.0),
    _within(10.0),
)
"""Shares are of the series that hold the level: one that was not found is not within 5 mm. Errors
are of those that were found; false findings of series that do not hold the level."""


def levels_section(rows: Sequence[LevelRow], options: BootstrapOptions) -> dict[str, Any]:
    """Return level -> counts and metrics."""
    return {
        level: {"counts": counts(own), "metrics": summarise(METRICS, own, options)}
        for level, own in by_level(rows)
    }


def slice_selection_section(rows: Sequence[LevelRow], options: BootstrapOptions) -> dict[str, Any]:
    """Return levels, calibration of the scores and calibration of the confidence."""
    return {
        "levels": levels_section(rows, options),
        "score_calibration": {level: score_calibration(own) for level, own in by_level(rows)},
        "confidence_calibration": confidence_calibration(rows, options),
    }


def compare_levels(
    pairs: Sequence[tuple[LevelRow, LevelRow]], options: BootstrapOptions
) -> dict[str, Any]:
    """Return level -> metric -> paired difference of two models."""
    levels = dict.fromkeys(first.level for first, _ in pairs)
    return {
        level: compare(METRICS, [pair for pair in pairs if pair[0].level == level], options)
        for level in levels
    }


def counts(rows: Sequence[LevelRow]) -> dict[str, int]:
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


def by_level(rows: Sequence[LevelRow]) -> Iterator[tuple[str, list[LevelRow]]]:
    """Yield levels in the order of their first row, with their rows."""
    for level in dict.fromkeys(row.level for row in rows):
        yield level, [row for row in rows if row.level == level]
