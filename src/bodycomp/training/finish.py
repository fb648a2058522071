"""What follows the last step: the best model on the test split, and pictures."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from torch import Tensor

from bodycomp.json_file import write_json
from bodycomp.networks.checkpoint import load_model
from bodycomp.networks.model_folder import write_card
from bodycomp.report.learning_curves import write_learning_curves
from bodycomp.training.describing import metric_table
from bodycomp.training.evaluation_context import EvaluationContext
from bodycomp.training.run_folder import RunFolder
from bodycomp.training.task import Pick
from bodycomp.training.training import Training

BEST_SHOWN: Final = 3
WORST_SHOWN: Final = 5

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
        log.info(
            "test: %s",
            "  ".join(
                f"{name} {'-' if value is None else format(value, '.3g')}"
                for name, value in evaluation.metrics.items()
            ),
        )


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
