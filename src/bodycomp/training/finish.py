"""What follows the last step: test split, pictures, and what a person reads at the end."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from bodycomp.errors import RunInterruptedError
from bodycomp.json_file import write_json
from bodycomp.networks.checkpoint import load_model
from bodycomp.networks.model_folder import write_card
from bodycomp.networks.shipped import SEGMENTATION_FOLDER, SLICE_SELECTION_FOLDER
from bodycomp.report.learning_curves import write_learning_curves
from bodycomp.training.describing import metric_table
from bodycomp.training.machine.memory import peak_resident_bytes
from bodycomp.training.options import RunOptions, command_line
from bodycomp.training.progress import duration, in_words, size
from bodycomp.training.run_folder import RunFolder
from bodycomp.training.steps.evaluation_context import EvaluationContext
from bodycomp.training.steps.training import Training
from bodycomp.training.task import Pick

BEST_SHOWN: Final = 3
WORST_SHOWN: Final = 5
MORE_EPOCHS: Final = 2

log = logging.getLogger(__name__)


def finish(training: Training, folder: RunFolder) -> None:
    """Score the best model on the test split, if there is one, and draw the pictures."""
    state, task, splits = training.state, training.task, training.splits
    best = "" if state.best_epoch is None else f"best: {task.headline.words(state.best_score)}"
    write_learning_curves(
        folder.curves,
        state.history,
        best_epoch=state.best_epoch,
        title=f"{best} (epoch {state.best_epoch} of {training.options.epochs})" if best else "",
    )
    model = load_model(folder.model)
    network = model.network.to(training.device)
    picks = pick_cases(state.best_cases)
    if picks:
        task.draw_examples(folder.examples, network, splits.val, picks)
    if splits.test is not None:
        devices = training.devices
        context = EvaluationContext(  # of this process alone
            training.device, devices.precision, task.options.batch_size, devices.num_workers
        )
        evaluation = task.evaluate(network, splits.test, context)
        write_json(folder.test_metrics, evaluation.metrics, durable=True, allow_nan=True)
        description = model.card.description
        table = metric_table("test", evaluation, description.data)
        write_card(folder.model, replace(model.card, description=description.with_metrics([table])))


def pick_cases(scores: Tensor | None) -> list[Pick]:
    """Choose the best and the worst validation cases to show, no case twice.

    Args:
        scores: (case,) higher is better, NaN where a case does not count.

    >>> import torch
    >>> [pick.index for pick in pick_cases(torch.tensor([0.9, torch.nan, 0.2]))]
    [0, 2]
    """
    if scores is None:
        return []
    order = [int(i) for i in scores.argsort(descending=True, stable=True) if not scores[i].isnan()]
    best = order[: min(BEST_SHOWN, (len(order) + 1) // 2)]
    worst = order[len(best) :][::-1][:WORST_SHOWN]
    return [
        Pick(f"{name}, no. {rank}" if rank > 1 else name, index)
        for name, indices in (("best", best), ("worst", worst))
        for rank, index in enumerate(indices, start=1)
    ]


@contextmanager
def summarized(training: Training, folder: RunFolder) -> Iterator[None]:
    """Show the summary when the work is done, or when a signal has ended it in good order."""
    try:
        yield
    except RunInterruptedError:
        step = training.state.step
        lines = [
            f"Interrupted after step {step} of {training.last_step}: {_effort(training)}",
            *_best_lines(training),
            *_places(folder),
            "To resume:",
            f"  {command_line(replace(training.options, resume=True))}",
        ]
        log.info("\n%s", "\n".join(lines))
        raise
    log.info("\n%s", "\n".join(_finished_lines(training, folder)))


def _finished_lines(training: Training, folder: RunFolder) -> list[str]:
    options = training.options
    more = replace(options, resume=True, epochs=MORE_EPOCHS * options.epochs, max_minutes=None)
    tested = []
    if folder.test_metrics.is_file():
        metrics: dict[str, Any] = json.loads(folder.test_metrics.read_text(encoding="utf-8"))
        tested = [f"  on the test split: {_words(metrics)}"]
    found = [
        f"Finished: {_effort(training)}",
        *_best_lines(training),
        *tested,
        *_places(folder),
    ]
    if options.fold is not None:  # what comes next is for all folds
        return found
    return [
        *found,
        "Next:",
        f"  {_analysis(options)}",
        f"  {shlex.join(['bodycomp', 'card', str(folder.path)])}",
        f"  {shlex.join(['tensorboard', '--logdir', str(options.output_dir)])}",
        f"  {command_line(more)}    # {MORE_EPOCHS} x the epochs",
    ]


def _effort(training: Training) -> str:
    state, plan = training.state, training.plan
    images = (state.step - training.first_step) * plan.samples / plan.steps_per_epoch
    facts = [
        f"{len(state.history)} epochs",
        duration(state.elapsed_s),
        f"{images / max(state.elapsed_s, 1e-9):.3g} images/s with all",
        f"peak memory {size(peak_resident_bytes())}",
    ]
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        facts.append(f"on the GPU {size(torch.cuda.max_memory_allocated())}")
    return ", ".join(facts)


def _best_lines(training: Training) -> list[str]:
    state = training.state
    if state.best_epoch is None:
        return ["  no epoch was evaluated yet"]
    row = next(row for row in state.history if row["epoch"] == state.best_epoch)
    metrics = {name.removeprefix("val_"): row[name] for name in row if name.startswith("val_")}
    return [
        f"  best epoch {state.best_epoch}: {training.task.headline.words(state.best_score)}",
        f"  on validation: {_words(metrics)}",
    ]


def _words(metrics: Mapping[str, Any]) -> str:
    shown = {name: value for name, value in metrics.items() if not name.startswith("image_")}
    return ", ".join(f"{name} {in_words(value)}" for name, value in shown.items())


def _places(folder: RunFolder) -> list[str]:
    """Return the places of what is there."""
    names = ("model", "curves", "examples", "metrics", "manifest")
    places = {name: getattr(folder, name) for name in names}
    return [f"  {name:9} {path}" for name, path in places.items() if path.exists()]


def _analysis(options: RunOptions) -> str:
    """Return how to measure scans with the models that lie in the folder of runs."""
    models = options.output_dir
    arguments = ["SCANS", "--models", str(models), "--out", "results"]
    command = shlex.join(["bodycomp", "analyze", *arguments])
    folders = (SEGMENTATION_FOLDER, SLICE_SELECTION_FOLDER)
    missing = [name for name in folders if not (models / name).exists()]
    return command + (f"    # once {models} holds {' and '.join(missing)} too" if missing else "")
