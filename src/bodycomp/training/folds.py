"""A training in folds: one run after the other in one folder, which resumes as a whole."""

from __future__ import annotations

import csv
import json
import logging
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any, Final

from bodycomp.data.folds import FOLDS_NAME, fold_folder, read_folds
from bodycomp.errors import InputNotFoundError, OutputError, RunInterruptedError
from bodycomp.networks.ensemble_folder import save_ensemble
from bodycomp.networks.model_folder import CARD_NAME, RUN_SUBFOLDER, read_model_files
from bodycomp.progress import Progress
from bodycomp.training.fit import train_run
from bodycomp.training.machine.ranks import outer_ranks
from bodycomp.training.options import RunOptions, command_line
from bodycomp.training.run_folder import (
    RunFolder,
    check_name,
    read_args,
    write_metrics,
)
from bodycomp.training.starting_point import task_for

log = logging.getLogger(__name__)

FOLDS_TABLE: Final = "folds.csv"


def train(options: RunOptions, progress: bool | Progress = False) -> Path:
    """Train one model, or one per fold; return the run's folder.

    Raises:
        As ``fit.train_segmentation``.
    """
    if options.folds is None or options.fold is not None:
        return train_run(options, progress)
    return _train_folds(options, options.folds, progress)


def fold_options(options: RunOptions, fold: int) -> RunOptions:
    """Return the options of one fold of a training, which gets its share of the time."""
    minutes = None if options.max_minutes is None else options.max_minutes / (options.folds or 1)
    return replace(options, fold=fold, max_minutes=minutes)


def _train_folds(options: RunOptions, count: int, progress: bool | Progress) -> Path:
    path, is_first = options.output_dir / check_name(options.name), outer_ranks().is_first
    check_place(path, resume=options.resume)
    for fold in range(1, count + 1):
        own, folder = fold_options(options, fold), RunFolder(fold_folder(path, fold))
        if _is_finished(folder, own):
            log.info("fold %d of %d is finished", fold, count)
            continue
        begun = folder.last_checkpoint.is_file() or folder.previous_checkpoint.is_file()
        if folder.path.exists() and not begun and is_first:
            shutil.rmtree(folder.path)  # it ended before its first step was kept
        log.info("fold %d of %d", fold, count)
        try:
            train_run(replace(own, resume=begun), progress)
        except RunInterruptedError:
            again = command_line(replace(options, resume=True))
            log.info("\nTo resume with all folds:\n  %s", again)
            raise
    if is_first:
        _keep_ensemble(path)
        _summarize(options, path, count)
    return path


def _keep_ensemble(run: Path) -> None:
    """Write the ensemble of all folds; one of these very models stays, with all that its card says.

    Words, numbers and intervals may have been added to it since.
    """
    paths, folder = fold_models(run), run / RUN_SUBFOLDER
    if (folder / CARD_NAME).is_file():
        members = read_model_files(folder)[0].training.get("members", ())
        digests = [read_model_files(path)[2] for path in paths]
        if [member.get("digest") for member in members] == digests:
            return
    save_ensemble(paths, folder, of_folds=True, overwrite=True)


def fold_models(run: Path) -> list[Path]:
    """Return the folders of all folds of a training.

    Raises:
        TrainingSetError: Its ``folds.json`` is damaged.
        InputNotFoundError: A fold was not trained.
    """
    paths = [fold_folder(run, fold) for fold in range(1, read_folds(run / FOLDS_NAME)["folds"] + 1)]
    for path in paths:
        if not RunFolder(path).model.is_dir():
            raise InputNotFoundError(
                f"expected a model of each fold, found none in {path}",
                hint="'bodycomp train ... --folds N --resume' trains the folds that are missing.",
            )
    return paths


def check_place(path: Path, *, resume: bool) -> None:
    """Refuse to write folds where another run lies.

    Raises:
        OutputError: It does.
    """
    if path.exists() and not resume:
        raise OutputError(
            f"a run of this name exists: {path}",
            hint="Give another --name, or add --resume to continue it.",
        )
    if path.exists() and not (path / FOLDS_NAME).is_file() and RunFolder(path).args.is_file():
        raise OutputError(
            f"expected a training with --folds in {path}, found one without",
            hint="Leave --folds out to resume it, or give another --name.",
        )


def _is_finished(folder: RunFolder, options: RunOptions) -> bool:
    """Whether a fold was trained to the end that the options ask for."""
    if not (folder.manifest.is_file() and folder.args.is_file()):
        return False
    state = json.loads(folder.manifest.read_text(encoding="utf-8")).get("exit_state")
    before = read_args(folder)
    same = all(before.get(key) == getattr(options, key) for key in ("epochs", "max_minutes"))
    return bool(state == "finished" and same)


def _summarize(options: RunOptions, path: Path, count: int) -> None:
    """Write the best epoch of every fold as a table, and say what came out."""
    rows: list[dict[str, Any]] = [
        {"fold": fold, **_best_row(RunFolder(fold_folder(path, fold)))}
        for fold in range(1, count + 1)
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    write_metrics(path / FOLDS_TABLE, [{n: row.get(n) for n in names} for row in rows])
    headline = task_for(options).headline
    scores = [float(row["score"]) for row in rows if row.get("score") is not None]
    said = [headline.words(score) for score in (*scores, mean(scores))] if scores else ["none"]
    kind = options.task.replace("_", "-")
    evaluate = ["bodycomp", "evaluate", str(options.output_dir), f"--{kind}", str(options.data_dir)]
    log.info(
        "\n%s",
        "\n".join(
            [
                f"Finished: {count} folds",
                *(f"  fold {n}: {words}" for n, words in enumerate(said[:-1], start=1)),
                f"  on average {said[-1]}",
                f"  model     {path / RUN_SUBFOLDER} (ensemble of all)",
                f"  table     {path / FOLDS_TABLE}",
                "Next:",
                f"  {shlex.join([*evaluate, '--split', 'folds', '--out', f'{path}-folds'])}",
            ]
        ),
    )


def _best_row(folder: RunFolder) -> Mapping[str, Any]:
    """Return the metrics of a run's best epoch, and its score."""
    manifest = json.loads(folder.manifest.read_text(encoding="utf-8"))
    best = manifest.get("best_epoch")
    with folder.metrics.open(encoding="utf-8", newline="") as stream:
        row: dict[str, str] = next(
            (row for row in csv.DictReader(stream) if row["epoch"] == str(best)), {}
        )
    metrics = {name: float(cell) for name, cell in row.items() if name.startswith("val_") and cell}
    samples = manifest.get("data", {}).get("sizes", {})
    return {
        "train_samples": samples.get("train"),
        "held_out_samples": samples.get("val"),
        "best_epoch": best,
        "score": manifest.get("best_score"),
        **metrics,
    }
