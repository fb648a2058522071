"""Slices with masks: a model against a training set's split, or masks made anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bodycomp.agreement.masks import ALL_TISSUES
from bodycomp.agreement.statistics import MEDIAN
from bodycomp.analysis.loading import model_path
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.data.layout import data_digest, masks_path, segmentation_files
from bodycomp.data.segmentation_set import SAMPLE_SHAPE
from bodycomp.errors import UsageError
from bodycomp.evaluation.area_intervals import AreaCase, add_intervals
from bodycomp.evaluation.document import (
    SEGMENTATION_CSV,
    TEST_SPLIT,
    EvaluationDocument,
    count_steps,
)
from bodycomp.evaluation.mask_files import OWN_LABELS, open_masks, pair_masks
from bodycomp.evaluation.metrics import (
    Better,
    CaseMetric,
    absolute,
    compare,
    group_by,
    overlap_metrics,
    paired,
    share_metric,
    summarize,
    value_metric,
)
from bodycomp.evaluation.options import FOLDS, BootstrapOptions, EvaluateOptions
from bodycomp.evaluation.segmentation_set import (
    SegmentedFolds,
    SegmentedSet,
    open_segmented_folds,
    open_segmented_set,
)
from bodycomp.evaluation.slice_masks import (
    QUANTITIES,
    SegmentationRow,
    SliceMasks,
    compare_slices,
    without_names,
)
from bodycomp.networks.card import ModelCard
from bodycomp.networks.shipped import SEGMENTATION_FOLDER
from bodycomp.progress import Progress
from bodycomp.results import Quantity

STAGE: Final = "segmentation"
MASKS_FOLDER: Final = "masks"
_HU: Final = "[hnsf'U]"


def _of(quantity: str) -> Callable[[SegmentationRow], float | None]:
    """Return what gives one of ``QUANTITIES``."""
    return lambda row: getattr(row.agreement, quantity).value


_area_error, _relative_error, _hu_error = map(
    _of, ("area_error_cm2", "relative_area_error", "mean_hu_error")
)

METRICS: Final[tuple[CaseMetric[SegmentationRow], ...]] = (
    *overlap_metrics(lambda row: row.agreement),
    value_metric("median_dice", "1", _of("dice"), Better.LARGER, MEDIAN),
    share_metric("in_interval", lambda row: row.is_in_interval),
    value_metric("mean_area_error_cm2", "cm2", _area_error),
    value_metric("mean_absolute_area_error_cm2", "cm2", absolute(_area_error), Better.SMALLER),
    value_metric("mean_relative_area_error", "1", _relative_error),
    value_metric(
        "mean_absolute_relative_area_error", "1", absolute(_relative_error), Better.SMALLER
    ),
    value_metric("mean_hu_error", _HU, _hu_error),
    value_metric("mean_absolute_hu_error", _HU, absolute(_hu_error), Better.SMALLER),
)


def evaluate_segmentation_set(
    options: EvaluateOptions, progress: Progress, document: EvaluationDocument, folder: Path
) -> None:
    """Evaluate segmentation models on a set; see ``open_segmented_set`` for what is refused.

    ``folder`` receives the masks, if they are to be kept.
    """
    data_dir, split = options.truths.segmentation, options.truths.split or TEST_SPLIT
    if data_dir is None or options.models is None:
        return
    _check_kind(data_dir)
    how = {"device": options.device, "engine": options.engine}
    sets = [
        open_segmented_folds(model_path(models, SEGMENTATION_FOLDER), data_dir, **how)
        if split == FOLDS
        else open_segmented_set(model_path(models, SEGMENTATION_FOLDER), data_dir, split, **how)
        for models in (options.models, options.against)
        if models
    ]
    done = count_steps(progress, STAGE, sum(len(one) for one in sets))
    kept = [_saved(sets[0], folder / MASKS_FOLDER) if options.save_masks else sets[0], *sets[1:]]
    models = [
        list(compare_slices(slices, one.tissues, done))
        for slices, one in zip(kept, sets, strict=True)
    ]
    models = [_with_coverage(rows, one.card) for rows, one in zip(models, sets, strict=True)]
    document.add_digests(STAGE, tuple(one.digest for one in sets))
    digest = data_digest(data_dir, segmentation_files(data_dir), {})
    named = sets[0].card.training.get("data", {}).get("digest", "")
    _add(
        options,
        models,
        document,
        {
            "kind": "segmentation training set",
            "digest": digest,
            "split": split,
            "is_training_set_of_the_model": named == digest if named else None,
        },
    )
    add_intervals(document, [area for row in models[0] for area in _area_case(row)], STAGE)
    document.warn_of_split(split)
    document.warn(*_unknown(sets[0]))


def _with_coverage(rows: list[SegmentationRow], card: ModelCard) -> list[SegmentationRow]:
    """Say of each row whether the card's interval of its area holds the true one."""
    intervals = card.area_intervals
    if intervals is None or not intervals.is_for(""):
        return rows

    def covered(row: SegmentationRow) -> bool | None:
        bounds = intervals.bounds(row.tissue)
        area, true = row.agreement.area_cm2.value, row.agreement.true_area_cm2.value
        if bounds is None or area is None or true is None:
            return None
        low_cm2, high_cm2 = bounds.around(area)
        return low_cm2 <= true <= high_cm2

    return [replace(row, is_in_interval=covered(row)) for row in rows]


