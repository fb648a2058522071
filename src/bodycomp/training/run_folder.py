"""The folder that a run leaves: its files, how it is made, and what a resume must match."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bodycomp.data.folds import FOLDS_NAME, fold_folder
from bodycomp.errors import InputNotFoundError, OutputError, UsageError
from bodycomp.options import Record, declared, default_of, plain, recorded
from bodycomp.tables import Cell, write_table
from bodycomp.training.options import AUTO_BATCH_SIZE, RunOptions

log = logging.getLogger(__name__)


class RunFolder:
    """Paths within ``MODEL_OUTPUT_DIR/NAME``.

    Attributes:
        args: Every option as run.
        manifest: Versions, data, device, wall time, exit state.
        metrics: One row per epoch.
        examples: Best and worst validation cases of the best epoch.
        previous_checkpoint: The state before that, in case the last one gets damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.args = path / "args.json"
        self.manifest = path / "manifest.json"
        self.metrics = path / "metrics.csv"
        self.model = path / "model"
        self.test_metrics = path / "test_metrics.json"
        self.curves = path / "curves.png"
        self.examples = path / "examples.png"
        self.last_checkpoint = path / "checkpoints" / "last.ckpt"
        self.previous_checkpoint = path / "checkpoints" / "previous.ckpt"
        self.best_checkpoint = path / "checkpoints" / "best.ckpt"

    def epoch_checkpoint(self, epoch: int) -> Path:
        """State after the epoch of this number."""
        return self.path / "checkpoints" / f"epoch_{epoch:04d}.ckpt"


def find_run_folder(options: RunOptions) -> RunFolder:
    """Return the folder for a new run, not made yet, or that of the run to continue.

    Raises:
        UsageError: The name is no plain folder name, or options differ from the run to continue.
        OutputError: A new run's folder exists.
        InputNotFoundError: There is no run to continue.
    """
    path = options.output_dir / check_name(options.name or time_stamp())
    is_other = path.exists() and not (path / FOLDS_NAME).exists()
    folder = RunFolder(path if options.fold is None else fold_folder(path, options.fold))
    if options.fold is not None and is_other and not options.resume:
        folder = RunFolder(path)  # of a run without folds, which is not written into
    if options.resume:
        _check_continuable(folder, options)
    elif folder.path.exists():
        raise OutputError(
            f"a run of this name exists: {folder.path}",
            hint="Give another --name, or add --resume to continue it.",
        )
    return folder


def time_stamp() -> str:
    """Return the name of a run that was given none: the local time."""
    return datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")


def check_name(name: str) -> str:
    """Return ``name`` if it is a plain folder name.

    Raises:
        UsageError: It is empty, hidden, has a path separator or a character that is not printable.
    """
    is_plain = name.isprintable() and not set(name) & set('/\\:*?"<>|')
    if not is_plain or name.startswith((".", "-", " ")) or name.endswith((".", " ")):
        raise UsageError(
            f"expected a plain folder name as --name, found {name!r}",
            hint="Letters, digits, '-', '_' and '.' are fine; the folder's place is "
            "MODEL_OUTPUT_DIR.",
        )
    return name


def _check_continuable(folder: RunFolder, options: RunOptions) -> None:
    kept = any(path.is_file() for path in (folder.last_checkpoint, folder.previous_checkpoint))
    if not (folder.args.is_file() and kept):
        raise InputNotFoundError(
            f"expected a run to continue in {folder.path}, found no args.json or no "
            "checkpoints/last.ckpt",
            hint="Check --name and MODEL_OUTPUT_DIR; a run that wrote neither can only be started "
            "again, under another name.",
        )
    # What a version before an option did is its default.
    usual = {field.name: plain(default_of(field)) for field, _ in declared(type(options))}
    before = usual | read_args(folder)
    now = {"task": options.task} | recorded(options, Record.SETTING)
    changed = [
        f"{key} was {before.get(key)!r}, now {value!r}"
        for key, value in now.items()
        if before.get(key) != value and (key, value) != ("batch_size", AUTO_BATCH_SIZE)
    ]
    if changed:
        raise UsageError(
            f"the run in {folder.path} had other options: {'; '.join(changed)}",
            hint="Give the options that it began with (they are in args.json), or start a new run.",
        )
    if before.get("epochs") != options.epochs:
        log.info(
            "epochs were %s, now %d: the learning-rate schedule is stretched accordingly",
            before.get("epochs"),
            options.epochs,
        )


def read_args(folder: RunFolder) -> dict[str, Any]:
    """Return the options of a run that exists."""
    try:
        values: dict[str, Any] = json.loads(folder.args.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputNotFoundError(
            f"expected the options of a run in {folder.args}, found a damaged file ({error})",
            hint="Put it back from a copy, or start a new run.",
        ) from error
    return values


def write_metrics(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of equal keys as CSV, whole or not at all; None becomes an empty cell."""
    write_table(path, list(rows[0]), ({k: _cell(v) for k, v in row.items()} for row in rows))


def _cell(value: object) -> Cell:
    if value is None or isinstance(value, int):
        return value
    return f"{value:.6g}" if isinstance(value, float) else str(value)
