"""Slices with masks: a model against a training set's split, or masks made anywhere."""

from __future__ import annotations

from pathlib import Path

from bodycomp.analysis.loading import model_path
from bodycomp.data.layout import segmentation_files
from bodycomp.data.set_digest import data_digest
from bodycomp.errors import UsageError
from bodycomp.evaluation.chosen_cases import TEST_SPLIT, split_warnings
from bodycomp.evaluation.comparison import paired
from bodycomp.evaluation.document import Evaluation
from bodycomp.evaluation.mask_files import OWN_LABELS, MaskOptions, evaluate_masks
from bodycomp.evaluation.options import EvaluateOptions
from bodycomp.evaluation.outline_rows import (
    OutlineRow,
    compare_outlines,
    outline_rows,
    segmentation_section,
)
from bodycomp.evaluation.segmentation import SegmenterRun, evaluate_segmenter
from bodycomp.evaluation.tables import SEGMENTATION_CSV, outline_cells, write_rows
from bodycomp.networks.checkpoint import load_model
from bodycomp.networks.model_folder import SEGMENTATION_FOLDER
from bodycomp.progress import Progress

STAGE = "segmentation"


def run_segmentation_set(
    options: EvaluateOptions, folder: Path, progress: Progress, evaluation: Evaluation
) -> None:
    """Evaluate segmentation models on a set; see ``evaluate_segmenter`` for what is refused."""
    data_dir, split = options.truths.segmentation, options.truths.split or TEST_SPLIT
    if data_dir is None or options.models is None:
        return
    _check_kind(data_dir)
    places = [model_path(m, SEGMENTATION_FOLDER) for m in (options.models, options.against) if m]
    runs = [
        evaluate_segmenter(path, data_dir, split, device=options.device, engine=options.engine)
        for path in places
    ]
    total, done = sum(len(run) for run in runs), 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(STAGE, done, total)

    models = [outline_rows(run, step, identifiers=options.identifiers) for run in runs]
    evaluation.add_digests("segmentation", tuple(run.model for run in runs))
    digest = _digest(data_dir)
    evaluation.data[STAGE] = {
        "kind": "segmentation training set",
        "digest": digest,
        "split": split,
        "cases": len({row.case for row in models[0]}),
        "patients": _patients(models[0]),
        "is_training_set_of_the_model": _is_trained_on(places[0], digest),
    }
    evaluation.warn(*split_warnings(split), *_unknown(runs[0]))
    _write(options, folder, models, evaluation)


def run_masks(
    options: EvaluateOptions, folder: Path, progress: Progress, evaluation: Evaluation
) -> None:
    """Evaluate masks made anywhere; see ``evaluate_masks`` for what is refused."""
    truths = options.truths
    if truths.masks is None or truths.truth is None:
        return
    labels = options.form.mapping or OWN_LABELS
    masks = MaskOptions(scan=truths.scan, predicted_labels=OWN_LABELS, truth_labels=labels)
    run = evaluate_masks(truths.masks, truths.truth, masks)
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(STAGE, done, 0)

    rows = outline_rows(run, step, identifiers=options.identifiers)
    evaluation.data[STAGE] = {
        "kind": "masks",
        "files": len(run.pairs),
        "cases": len({row.case for row in rows}),
        "patients": _patients(rows),
    }
    _write(options, folder, [rows], evaluation)


def _write(
    options: EvaluateOptions,
    folder: Path,
    models: list[list[OutlineRow]],
    evaluation: Evaluation,
) -> None:
    evaluation.sections[STAGE] = segmentation_section(models[0], options.bootstrap)
    if len(models) > 1:
        pairs = paired(models, lambda row: (row.case, row.tissue), "tissues")
        evaluation.comparison[STAGE] = compare_outlines(pairs, options.bootstrap)
    write_rows(folder / SEGMENTATION_CSV, models, outline_cells)


def _patients(rows: list[OutlineRow]) -> int | None:
    return len({row.patient for row in rows if row.patient is not None}) or None


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


def _digest(data_dir: Path) -> str:
    """Return the digest of all splits, which is what a training writes down of its set."""
    return data_digest(data_dir, segmentation_files(data_dir), {})


def _is_trained_on(model: Path, digest: str) -> bool | None:
    """Return whether the model's card names this set; None where it names none."""
    named = load_model(model).card.training.get("data", {}).get("digest", "")
    return named == digest if named else None


def _unknown(run: SegmenterRun) -> list[str]:
    told = []
    if not run.patients_known:
        told.append(
            "the segmentation set has no manifest that says whose slices these are: its numbers "
            "have no intervals"
        )
    if not run.spacing_known:
        told.append(
            "the segmentation set has no manifest that states the size of pixels: areas and "
            "distances are undefined"
        )
    return told
