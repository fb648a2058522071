"""Shows how far a training is: speed, time left for the whole run, the metric, the best so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bodycomp.training.progress import EpochDisplay
from bodycomp.training.time_remaining import Pace, Work, duration
from bodycomp.training.training import Training


class RunProgress:
    """Follows a training for the person who waits for it."""

    def __init__(self, training: Training, display: EpochDisplay) -> None:
        self._training = training
        self._display = display
        self._pace = Pace()

    def step_done(self, seconds: float) -> None:
        """Show the state after a step that took this long."""
        self._pace.add(seconds)
        training, state = self._training, self._training.state
        per_epoch = training.plan.steps_per_epoch
        facts = [
            f"loss {state.epoch_loss / max(state.epoch_images, 1):.3f}",
            self._speed(),
            self.best(),
        ]
        self._display.show(
            f"epoch {training.epoch}/{training.options.epochs - 1}",
            (state.step - 1) % per_epoch + 1,
            per_epoch,
            "  ".join(filter(None, facts)),
            self.time_left(),
        )

    def validation(self, done: int, total: int) -> None:
        """Show how many validation cases of this process are evaluated."""
        title = f"epoch {self._training.epoch}: validation"
        self._display.show(title, done, total, self.best(), self.time_left())

    def epoch_done(self, row: Mapping[str, Any], score: float, *, is_best: bool) -> None:
        """Show a finished epoch's metrics in one line."""
        training = self._training
        facts = [training.task.headline.words(score), "best so far" if is_best else self.best()]
        facts.append(self.time_left())
        self._display.show_epoch(row, training.options.epochs, "  ".join(filter(None, facts)))

    def best(self) -> str:
        """Return the best score so far in words, nothing before the first."""
        training, state = self._training, self._training.state
        if state.best_epoch is None:
            return ""
        return f"best {training.task.headline.words(state.best_score)} (epoch {state.best_epoch})"

    def time_left(self) -> str:
        """Return how long the whole run will still take; nothing while that is not known."""
        training, state, step_s = self._training, self._training.state, self._pace.step_s
        if step_s is None:
            return ""
        steps = max(0, training.last_step - state.step)
        work = Work(steps, training.plan.steps_per_epoch, step_s, training.next_validation_s())
        minutes = training.options.max_minutes
        allowed_s = None if minutes is None else 60 * minutes - state.elapsed_s
        return f"{duration(work.seconds(allowed_s=allowed_s))} left"

    def _speed(self) -> str:
        """Return the speed of the latest steps, all processes together."""
        step_s, plan = self._pace.step_s, self._training.plan
        if not step_s:
            return ""
        return f"{plan.samples / plan.steps_per_epoch / step_s:.3g} images/s"
