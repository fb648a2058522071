"""How functions that take long report how far they are."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the stage, steps done, and all steps of this stage."""

StepProgress = Callable[[int, int], None]
"""Called with steps done and all steps, where there is one stage."""


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""
