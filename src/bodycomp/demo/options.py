"""What the demo shall do, and in how much time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bodycomp.errors import UsageError
from bodycomp.options import declare, option


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of ``run_demo``; the trainings take what the rest leaves of ``total_minutes``.

    Raises:
        UsageError: A split is empty, or a time is not positive.
    """

    folder: Path = field(metadata=declare("OUT", help="folder to make"))
    seed: int = option(0, "--seed", help="seed of cohort and trainings")
    patients: tuple[int, int, int] = option(
        (36, 6, 12),
        "--patients",
        metavar="TRAIN VAL TEST",
        help="patients to train on, to choose the best epoch with, and to measure (default "
        "{default})",
    )
    total_minutes: float = 14.5
    training_minutes: float | None = option(
        None,
        "--minutes",
        help="time for the trainings, side by side (default: what fits in 15 minutes altogether)",
    )
    overwrite: bool = option(False, "--overwrite", help="replace a folder with content")

    def __post_init__(self) -> None:
        if min(self.patients) < 1:
            raise UsageError(
                f"expected at least one patient to train, to validate and to test, "
                f"found {self.patients}"
            )
        if not all(t is None or t > 0 for t in (self.total_minutes, self.training_minutes)):
            raise UsageError("expected positive times in minutes")
