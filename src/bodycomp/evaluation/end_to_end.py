"""Areas and densities as an analysis gives them against the truth, and where errors come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bodycomp.agreement.masks import MaskAgreement
from bodycomp.agreement.statistics import (
    BIAS,
    DIFFERENCE_SD,
    ICC_2_1,
    LIN_CONCORDANCE,
    LOWER_LIMIT,
    MEAN,
    PEARSON,
    UPPER_LIMIT,
)
from bodycomp.evaluation.case_run import CaseOutcomes
from bodycomp.evaluation.estimates import BootstrapOptions, ratio_of_sums
from bodycomp.evaluation.metrics import Better, Metric, compare, summarise
from bodycomp.evaluation.tissue_rows import TissueRow
from bodycomp.results import Quantity

Pair = Callable[[TissueRow], tuple[float, float] | None]
Values = Callable[[TissueRow], Sequence[float] | None]


def _areas(row: TissueRow) -> tuple[float, float] | None:
    if row.measured is None or row.true is None:
        return None
    return row.measured.area_cm2, row.true.area_cm2


def _densities(row: TissueRow) -> tuple[float, float] | None:
    if row.measured is None or row.true is None:
        return None
    if row.measured.mean_hu is None or row.true.mean_hu is None:
        return None
    return row.measured.mean_hu, row.true.mean_hu


def _relative_error(row: TissueRow) -> tuple[float] | None:
    error_cm2 = row.total_error_cm2
    if error_cm2 is None or row.true is None or row.true.area_cm2 == 0:
        return None
    return (abs(error_cm2) / row.true.area_cm2,)


def _absolute(pair: Pair) -> Values:
    return lambda row: None if (both := pair(row)) is None else (abs(both[0] - both[1]),)


def _agreement(pair: Pair, unit: str, suffix: str) -> tuple[Metric[TissueRow], ...]:
    return (
        Metric(f"bias_{suffix}", unit, BIAS, pair),
        Metric(f"difference_sd_{suffix}", unit, DIFFERENCE_SD, pair),
        Metric(f"lower_limit_{suffix}", unit, LOWER_LIMIT, pair),
        Metric(f"upper_limit_{suffix}", unit, UPPER_LIMIT, pair),
        Metric(f"mean_absolute_error_{suffix}", unit, MEAN, _absolute(pair), Better.SMALLER),
        Metric("pearson", "1", PEARSON, pair),
        Metric("lin_concordance", "1", LIN_CONCORDANCE, pair, Better.LARGER),
        Metric("icc_2_1", "1", ICC_2_1, pair, Better.LARGER),
    )


AREA_METRICS: Final = (
    *_agreement(_areas, "cm2", "cm2"),
    Metric("mean_absolute_relative_error", "1", MEAN, _relative_error, Better.SMALLER),
)
DENSITY_METRICS: Final = _agreement(_densities, "[hnsf'U]", "hu")


def _part(of: Callable[[TissueRow], float | None], *, absolute: bool) -> Values:
    def values(row: TissueRow) -> tuple[float] | None:
        # All parts are of the same cases, those with a total, so that they add up.
        error_cm2 = None if row.total_error_cm2 is None else of(row)
        if error_cm2 is None:
            return None
        return (abs(error_cm2) if absolute else error_cm2,)

    return values


def _parts(row: TissueRow) -> tuple[float, float] | None:
    outline_cm2, slice_cm2 = row.outline_error_cm2, row.slice_error_cm2
    if outline_cm2 is None or slice_cm2 is None:
        return None
    return abs(outline_cm2), abs(slice_cm2)


_ERRORS: Final[Mapping[str, Callable[[TissueRow], float | None]]] = {
    "outline": lambda row: row.outline_error_cm2,
    "slice": lambda row: row.slice_error_cm2,
    "total": lambda row: row.total_error_cm2,
}

PART_METRICS: Final = (
    *(
        Metric(f"{part}_mean_error_cm2", "cm2", MEAN, _part(of, absolute=False))
        for part, of in _ERRORS.items()
    ),
    *(
        Metric(
            f"{part}_mean_absolute_error_cm2",
            "cm2",
            MEAN,
            _part(of, absolute=True),
            Better.SMALLER,
        )
        for part, of in _ERRORS.items()
    ),
    Metric("outline_share", "1", ratio_of_sums(0, 2), _parts),
    Metric("slice_share", "1", ratio_of_sums(1, 2), _parts),
)
"""Errors of the outline and of the slice add up to the total case by case, and so do their means.
Shares are those of the sums of absolute errors, which together may exceed the total."""


def _of_outline(quantity: Callable[[MaskAgreement], Quantity]) -> Values:
    return lambda row: None if (v := quantity(row.outline).value) is None else (v,)


OUTLINE_METRICS: Final = (
    Metric("mean_dice", "1", MEAN, _of_outline(lambda a: a.dice), Better.LARGER),
    Metric("mean_jaccard", "1", MEAN, _of_outline(lambda a: a.jaccard), Better.LARGER),
    Metric(
        "mean_hausdorff95_mm", "mm", MEAN, _of_outline(lambda a: a.hausdorff95_mm), Better.SMALLER
    ),
    Metric(
        "mean_surface_distance_mm",
        "mm",
        MEAN,
        _of_outline(lambda a: a.surface_distance_mm),
        Better.SMALLER,
    ),
)

GROUPS: Final[Mapping[str, tuple[Metric[TissueRow], ...]]] = {
    "area": AREA_METRICS,
    "mean_hu": DENSITY_METRICS,
    "parts": PART_METRICS,
    "outline": OUTLINE_METRICS,
}
"""``outline`` is of the network's mask at the true level, also where the level was not found."""


