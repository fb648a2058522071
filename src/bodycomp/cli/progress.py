"""Progress on the terminal: a bar where there is a terminal, nothing in a log file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from bodycomp.study.options import StudyProgress


def make_bar() -> Progress:
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
def study_progress() -> Iterator[StudyProgress]:
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
