"""How functions that take long report how far they are, and bars that show it on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

Progress = Callable[[str, int, int], None]
"""Called with the stage, steps done, and all steps of this stage."""

StepProgress = Callable[[int, int], None]
"""Called with steps done and all steps, where there is one stage."""


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""


@contextmanager
def stage_progress(titles: Mapping[str, str]) -> Iterator[Progress]:
    """Yield a progress function of stage, steps done and all steps, with a bar for each stage.

    Bars are in the order of ``titles``, and each shows once it is reported to. Stages without a
    title, which are steps within another one, share the last bar.
    """
    with make_bar() as bar:
        tasks = {
            key: bar.add_task(title, total=None, visible=False) for key, title in titles.items()
        }
        step = bar.add_task("", total=None, visible=False)

        def show(stage: str, done: int, total: int) -> None:
            task, words = tasks.get(stage, step), titles.get(stage, f"  {stage}")
            bar.update(task, description=words, completed=done, total=total, visible=True)

        yield show


@contextmanager
def shown(progress: bool | Progress, titles: Mapping[str, str]) -> Iterator[Progress]:
    """Yield the function to report to: the caller's own, one that draws bars, or one that does not.

    Stages without one of the ``titles`` share a bar below the others.
    """
    if not isinstance(progress, bool):
        yield progress
    elif progress:
        with stage_progress(titles) as report:
            yield report
    else:
        yield no_progress


def make_bar() -> Bars:
    """Return bars on standard error that stay silent where that is not a terminal."""
    from rich.console import Console  # noqa: PLC0415 - half the time of a command's --help
    from rich.progress import (  # noqa: PLC0415
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
        disable=not (console.is_terminal or console.is_jupyter),
    )
