"""What follows the last step: the best model on the test split, and pictures."""

from __future__ import annotations

import logging

from bodycomp.networks.checkpoint import load_model
from bodycomp.training.module import TrainingModule
from bodycomp.training.placement import Placement
from bodycomp.training.run_folder import RunFolder, write_json

log = logging.getLogger(__name__)


def finish(module: TrainingModule, folder: RunFolder, place: Placement) -> None:
    """Score the best model on the test split, if there is one, and draw the pictures."""
    network = load_model(folder.model).network.to(place.device)
    if module.splits.test is not None:
        evaluation = module.evaluate(network, module.splits.test, place)
        write_json(folder.test_metrics, evaluation.metrics)
        log.info(
            "test: %s",
            "  ".join(
                f"{name} {'-' if value is None else format(value, '.3g')}"
                for name, value in evaluation.metrics.items()
            ),
        )