def _area_case(row: SegmentationRow) -> Iterator[AreaCase]:
    """Yield the areas of a tissue of a known patient, where both are known."""
    found, true = row.agreement.area_cm2.value, row.agreement.true_area_cm2.value
    if row.patient is None or row.tissue == ALL_TISSUES or found is None or true is None:
        return
    yield AreaCase(row.patient, row.tissue, found, true)


def evaluate_masks(
    options: EvaluateOptions, progress: Progress, document: EvaluationDocument
) -> None:
    """Evaluate masks made anywhere; see ``pair_masks`` and ``open_masks`` for what is refused."""
    truths = options.truths
    if truths.masks is None or truths.truth is None:
        return
    pairs = pair_masks(truths.masks, truths.truth, truths.scan)
    slices = open_masks(pairs, options.form.mapping or OWN_LABELS)
    rows = list(compare_slices(slices, ABDOMINAL_TISSUES, count_steps(progress, STAGE)))
    _add(options, [rows], document, {"kind": "masks", "files": len(pairs)})


def _add(
    options: EvaluateOptions,
    models: Sequence[list[SegmentationRow]],
    document: EvaluationDocument,
    data: dict[str, Any],
) -> None:
    """Note what the rows of one or two models come to."""
    if not options.identifiers:
        models = [without_names(rows) for rows in models]
    first = models[0]
    section = segmentation_section(first, options.bootstrap)
    counts = section["counts"]
    document.data[STAGE] = data | {"cases": counts["slices"], "patients": counts["patients"]}
    document.sections[STAGE] = section
    if len(models) > 1:
        pairs = paired(models, lambda row: (row.case, row.tissue), "tissues")
        document.comparison[STAGE] = {
            tissue: compare(METRICS, own, options.bootstrap)
            for tissue, own in group_by(pairs, lambda pair: pair[0].tissue).items()
        }
    document.add_rows(SEGMENTATION_CSV, [[row.cells() for row in rows] for rows in models])


def segmentation_section(
    rows: Sequence[SegmentationRow], options: BootstrapOptions
) -> dict[str, Any]:
    """Return counts, and tissue -> metrics and why slices are missing from them."""
    known = {row.patient for row in rows if row.patient is not None}
    return {
        "counts": {"slices": len({row.case for row in rows}), "patients": len(known) or None},
        "tissues": {
            tissue: {"metrics": summarize(METRICS, own, options), "undefined": _undefined(own)}
            for tissue, own in group_by(rows, lambda row: row.tissue).items()
        },
    }


def _undefined(rows: Sequence[SegmentationRow]) -> dict[str, dict[str, int]]:
    """Return quantity -> reason -> slices on which it is undefined for that reason."""
    undefined: dict[str, dict[str, int]] = {}
    for row in rows:
        for name in QUANTITIES:
            found: Quantity = getattr(row.agreement, name)
            if found.value is None:
                reasons = undefined.setdefault(name, {})
                reasons[found.reason] = reasons.get(found.reason, 0) + 1
    return undefined


def _check_kind(data_dir: Path) -> None:
    """Refuse a set of the other kind with words that say so.

    Raises:
        UsageError: It is a slice-selection set.
    """
    if (data_dir / "images").is_dir() and (data_dir / "meta").is_dir():
        raise UsageError(
            f"expected a segmentation training set, found one for slice selection: {data_dir}",
            hint="Give it as --slice-selection.",
        )


def _saved(slices: SegmentedSet | SegmentedFolds, folder: Path) -> Iterator[SliceMasks]:
    """Yield the slices, and write their masks as arrays in the form of the set's own."""
    folder.mkdir()
    arrays = {
        split: np.lib.format.open_memmap(
            masks_path(folder, split), "w+", np.uint8, (count, *SAMPLE_SHAPE)
        )
        for split, count in slices.sizes.items()
    }
    for one in slices:
        arrays[one.source][one.index, :, :, 0] = one.mask
        yield one
    for array in arrays.values():
        array.flush()


def _unknown(one: SegmentedSet | SegmentedFolds) -> list[str]:
    unknown = []
    if not any(origin.patient for origin in one.origins):
        unknown.append(
            "the segmentation set has no manifest that says whose slices these are: its numbers "
            "have no intervals"
        )
    if not any(origin.pixel_spacing_mm for origin in one.origins):
        unknown.append(
            "the segmentation set has no manifest that states the size of pixels: areas and "
            "distances are undefined"
        )
    return unknown
