"""What the demo shall do, and in how much time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bodycomp.errors import UsageError


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of ``run_demo``.

    Attributes:
        folder: Folder to make.
        seed: Seed of cohort and trainings.
        patients: Patients to train on, to choose the best epoch with, and to measure.
        total_minutes: Time for everything; the trainings take what the rest leaves.
        training_minutes: Time for the trainings, which run side by side; None to derive it.
        overwrite: Replace a folder that has content.

    Raises:
        UsageError: A split is empty, or a time is not positive.
    """

    folder: Path
    seed: int = 0
    patients: tuple[int, int, int] = (36, 6, 12)
    total_minutes: float = 14.5
    training_minutes: float | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if min(self.patients) < 1:
            raise UsageError(
                f"expected at least one patient to train, to validate and to test, "
                f"found {self.patients}"
            )
        if not all(t is None or t > 0 for t in (self.total_minutes, self.training_minutes)):
            raise UsageError("expected positive times in minutes")
