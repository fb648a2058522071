"""Areas and attenuation as an analysis gives them against the truth, and where errors come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.agreement.masks import MaskAgreement, compare_masks
from bodycomp.agreement.statistics import (
    BIAS,
    DIFFERENCE_SD,
    ICC_2_1,
    LIN_CONCORDANCE,
    LOWER_LIMIT,
    PEARSON,
    UPPER_LIMIT,
)
from bodycomp.analysis.measurement import measure_tissues
from bodycomp.analysis.pipeline import Segmenter
from bodycomp.analysis.quality_flags import touches_area
from bodycomp.anatomy import NOT_ANNOTATED_LABEL
from bodycomp.evaluation.annotated_case import AnnotatedCase
from bodycomp.evaluation.document import END_TO_END_CSV, EvaluationDocument
from bodycomp.evaluation.level_rows import SeriesNames
from bodycomp.evaluation.metrics import (
    Better,
    CaseMetric,
    absolute,
    compare,
    group_by,
    overlap_metrics,
    paired,
    ratio_of_sums,
    share_metric,
    summarize,
    value_metric,
)
from bodycomp.evaluation.options import BootstrapOptions
from bodycomp.results import LevelResult, Measurement
from bodycomp.tables import Cell


@dataclass(frozen=True, slots=True)
class TissueRow:
    """A tissue that was annotated at a level, a row of ``end_to_end.csv``.

    The total error is the sum of the segmentation's error, at the true level, and of the slice's,
    which is what going from the true level to the found one changes. ``true`` is None where a part
    of the slice was not annotated, ``measured`` where the analysis did not find the level;
    ``agreement`` is of the masks at the true level; ``is_flagged`` says that a flag touches the
    measured area.
    """

    case: str
    patient: str
    level: str
    tissue: str
    true: Measurement | None = field(repr=False)
    segmented: Measurement = field(repr=False)
    measured: Measurement | None = field(repr=False)
    agreement: MaskAgreement = field(repr=False)
    is_flagged: bool = False

    @property
    def segmentation_error_cm2(self) -> float | None:
        """Segmented minus true area on the slice at the true level; None without the latter."""
        return None if self.true is None else self.segmented.area_cm2 - self.true.area_cm2

    @property
    def slice_error_cm2(self) -> float | None:
        """Area at the found level minus segmented area at the true one; None if not found."""
        return None if self.measured is None else self.measured.area_cm2 - self.segmented.area_cm2

    @property
    def is_in_interval(self) -> bool | None:
        """Whether the interval of the measured area holds the true one; None without both."""
        if self.measured is None or self.true is None:
            return None
        low_cm2, high_cm2 = self.measured.area_pi90_low_cm2, self.measured.area_pi90_high_cm2
        if low_cm2 is None or high_cm2 is None:
            return None
        return low_cm2 <= self.true.area_cm2 <= high_cm2

    @property
    def total_error_cm2(self) -> float | None:
        """Area at the found level minus true area at the true level; None without one of them."""
        if self.measured is None or self.true is None:
            return None
        return self.measured.area_cm2 - self.true.area_cm2

    def cells(self) -> Mapping[str, Cell]:
        """Return a row of the table."""
        sides = {"true": self.true, "segmented": self.segmented, "measured": self.measured}
        return {
            "case": self.case,
            "patient": self.patient,
            "level": self.level,
            "tissue": self.tissue,
            **{f"{name}_area_cm2": None if m is None else m.area_cm2 for name, m in sides.items()},
            "segmentation_error_cm2": self.segmentation_error_cm2,
            "slice_error_cm2": self.slice_error_cm2,
            "total_error_cm2": self.total_error_cm2,
            **{f"{name}_mean_hu": None if m is None else m.mean_hu for name, m in sides.items()},
            "dice": self.agreement.dice.value,
            "hausdorff95_mm": self.agreement.hausdorff95_mm.value,
            "surface_distance_mm": self.agreement.surface_distance_mm.value,
        }


def tissue_rows(
    series: SeriesNames,
    case: AnnotatedCase,
    level: LevelResult,
    segmenter: Segmenter,
    masks: Mapping[int, NDArray[np.uint8]],
) -> list[TissueRow]:
    """Return the rows of one level; none where there is no mask of it.

    ``masks`` holds labels by the network, at least of the slice at the true level.
    """
    index = case.mask_slice(level.choice.level)
    if case.masks is None or index is None:
        return []
    volume, truth = case.scan.volume, case.masks.labels[index]
    tissues = tuple(tissue for tissue in segmenter.tissues if tissue in case.tissues)
    hu = volume.hu[index]
    is_whole = not (truth == NOT_ANNOTATED_LABEL).any()
    true = measure_tissues(hu, truth, tissues, volume.pixel_area_mm2) if is_whole else {}
    segmented = measure_tissues(hu, masks[index], tissues, volume.pixel_area_mm2)
    agreements = compare_masks(masks[index], truth, tissues, volume.pixel_spacing_mm, hu)
    return [
        TissueRow(
            case=series.case,
            patient=series.patient,
            level=level.choice.level,
            tissue=tissue.key,
            true=true.get(tissue.key),
            segmented=segmented[tissue.key],
            measured=level.measurements.get(tissue.key),
            agreement=agreements[tissue.key],
            is_flagged=touches_area(level.flags, tissue.key),
        )
        for tissue in tissues
    ]


# --- what the rows come to ------------------------------------------------------------------------

Pair = Callable[[TissueRow], tuple[float, float] | None]
Value = Callable[[TissueRow], float | None]


def _pair(of: Callable[[Measurement], float | None]) -> Pair:
    """Return what gives a number as measured and as it is true, if there are both."""

    def pair(row: TissueRow) -> tuple[float, float] | None:
        if row.measured is None or row.true is None:
            return None
        found, true = of(row.measured), of(row.true)
        return None if found is None or true is None else (found, true)

    return pair


def _relative_error(row: TissueRow) -> float | None:
    error_cm2 = row.total_error_cm2
    if error_cm2 is None or row.true is None or row.true.area_cm2 == 0:
        return None
    return abs(error_cm2) / row.true.area_cm2


def _agreement(pair: Pair, unit: str, suffix: str) -> Iterator[CaseMetric[TissueRow]]:
    def error(row: TissueRow) -> float | None:
        return None if (both := pair(row)) is None else both[0] - both[1]

    yield CaseMetric(f"bias_{suffix}", unit, BIAS, pair)
    yield CaseMetric(f"difference_sd_{suffix}", unit, DIFFERENCE_SD, pair)
    yield CaseMetric(f"lower_limit_{suffix}", unit, LOWER_LIMIT, pair)
    yield CaseMetric(f"upper_limit_{suffix}", unit, UPPER_LIMIT, pair)
    yield value_metric(f"mean_absolute_error_{suffix}", unit, absolute(error), Better.SMALLER)
    yield CaseMetric("pearson", "1", PEARSON, pair)
    yield CaseMetric("lin_concordance", "1", LIN_CONCORDANCE, pair, Better.LARGER)
    yield CaseMetric("icc_2_1", "1", ICC_2_1, pair, Better.LARGER)


_ERRORS: Final[Mapping[str, Value]] = {
    # All are of the same cases, those with a total, so that they add up.
    "segmentation": lambda r: None if r.total_error_cm2 is None else r.segmentation_error_cm2,
    "slice": lambda r: None if r.total_error_cm2 is None else r.slice_error_cm2,
    "total": lambda r: r.total_error_cm2,
}


def _error_metrics() -> Iterator[CaseMetric[TissueRow]]:
    for name, of in _ERRORS.items():
        yield value_metric(f"{name}_mean_error_cm2", "cm2", of)
    for name, of in _ERRORS.items():
        key = f"{name}_mean_absolute_error_cm2"
        yield value_metric(key, "cm2", absolute(of), Better.SMALLER)
    yield CaseMetric("segmentation_share", "1", ratio_of_sums(0), _both_errors)
    yield CaseMetric("slice_share", "1", ratio_of_sums(1), _both_errors)


def _both_errors(row: TissueRow) -> tuple[float, float] | None:
    segmentation_cm2, slice_cm2 = row.segmentation_error_cm2, row.slice_error_cm2
    if segmentation_cm2 is None or slice_cm2 is None:
        return None
    return abs(segmentation_cm2), abs(slice_cm2)


GROUPS: Final[Mapping[str, Sequence[CaseMetric[TissueRow]]]] = {
    "area": (
        *_agreement(_pair(lambda m: m.area_cm2), "cm2", "cm2"),
        value_metric("mean_absolute_relative_error", "1", _relative_error, Better.SMALLER),
        share_metric("in_interval", lambda row: row.is_in_interval),
    ),
    "mean_hu": tuple(_agreement(_pair(lambda m: m.mean_hu), "[hnsf'U]", "hu")),
    "parts": tuple(_error_metrics()),
    "segmentation": overlap_metrics(lambda row: row.agreement),
}
"""``parts``: errors of the segmentation and of the slice add up to the total case by case, and so
do their means; shares are those of the sums of absolute errors, which together may exceed the
total. ``segmentation`` is of the network's mask at the true level, also where the level was not
found."""


def add_tissues(
    document: EvaluationDocument,
    models: Sequence[Sequence[TissueRow]],
    without_mask: Sequence[str],
    options: BootstrapOptions,
) -> None:
    """Note the tissues by one or two models; ``without_mask`` as for ``end_to_end_section``."""
    if not models[0]:
        return
    document.sections["end_to_end"] = end_to_end_section(models[0], without_mask, options)
    document.add_rows(END_TO_END_CSV, [[row.cells() for row in own] for own in models])
    if len(models) > 1:
        pairs = paired(models, lambda row: (row.case, row.level, row.tissue), "tissues")
        compared: dict[str, Any] = {}
        keys = group_by(pairs, lambda pair: (pair[0].level, pair[0].tissue))
        for (level, tissue), own in keys.items():
            compared.setdefault(level, {})[tissue] = {
                group: compare(metrics, own, options) for group, metrics in GROUPS.items()
            }
        document.comparison["end_to_end"] = compared


def end_to_end_section(
    rows: Sequence[TissueRow], without_mask: Sequence[str], options: BootstrapOptions
) -> dict[str, Any]:
    """Return level -> counts and tissue -> groups of metrics.

    ``without_mask`` has a level once for every case in whose scan it lies, without a mask.
    """
    return {
        level: {
            "counts": _counts(own) | {"without_mask_at_level": without_mask.count(level)},
            "tissues": {
                tissue: {
                    group: summarize(metrics, of_tissue, options)
                    for group, metrics in GROUPS.items()
                }
                for tissue, of_tissue in group_by(own, lambda row: row.tissue).items()
            },
        }
        for level, own in group_by(rows, lambda row: row.level).items()
    }


def _counts(rows: Sequence[TissueRow]) -> dict[str, Any]:
    """Return how many cases of one level were measured; those that were not are named."""
    annotated = dict.fromkeys(row.case for row in rows)
    missed = dict.fromkeys(row.case for row in rows if row.measured is None)
    partial = dict.fromkeys(row.case for row in rows if row.true is None)
    return {
        "cases": len(annotated),
        "partly_annotated": len(partial),
        "measured": len(annotated) - len(missed),
        "not_found": len(missed),
        "cases_not_found": list(missed),
    }
