"""Tells how far a training is: speed, time left for the whole run, the metric, the best so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bodycomp.training.module import TrainingModule
from bodycomp.training.outlook import Pace, Work, duration
from bodycomp.training.progress import EpochDisplay


class RunProgress:
    """Follows a training for the person who waits for it."""

    def __init__(self, module: TrainingModule, display: EpochDisplay) -> None:
        self._module = module
        self._display = display
        self._pace = Pace()

    def step_done(self, seconds: float) -> None:
        """Show the state after a step that took this long."""
        self._pace.add(seconds)
        module, state = self._module, self._module.state
        per_epoch = module.plan.steps_per_epoch
        facts = [
            f"loss {state.epoch_loss / max(state.epoch_images, 1):.3f}",
            self._speed(),
            self.best(),
        ]
        self._display.show(
            f"epoch {module.epoch}/{module.options.epochs - 1}",
            (state.step - 1) % per_epoch + 1,
            per_epoch,
            "  ".join(filter(None, facts)),
            self.time_left(),
        )

    def validation(self, done: int, total: int) -> None:
        """Show how many validation cases of this process are judged."""
        title = f"epoch {self._module.epoch}: validation"
        self._display.show(title, done, total, self.best(), self.time_left())

    def epoch_done(self, row: Mapping[str, Any], score: float, *, is_best: bool) -> None:
        """Tell a finished epoch's metrics in one line."""
        module = self._module
        facts = [module.headline.words(score), "best so far" if is_best else self.best()]
        facts.append(self.time_left())
        self._display.tell_epoch(row, module.options.epochs, "  ".join(filter(None, facts)))

    def best(self) -> str:
        """Return the best score so far in words, nothing before the first."""
        module, state = self._module, self._module.state
        if state.best_epoch is None:
            return ""
        return f"best {module.headline.words(state.best_score)} (epoch {state.best_epoch})"

    def time_left(self) -> str:
        """Return how long the whole run will still take; nothing while that is not known."""
        module, state, step_s = self._module, self._module.state, self._pace.step_s
        if step_s is None:
            return ""
        steps = max(0, module.last_step - state.step)
        work = Work(steps, module.plan.steps_per_epoch, step_s, module.next_validation_s())
        minutes = module.options.max_minutes
        allowed_s = None if minutes is None else 60 * minutes - state.elapsed_s
        return f"{duration(work.seconds(allowed_s=allowed_s))} left"

    def _speed(self) -> str:
        """Return the speed of the latest steps, all processes together."""
        step_s, plan = self._pace.step_s, self._module.plan
        if not step_s:
            return ""
        return f"{plan.samples / plan.steps_per_epoch / step_s:.3g} images/s"