def end_to_end_section(outcomes: CaseOutcomes, options: BootstrapOptions) -> dict[str, Any]:
    """Return level -> counts and tissue -> groups of metrics."""
    rows = outcomes.tissues()
    undrawn = [level for case in outcomes.cases for level in case.undrawn]
    return {
        level: {
            "counts": counts(own) | {"without_mask_at_level": undrawn.count(level)},
            "tissues": tissues_section(own, options),
        }
        for level in dict.fromkeys(row.level for row in rows)
        for own in ([row for row in rows if row.level == level],)
    }


def tissues_section(rows: Sequence[TissueRow], options: BootstrapOptions) -> dict[str, Any]:
    """Return tissue -> group -> metrics of the rows of one level."""
    return {
        tissue: {group: summarise(metrics, own, options) for group, metrics in GROUPS.items()}
        for tissue in dict.fromkeys(row.tissue for row in rows)
        for own in ([row for row in rows if row.tissue == tissue],)
    }


def counts(rows: Sequence[TissueRow]) -> dict[str, Any]:
    """Return how many cases of one level were measured; those that were not are named."""
    drawn = dict.fromkeys(row.case for row in rows)
    missed = dict.fromkeys(row.case for row in rows if row.measured is None)
    partial = dict.fromkeys(row.case for row in rows if row.true is None)
    return {
        "cases": len(drawn),
        "partly_annotated": len(partial),
        "measured": len(drawn) - len(missed),
        "not_found": len(missed),
        "cases_not_found": list(missed),
    }


def compare_tissues(
    pairs: Sequence[tuple[TissueRow, TissueRow]], options: BootstrapOptions
) -> dict[str, Any]:
    """Return level -> tissue -> group -> metric -> paired difference of two models."""
    keys = dict.fromkeys((first.level, first.tissue) for first, _ in pairs)
    compared: dict[str, Any] = {}
    for level, tissue in keys:
        own = [pair for pair in pairs if (pair[0].level, pair[0].tissue) == (level, tissue)]
        compared.setdefault(level, {})[tissue] = {
            group: compare(metrics, own, options) for group, metrics in GROUPS.items()
        }
    return compared
