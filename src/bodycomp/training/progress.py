"""What a person sees of a training: a bar on a terminal, and one line per epoch everywhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from bodycomp.progress import Progress, no_progress

log = logging.getLogger(__name__)


def epoch_line(row: Mapping[str, object], epochs: int, standing: str) -> str:
    """Return what a person reads of an epoch's row in the metrics table.

    >>> row = {"epoch": 3, "step": 9, "train_loss": 0.25, "val_loss": 0.5, "val_dice_mean": 0.9}
    >>> epoch_line(row | {"images_per_s": 20.1}, 10, "5 min left")
    'epoch 3/9  train_loss 0.25  val_loss 0.5  dice_mean 0.9  20.1 images/s  5 min left'
    """
    facts = [
        f"{key if key.endswith('loss') else key.removeprefix('val_')} {_short(value)}"
        for key, value in row.items()
        if key.startswith(("train_", "val_")) and not key.startswith("val_image_")
    ]
    speed = f"{_short(row['images_per_s'])} images/s"
    return "  ".join([f"epoch {row['epoch']}/{epochs - 1}", *facts, speed, standing])


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
        self._console = Console(stderr=True)
        self._shown = shown
        self._bar = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            _TimeLeftColumn(),
            console=self._console,
            transient=True,
            disable=not (shown and progress is True and self._draws()),
        )
        self._title = ""
        self._task = self._bar.add_task("", total=None, facts="", left="")

    def _draws(self) -> bool:
        return self._console.is_terminal or self._console.is_jupyter

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, title: str, done: int, total: int, facts: str = "", left: str = "") -> None:
        """Show the state of a piece of work such as an epoch.

        Args:
            title: What it is.
            done: How far it is...
            total: ...of how much.
            facts: More about it.
            left: The time that is left, if it is not that of this piece of work alone.
        """
        self._report(title, done, total)
        if title != self._title:
            self._bar.reset(self._task)  # the time that is left depends on the kind of work
            self._title = title
        self._bar.update(self._task, description=title, completed=done, total=total)
        self._bar.update(self._task, facts=facts, left=left)

    def show_epoch(self, row: Mapping[str, object], epochs: int, standing: str) -> None:
        """Show a finished epoch's metrics and where the run stands in one line."""
        self.show_line(epoch_line(row, epochs, standing))

    def show_line(self, line: str) -> None:
        """Show one line, above the bar if there is one."""
        if not self._shown:
            return
        if self._bar.disable:
            log.info("%s", line)
        else:
            self._bar.console.print(line, highlight=False, markup=False)


def _short(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
