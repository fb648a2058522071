"""What a person sees of a training: a bar on a terminal, a line per epoch, the time remaining."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from bodycomp.progress import Progress, no_progress

if TYPE_CHECKING:
    from bodycomp.training.steps.training import Training

log = logging.getLogger(__name__)

PACE_STEPS: Final = 50


class _TimeLeftColumn(TimeRemainingColumn):
    """The time that is left, as estimated or by the bar's own speed."""

    def render(self, task: Task) -> Text:
        """Return the words."""
        left = str(task.fields["left"])
        return Text(left, style="progress.remaining") if left else super().render(task)


class EpochDisplay:
    """Shows the running epoch as a bar on a terminal, and finished ones as lines.

    Args:
        shown: Whether anything is; not in helper processes.
        progress: True for a bar, where there is a terminal or notebook; False for none; or a
            function of stage, steps done and all steps.
    """

    def __init__(self, *, shown: bool, progress: bool | Progress = False) -> None:
        self._report = no_progress if isinstance(progress, bool) or not shown else progress
        console = Console(stderr=True)
        draws = console.is_terminal or console.is_jupyter
        self._shown = shown
        self._bar = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            _TimeLeftColumn(),
            console=console,
            transient=True,
            disable=not (shown and progress is True and draws),
        )
        self._title = ""
        self._task = self._bar.add_task("", total=None, facts="", left="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, title: str, done: int, total: int, facts: str = "", left: str = "") -> None:
        """Show how far work is; ``left`` is the time remaining, if not that of this work alone."""
        self._report(title, done, total)
        if title != self._title:
            self._bar.reset(self._task)  # the time that is left depends on the kind of work
            self._title = title
        self._bar.update(self._task, description=title, completed=done, total=total)
        self._bar.update(self._task, facts=facts, left=left)

    def show_line(self, line: str) -> None:
        """Show one line, above the bar if there is one."""
        if not self._shown:
            return
        if self._bar.disable:
            log.info("%s", line)
        else:
            self._bar.console.print(line, highlight=False, markup=False)


class RunProgress:
    """Follows a training for the person who waits for it: speed, metric, the best so far."""

    def __init__(self, training: Training, display: EpochDisplay) -> None:
        self._training = training
        self._display = display
        self._pace = Pace()

    def step_done(self, seconds: float) -> None:
        """Show the state after a step that took this long."""
        self._pace.add(seconds)
        training, state, plan = self._training, self._training.state, self._training.plan
        facts = [f"loss {state.epoch_loss / max(state.epoch_images, 1):.3f}", self._best()]
        if self._pace.step_s:  # all processes together
            speed = plan.samples / plan.steps_per_epoch / self._pace.step_s
            facts.insert(1, f"{speed:.3g} images/s")
        self._display.show(
            f"epoch {training.epoch}/{training.options.epochs - 1}",
            (state.step - 1) % plan.steps_per_epoch + 1,
            plan.steps_per_epoch,
            "  ".join(filter(None, facts)),
            self._time_left(),
        )

    def validation(self, done: int, total: int) -> None:
        """Show how many validation cases of this process are evaluated."""
        title = f"epoch {self._training.epoch}: validation"
        self._display.show(title, done, total, self._best(), self._time_left())

    def epoch_done(self, row: Mapping[str, Any], score: float, *, is_best: bool) -> None:
        """Show a finished epoch's metrics in one line."""
        training = self._training
        facts = [training.task.headline.words(score), "best so far" if is_best else self._best()]
        standing = "  ".join(filter(None, [*facts, self._time_left()]))
        self._display.show_line(epoch_line(row, training.options.epochs, standing))

    def _best(self) -> str:
        """Return the best score so far in words, nothing before the first."""
        training, state = self._training, self._training.state
        if state.best_epoch is None:
            return ""
        return f"best {training.task.headline.words(state.best_score)} (epoch {state.best_epoch})"

    def _time_left(self) -> str:
        """Return how long the whole run will still take; nothing while that is not known."""
        training, state, step_s = self._training, self._training.state, self._pace.step_s
        if step_s is None:
            return ""
        steps = max(0, training.last_step - state.step)
        work = Work(steps, training.plan.steps_per_epoch, step_s, training.next_validation_s())
        minutes = training.options.max_minutes
        allowed_s = None if minutes is None else 60 * minutes - state.elapsed_s
        return f"{duration(work.seconds(allowed_s=allowed_s))} left"


def epoch_line(row: Mapping[str, object], epochs: int, standing: str) -> str:
    """Return what a person reads of an epoch's row in the metrics table.

    >>> row = {"epoch": 3, "step": 9, "train_loss": 0.25, "val_loss": 0.5, "val_dice_mean": 0.9}
    >>> epoch_line(row | {"images_per_s": 20.1}, 10, "5 min left")
    'epoch 3/9  train_loss 0.25  val_loss 0.5  dice_mean 0.9  20.1 images/s  5 min left'
    """
    facts = [
        f"{key if key.endswith('loss') else key.removeprefix('val_')} {in_words(value)}"
        for key, value in row.items()
        if key.startswith(("train_", "val_")) and not key.startswith("val_image_")
    ]
    speed = f"{in_words(row['images_per_s'])} images/s"
    return "  ".join([f"epoch {row['epoch']}/{epochs - 1}", *facts, speed, standing])


def in_words(value: object) -> str:
    """Return a metric for people, three digits or a hyphen for none."""
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


class Pace:
    """Time per step, by the latest ones; the first one, which takes longer, does not count."""

    def __init__(self) -> None:
        self._laps_s: deque[float] = deque(maxlen=PACE_STEPS)
        self._is_warm = False

    def add(self, seconds: float) -> None:
        """Note a step's time."""
        if self._is_warm:
            self._laps_s.append(seconds)
        self._is_warm = True

    @property
    def step_s(self) -> float | None:
        """Mean time of a step; None before the second one."""
        return sum(self._laps_s) / len(self._laps_s) if self._laps_s else None


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a training: steps, and a validation after each epoch of them."""

    steps: int
    steps_per_epoch: int
    step_s: float
    validation_s: float

    def seconds(self, *, allowed_s: float | None = None) -> float:
        """Return the time that it takes, at most ``allowed_s``.

        >>> Work(steps=250, steps_per_epoch=100, step_s=2.0, validation_s=30.0).seconds()
        590.0
        """
        epochs = math.ceil(self.steps / self.steps_per_epoch)
        whole = self.steps * self.step_s + epochs * self.validation_s
        return whole if allowed_s is None else min(whole, max(allowed_s, 0.0))


def duration(seconds: float) -> str:
    """Return a time for people.

    >>> duration(0.42), duration(48), duration(754), duration(11_100), duration(190_000)
    ('0.42 s', '48 s', '13 min', '3 h 05 min', '2 d 4 h')
    """
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def size(count: float) -> str:
    """Return a number of bytes for people.

    >>> size(0), size(2_300_000), size(2_345_678_901)
    ('0 MB', '2.3 MB', '2.35 GB')
    """
    megabytes = count / 1e6
    if megabytes >= 1000:
        return f"{megabytes / 1000:.3g} GB" if megabytes < 1e4 else f"{megabytes / 1000:.0f} GB"
    return f"{megabytes:.2g} MB" if megabytes < 10 else f"{megabytes:.0f} MB"
