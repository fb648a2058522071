"""What a person reads when a training has ended: how it went, where things are, what comes next."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import torch

from bodycomp.errors import RunInterruptedError
from bodycomp.training.command import command_line
from bodycomp.training.memory import peak_resident_bytes
from bodycomp.training.options import RunOptions
from bodycomp.training.run_folder import RunFolder
from bodycomp.training.time_remaining import duration, size
from bodycomp.training.training import Training

log = logging.getLogger(__name__)

MODEL_FOLDERS: Final = ("segmentation", "slice-selection")
"""What ``bodycomp analyze --models`` looks for in a folder of runs."""

MORE_EPOCHS: Final = 2


@contextmanager
def summarized(training: Training, folder: RunFolder) -> Iterator[None]:
    """Show the summary when the work is done, or when a signal has ended it in good order."""
    try:
        yield
    except RunInterruptedError:
        _show(interrupted_lines(training, folder))
        raise
    _show(finished_lines(training, folder))


def finished_lines(training: Training, folder: RunFolder) -> list[str]:
    """Return the summary of a training that came to its end."""
    options = training.options
    more = replace(options, resume=True, epochs=MORE_EPOCHS * options.epochs, max_minutes=None)
    tests = _read_metrics(folder)
    return [
        "",
        f"Finished: {_effort(training)}",
        *_best_lines(training),
        *([f"  on the test split: {_words(tests)}"] if tests else []),
        *_places(folder),
        "Next:",
        *(f"  {line}" for line in _analysis(options)),
        f"  {shlex.join(['bodycomp', 'card', str(folder.path)])}",
        f"  {shlex.join(['tensorboard', '--logdir', str(options.output_dir)])}",
        f"  {command_line(more)}    # {MORE_EPOCHS} x the epochs",
    ]


def interrupted_lines(training: Training, folder: RunFolder) -> list[str]:
    """Return the summary of a training that a signal ended."""
    whole = training.last_step
    return [
        "",
        f"Interrupted after step {training.state.step} of {whole}: {_effort(training)}",
        *_best_lines(training),
        *_places(folder),
        "To resume:",
        f"  {command_line(replace(training.options, resume=True))}",
    ]


def _effort(training: Training) -> str:
    state = training.state
    steps = state.step - training.options.first_epoch * training.plan.steps_per_epoch
    images = steps * training.plan.samples / training.plan.steps_per_epoch
    speed = images / max(state.elapsed_s, 1e-9)
    facts = [duration(state.elapsed_s), f"{speed:.3g} images/s with all"]
    facts.append(f"peak memory {size(peak_resident_bytes())}")
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        facts.append(f"on the GPU {size(torch.cuda.max_memory_allocated())}")
    return f"{len(state.history)} epochs, " + ", ".join(facts)


def _best_lines(training: Training) -> list[str]:
    state = training.state
    if state.best_epoch is None:
        return ["  no epoch was evaluated yet"]
    row = next(row for row in state.history if row["epoch"] == state.best_epoch)
    metrics = {
        name.removeprefix("val_"): value
        for name, value in row.items()
        if name.startswith("val_") and not name.startswith("val_image_")
    }
    return [
        f"  best epoch {state.best_epoch}: {training.task.headline.words(state.best_score)}",
        f"  on validation: {_words(metrics)}",
    ]


def _places(folder: RunFolder) -> list[str]:
    """Return the places of what is there."""
    named = {
        "model": folder.model,
        "curves": folder.curves,
        "examples": folder.examples,
        "metrics": folder.metrics,
        "manifest": folder.manifest,
    }
    return [f"  {name:9} {path}" for name, path in named.items() if path.exists()]


def _analysis(options: RunOptions) -> list[str]:
    """Return how to measure scans with the models that lie in the folder of runs."""
    models = options.output_dir
    arguments = ["SCANS", "--models", str(models), "--out", "results"]
    command = shlex.join(["bodycomp", "analyze", *arguments])
    missing = [name for name in MODEL_FOLDERS if not (models / name).exists()]
    if missing:
        command += f"    # once {models} holds {' and '.join(missing)} too"
    return [command]


def _read_metrics(folder: RunFolder) -> dict[str, Any]:
    if not folder.test_metrics.is_file():
        return {}
    metrics: dict[str, Any] = json.loads(folder.test_metrics.read_text(encoding="utf-8"))
    return {name: value for name, value in metrics.items() if not name.startswith("image_")}


def _words(metrics: dict[str, Any]) -> str:
    words = {name: "-" if x is None else format(x, ".3g") for name, x in metrics.items()}
    return ", ".join(f"{name} {value}" for name, value in words.items())


def _show(lines: list[str]) -> None:
    for line in lines:
        log.info("%s", line)
