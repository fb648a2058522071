"""What happens between steps: judge each epoch, keep checkpoints, export the best, stop in time."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import Any, Final

from lightning.pytorch import Callback, LightningModule, Trainer

from bodycomp.networks.checkpoint import save_model
from bodycomp.storage import duplicate
from bodycomp.training.describing import confidence_of_validation, metric_table
from bodycomp.training.divergence import not_finite, warn_of_missed
from bodycomp.training.module import TrainingModule
from bodycomp.training.placement import EvaluationStopped, Placement
from bodycomp.training.progress import EpochDisplay
from bodycomp.training.run_folder import RunFolder, write_metrics
from bodycomp.training.run_progress import RunProgress
from bodycomp.training.state import Stopwatch
from bodycomp.training.task import Evaluation

log = logging.getLogger(__name__)

CHECKPOINT_EVERY_S: Final = 600.0
"""A long epoch is not lost as a whole: its state is kept this often."""


class TrainingLoop(Callback):
    """Follows a training step by step.

    The order at an epoch's end is such that a kill at any moment loses nothing: the best model is
    exported first, then the checkpoint is renamed into place, which counts the epoch as done, and
    what can be derived from it (table, TensorBoard) comes last.
    """

    def __init__(
        self,
        module: TrainingModule,
        folder: RunFolder,
        placement: Placement,
        display: EpochDisplay,
    ) -> None:
        self._module = module
        self._progress = RunProgress(module, display)
        self._folder = folder
        self._placement = replace(
            placement, progress=self._progress.validation, interrupted=self._is_interrupted
        )
        self._display = display
        self._watch = Stopwatch()
        self._checkpointed_at_s = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the state of a new run, or finish what a resumed one left undone."""
        del pl_module
        self._module.signals.defer()
        self._watch.lap()
        self._module.state.out_of_time = self._module.elapsed_share() >= 1
        if self._module.options.resume:
            self._display.tell(f"going on after step {self._module.state.step}")
        if self._module.state.history:
            self._derive(trainer)
        if self._is_due():
            self._end_epoch(trainer)
        else:
            self._checkpoint(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the step, and act if an epoch, the time or the user's patience has ended."""
        del pl_module, outputs, batch, batch_idx
        state = self._module.state
        self._module.count_step()
        self._progress.step_done(self._count_time(training=True))
        if self._module.stop_signal:
            self._checkpoint(trainer)
            trainer.should_stop = True
            return
        state.out_of_time = self._module.elapsed_share() >= 1
        if self._is_due():
            self._end_epoch(trainer)
        elif self._module.agreed_elapsed_s - self._checkpointed_at_s > CHECKPOINT_EVERY_S:
            self._checkpoint(trainer)

    def _is_due(self) -> bool:
        """Return whether an epoch or the time is over, with steps that are not judged yet."""
        state, per_epoch = self._module.state, self._module.plan.steps_per_epoch
        is_over = state.out_of_time or state.step % per_epoch == 0
        return is_over and bool(self._placement.sum_values([float(state.epoch_images)])[0])

    def _is_interrupted(self) -> bool:
        return bool(self._placement.world == 1 and self._module.signals.received)

    def _end_epoch(self, trainer: Trainer) -> None:
        """Judge the epoch and keep everything that it leaves."""
        module, state = self._module, self._module.state
        module.settle()
        if self._placement.world > 1 and module.average is not None:
            module.average.agree()
        try:
            evaluation = module.evaluate(module.judged_network, module.splits.val, self._placement)
        except EvaluationStopped:
            self._stop_unjudged(trainer)
            return
        if not math.isfinite(evaluation.metrics["loss"] or 0.0):
            raise not_finite("validation loss is", state, max(0, state.step - 1), module.epoch)
        state.validation_s = self._count_time(training=False)
        self._agree_on_time()
        warn_of_missed(state, evaluation.missed, module.epoch)
        is_best = evaluation.score > state.best_score
        state.history.append(self._row(evaluation))
        state.start_epoch()
        if is_best:
            state.best_score, state.best_epoch = evaluation.score, module.epoch
            state.best_cases = evaluation.cases
            self._export(evaluation)
        self._checkpoint(trainer)
        self._derive(trainer)
        self._progress.epoch_done(state.history[-1], evaluation.score, is_best=is_best)
        if module.is_out_of_patience:
            self._display.tell(
                f"no better epoch for {module.options.patience} epochs: the training ends"
            )
        if state.out_of_time or module.is_out_of_patience:
            trainer.should_stop = True

    def _agree_on_time(self) -> None:
        """Stop if the time does not allow for another validation."""
        state, world = self._module.state, self._placement.world
        sums = self._placement.sum_values([state.elapsed_s, state.validation_s])
        self._module.agree_on_time(sums[0] / world, sums[1] / world)
        state.out_of_time = self._module.elapsed_share() >= 1

    def _stop_unjudged(self, trainer: Trainer) -> None:
        """Keep the state as it was before the evaluation; a resume begins with that."""
        self._checkpoint(trainer)
        trainer.should_stop = True

    def _row(self, evaluation: Evaluation) -> dict[str, Any]:
        module, state = self._module, self._module.state
        sums = self._placement.sum_values([state.epoch_loss, float(state.epoch_images)])
        return {
            "epoch": module.epoch,
            "step": state.step,
            "train_loss": sums[0] / sums[1],
            "learning_rate": state.used_rate,
            **{f"val_{name}": value for name, value in evaluation.metrics.items()},
            "images_per_s": sums[1] / max(state.epoch_s, 1e-9),
            "elapsed_s": round(state.elapsed_s, 2),
        }

    def _export(self, evaluation: Evaluation) -> None:
        if self._placement.rank > 0:
            return
        module = self._module
        training = module.card.training | {  # type: ignore[operator]
            "epoch": module.epoch,
            "step": module.state.step,
            "validation": evaluation.metrics,
        }
        description = module.card.description
        table = metric_table("validation", evaluation, description.data)
        card = replace(
            module.card,
            training=training,
            confidence=confidence_of_validation(evaluation),
            description=description.with_metrics([table]),
        )
        save_model(self._folder.model, module.judged_network, card, overwrite=True)

    def _checkpoint(self, trainer: Trainer) -> None:
        """Keep the state as the last checkpoint; every process takes part, the first one writes.

        Raises:
            DivergedError: The state is not worth keeping.
        """
        self._module.settle()
        trainer.save_checkpoint(self._folder.last_checkpoint, weights_only=False)
        self._checkpointed_at_s = self._module.agreed_elapsed_s

    def _derive(self, trainer: Trainer) -> None:
        """Write what follows from the last checkpoint; at a resume it may be missing or old."""
        if self._placement.rank > 0:
            return
        module, state = self._module, self._module.state
        write_metrics(self._folder.metrics, state.history)
        if state.epoch_images == 0 and state.best_epoch == state.history[-1]["epoch"]:
            duplicate(self._folder.last_checkpoint, self._folder.best_checkpoint)
        if module.options.keep_every_epoch and state.epoch_images == 0:
            kept = self._folder.epoch_checkpoint(state.history[-1]["epoch"])
            duplicate(self._folder.last_checkpoint, kept)
        numbers = {name: value for name, value in state.history[-1].items() if value is not None}
        for logger in trainer.loggers:
            logger.log_metrics(numbers, step=numbers["epoch"])

    def _count_time(self, *, training: bool) -> float:
        seconds = self._watch.lap()
        self._module.state.elapsed_s += seconds
        if training:
            self._module.state.epoch_s += seconds
        return seconds
