"""Progress on the terminal: a bar where there is a terminal, nothing in a log file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bodycomp.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from bodycomp.demo.trainings import Training, TrainingProgress
    from bodycomp.progress import Progress


def make_bar() -> Bars:
    """Return bars on standard error that stay silent where that is not a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that moves one bar on by a number of steps."""
    with make_bar() as bar:
        task = bar.add_task(title, total=total)
        yield lambda steps: bar.advance(task, steps)


@contextmanager
def stage_progress(titles: Mapping[str, str]) -> Iterator[Progress]:
    """Yield a progress function of stage, steps done and all steps, with a bar for each stage."""
    with make_bar() as bar:
        tasks = {key: bar.add_task(title, total=None) for key, title in titles.items()}
        yield lambda stage, done, total: bar.update(tasks[stage], completed=done, total=total)


@contextmanager
def study_progress() -> Iterator[Progress]:
    """Yield a progress function that shows a bar for the series and one for the current step."""
    titles = {"search": "reading headers", "series": "series"}
    with make_bar() as bar:
        tasks = {key: bar.add_task(title, total=None) for key, title in titles.items()}
        step = bar.add_task("", total=None, visible=False)

        def show(stage: str, done: int, total: int) -> None:
            if stage in tasks:
                bar.update(tasks[stage], completed=done, total=total)
            else:
                bar.update(
                    step, description=f"  {stage}", completed=done, total=total, visible=True
                )

        yield show


TRAINING_METRICS = ("val_dice_mean", "val_found_L3", "val_located_error_mm_L3")


@contextmanager
def training_progress(trainings: Sequence[Training]) -> Iterator[TrainingProgress]:
    """Yield a progress function with a bar per training, or a line per epoch without a terminal."""
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:16}"), BarColumn(), TextColumn("{task.fields[said]}"))
    told = dict.fromkeys((training.network for training in trainings), "")
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks = {
            training.network: bars.add_task(training.network, total=training.minutes, said="")
            for training in trainings
        }

        def show(training: Training, minutes: float) -> None:
            row = training.latest_metrics()
            said = f"{minutes:.1f} of {training.minutes:.1f} min" + "".join(
                f"  {name.removeprefix('val_')} {float(row[name]):.3g}"
                for name in TRAINING_METRICS
                if row.get(name)
            )
            bars.update(tasks[training.network], completed=minutes, said=said)
            epoch = row.get("epoch", "")
            if epoch != told[training.network] and not console.is_terminal:
                sys.stderr.write(f"  {training.network}: {said}\n")
            told[training.network] = epoch

        yield show
