"""The loop of a training: its steps, and what follows at the end of an epoch.

The order at an epoch's end is such that a kill at any moment loses nothing: the best model is
exported first, then the checkpoint is renamed into place, which counts the epoch as done, and
what can be derived from it (table, loggers) comes last.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from dataclasses import replace
from typing import Any, Final

from bodycomp.networks.checkpoint import save_model
from bodycomp.storage import duplicate
from bodycomp.training.describing import confidence_of_validation, metric_table
from bodycomp.training.loggers import MetricLogger
from bodycomp.training.progress import EpochDisplay, RunProgress
from bodycomp.training.run_folder import RunFolder, write_metrics
from bodycomp.training.steps.checkpoints import write_checkpoint
from bodycomp.training.steps.divergence import (
    DivergedError,
    not_finite,
    step_back,
    stop_at_once,
    warn_of_missed,
)
from bodycomp.training.steps.evaluation_context import EvaluationContext, EvaluationStopped
from bodycomp.training.steps.training import Training
from bodycomp.training.task import Evaluation

log = logging.getLogger(__name__)

CHECKPOINT_EVERY_S: Final = 600.0
"""A long epoch is not lost as a whole: its state is kept this often."""


class TrainingLoop:
    """Takes the steps that are left."""

    def __init__(
        self,
        training: Training,
        folder: RunFolder,
        loggers: list[MetricLogger],
        display: EpochDisplay,
    ) -> None:
        self._training = training
        self._folder = folder
        self._loggers = loggers
        self._display = display
        self._progress = RunProgress(training, display)
        self._context = EvaluationContext(
            device=training.device,
            precision=training.devices.precision,
            batch_size=max(1, training.options.batch_size // training.ranks.world),
            num_workers=training.devices.num_workers,
            ranks=training.ranks,
            progress=self._progress.validation,
            interrupted=self._is_interrupted,
        )
        self._counted_at_s = time.monotonic()
        self._checkpointed_at_s = 0.0

    def run(self) -> None:
        """Train to the end; after a divergence, again from an earlier state.

        Raises:
            TrainingError: It diverged, and is not to step back or did so too often.
        """
        if self._training.options.resume:
            self._training.load(self._folder.last_checkpoint)
        with warnings.catch_warnings():
            # Layers laid out channels-last meet DDP's buckets; the copy costs little.
            warnings.filterwarnings("ignore", message=r"Grad strides do not match bucket view")
            while True:
                try:
                    return self._run_steps()
                except DivergedError as error:
                    if self._training.options.on_divergence == "stop":
                        raise stop_at_once(error) from error
                    kept = step_back(self._training.state, self._folder, error)
                    self._training.load(kept)

    def _run_steps(self) -> None:
        """Take steps until the epochs, the time or the patience is used up, or a signal came."""
        training = self._training
        if not self._begin():
            return
        for batch in training.batches():
            training.step(batch)
            self._progress.step_done(self._count_time(training=True))
            if training.stop_signal:
                self._checkpoint()
                return
            training.state.out_of_time = training.elapsed_share() >= 1
            if self._is_due():
                if not self._end_epoch():
                    return
            elif training.monitor.elapsed_s - self._checkpointed_at_s > CHECKPOINT_EVERY_S:
                self._checkpoint()

    def _end_epoch(self) -> bool:
        """Evaluate the epoch and keep what it leaves; return whether there is another one."""
        training, state = self._training, self._training.state
        training.settle()
        if training.average is not None and training.ranks.world > 1:
            training.average.agree()
        try:
            network = training.evaluated_network
            evaluation = training.task.evaluate(network, training.splits.val, self._context)
        except EvaluationStopped:  # a resume begins with it
            self._checkpoint()
            return False
        if not math.isfinite(evaluation.metrics["loss"] or 0.0):
            raise not_finite("validation loss is", state, max(0, state.step - 1), training.epoch)
        state.validation_s = self._count_time(training=False)
        self._agree_on_time()
        warn_of_missed(state, evaluation.missed, training.epoch)
        is_best = evaluation.score > state.best_score
        state.history.append(self._row(evaluation))
        state.start_epoch()
        if is_best:
            state.best_score, state.best_epoch = evaluation.score, training.epoch
            state.best_cases = evaluation.cases
            self._export(evaluation)
        self._checkpoint()
        self._derive()
        self._progress.epoch_done(state.history[-1], evaluation.score, is_best=is_best)
        if training.is_out_of_patience:
            patience = training.options.patience
            self._display.show_line(f"no better epoch for {patience} epochs: the training ends")
        return not training.is_over

    def _begin(self) -> bool:
        """Keep the state of a new run, or finish what a resumed one left undone."""
        training, state = self._training, self._training.state
        self._counted_at_s = time.monotonic()
        state.out_of_time = training.elapsed_share() >= 1
        if training.options.resume:
            self._display.show_line(f"resuming after step {state.step}")
        if state.history:
            self._derive()
        if self._is_due():
            return self._end_epoch()
        self._checkpoint()
        return not training.is_over

    def _is_due(self) -> bool:
        """Return whether an epoch or the time is over, with steps that are not evaluated yet."""
        state, per_epoch = self._training.state, self._training.plan.steps_per_epoch
        is_over = state.out_of_time or state.step % per_epoch == 0
        return is_over and self._training.ranks.sum_values(state.epoch_images)[0] > 0

    def _is_interrupted(self) -> bool:
        return self._training.ranks.world == 1 and bool(self._training.stop_signal)

    def _agree_on_time(self) -> None:
        """Stop if the time does not allow for another validation."""
        training, state = self._training, self._training.state
        sums = training.ranks.sum_values(state.elapsed_s, state.validation_s)
        monitor, world = training.monitor, training.ranks.world
        monitor.elapsed_s, monitor.validation_s = sums[0] / world, sums[1] / world
        state.out_of_time = training.elapsed_share() >= 1

    def _row(self, evaluation: Evaluation) -> dict[str, Any]:
        training, state = self._training, self._training.state
        loss, images = training.ranks.sum_values(state.epoch_loss, state.epoch_images)
        return {
            "epoch": training.epoch,
            "step": state.step,
            "train_loss": loss / images,
            "learning_rate": state.used_rate,
            **{f"val_{name}": value for name, value in evaluation.metrics.items()},
            "images_per_s": images / max(state.epoch_s, 1e-9),
            "elapsed_s": round(state.elapsed_s, 2),
        }

    def _export(self, evaluation: Evaluation) -> None:
        training = self._training
        if not training.ranks.is_first:
            return
        card, description = training.card, training.card.description
        table = metric_table("validation", evaluation, description.data)
        card = replace(
            card,
            training={
                **card.training,
                "epoch": training.epoch,
                "step": training.state.step,
                "validation": evaluation.metrics,
            },
            confidence=confidence_of_validation(evaluation),
            description=description.with_metrics([table]),
        )
        save_model(self._folder.model, training.evaluated_network, card, overwrite=True)

    def _checkpoint(self) -> None:
        """Keep the state as the last checkpoint; every process takes part, the first one writes."""
        training = self._training
        training.settle()
        kept = training.checkpoint()
        if training.ranks.is_first:
            write_checkpoint(kept, self._folder)
        self._checkpointed_at_s = training.monitor.elapsed_s

    def _derive(self) -> None:
        """Write what follows from the last checkpoint; at a resume it may be missing or old."""
        training, state = self._training, self._training.state
        if not training.ranks.is_first:
            return
        write_metrics(self._folder.metrics, state.history)
        last = state.history[-1]
        if state.epoch_images == 0 and state.best_epoch == last["epoch"]:
            duplicate(self._folder.last_checkpoint, self._folder.best_checkpoint)
        if training.options.keep_every_epoch and state.epoch_images == 0:
            kept = self._folder.epoch_checkpoint(last["epoch"])
            duplicate(self._folder.last_checkpoint, kept)
        numbers = {name: value for name, value in last.items() if value is not None}
        for logger in self._loggers:
            logger.log(numbers, last["epoch"])

    def _count_time(self, *, training: bool) -> float:
        now_s = time.monotonic()
        seconds, self._counted_at_s = now_s - self._counted_at_s, now_s
        self._training.state.elapsed_s += seconds
        if training:
            self._training.state.epoch_s += seconds
        return seconds
