"""What commands show: lines on standard output, and bars on a terminal, none in a log file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from bodycomp.progress import Progress, make_bar, stage_progress

if TYPE_CHECKING:
    from bodycomp.demo.trainings import DemoTraining, TrainingProgress


def say(*lines: str) -> None:
    """Write lines to standard output, as they are."""
    sys.stdout.write("\n".join(lines) + "\n")


def decimal(value: object) -> str:
    """Return a number with one decimal, a dash for what is none."""
    return f"{value:.1f}" if isinstance(value, float) else "-"


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that moves one bar on by a number of steps."""
    with make_bar() as bar:
        task = bar.add_task(title, total=total)
        yield lambda steps: bar.advance(task, steps)


def study_progress() -> AbstractContextManager[Progress]:
    """Return bars for reading headers, the series and the current step of one."""
    return stage_progress({"search": "reading headers", "series": "series"})


TRAINING_METRICS = ("val_dice_mean", "val_found_L3", "val_located_error_mm_L3")


@contextmanager
def training_progress(trainings: Sequence[DemoTraining]) -> Iterator[TrainingProgress]:
    """Yield a progress function with a bar per training, or a line per epoch without a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:16}"),
        BarColumn(),
        TextColumn("{task.fields[status]}"),
    )
    shown = dict.fromkeys((training.network for training in trainings), "")
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks = {
            training.network: bars.add_task(training.network, total=training.minutes, status="")
            for training in trainings
        }

        def show(training: DemoTraining, minutes: float) -> None:
            row = training.latest_metrics()
            status = f"{minutes:.1f} of {training.minutes:.1f} min" + "".join(
                f"  {name.removeprefix('val_')} {float(row[name]):.3g}"
                for name in TRAINING_METRICS
                if row.get(name)
            )
            bars.update(tasks[training.network], completed=minutes, status=status)
            epoch = row.get("epoch", "")
            if epoch != shown[training.network] and not console.is_terminal:
                sys.stderr.write(f"  {training.network}: {status}\n")
            shown[training.network] = epoch

        yield show
