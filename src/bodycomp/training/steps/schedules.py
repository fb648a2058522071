"""Learning rate as a pure function of where a training stands, so that a resume needs no state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from bodycomp.errors import UsageError

SCHEDULES: Final = ("cosine", "step", "half-life", "constant")

WARM_UP: Final = 0.05
"""Share of a cosine training over which the learning rate rises from almost zero."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a training stands.

    Attributes:
        epoch: Epochs done, with the fraction of the running one; counts from the first epoch
            number that the user gave.
        epochs: Epoch number at which the training ends.
        elapsed_share: Time used as a share of the time allowed; 0 when there is no limit.
    """

    epoch: float
    epochs: int
    elapsed_share: float = 0.0

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0..1, by epochs or by time, whichever is farther."""
        return min(1.0, max(self.epoch / self.epochs, self.elapsed_share))


def learning_rate_factor(schedule: str, position: Position, *, half_time_epochs: float) -> float:
    """Return the learning rate as a share of the initial one.

    - ``cosine``: rises over the first 5 % and falls along a half cosine to 0 at the end.
    - ``step``: x 0.1 after half of the epochs, x 0.01 after three quarters (the earlier
      implementation's rule: an epoch number e is beyond half when e > epochs / 2).
    - ``half-life``: halves every ``half_time_epochs`` epochs.
    - ``constant``: 1.

    >>> learning_rate_factor("half-life", Position(40, 100), half_time_epochs=20)
    0.25
    """
    if schedule == "cosine":
        return _cosine(position.progress)
    if schedule == "step":
        epoch = math.floor(position.epoch)
        if epoch > 0.75 * position.epochs:
            return 0.01
        return 0.1 if epoch > 0.5 * position.epochs else 1.0
    if schedule == "half-life":
        return float(0.5 ** (position.epoch / half_time_epochs))
    if schedule == "constant":
        return 1.0
    raise UsageError(f"unknown schedule {schedule!r}", hint=f"Known: {', '.join(SCHEDULES)}.")


def _cosine(progress: float) -> float:
    if progress < WARM_UP:
        return 0.01 + 0.99 * progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))
