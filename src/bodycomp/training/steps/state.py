"""What a training has to remember to resume as if it had never stopped, besides its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from torch import Tensor

STATE_KEY: Final = "bodycomp"
"""Where a checkpoint keeps the training state."""


@dataclass
class TrainingState:
    """Where a training stands; changed by the training loop alone.

    Random numbers need no state here: they follow from the seed and ``step``.

    Attributes:
        step: Steps done since epoch 0.
        history: One row of metrics per epoch that was evaluated.
        best_epoch: Epoch of that score; None before the first.
        best_cases: (case,) how well each validation case did then, higher is better.
        validation_s: Time that the last validation took.
        epoch_loss: Sum over the running epoch's images of their batches' loss.
        epoch_images: Images seen in the running epoch.
        usual_losses: Losses of the last steps, those left out that were far too high.
        high_steps: Steps in a row, up to now, whose loss was that.
        step_backs: Returns to an earlier state after the training had diverged: ``from_step``,
            ``to_step``, the ``rate_factor`` from then on, and the ``reason``.
        missed_epochs: Per tissue that the last epochs did not find at all: how many epochs.
    """

    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_score: float = float("-inf")
    best_epoch: int | None = None
    best_cases: Tensor | None = None
    elapsed_s: float = 0.0
    validation_s: float = 0.0
    epoch_loss: float = 0.0
    epoch_images: int = 0
    epoch_s: float = 0.0
    used_rate: float = 0.0
    out_of_time: bool = False
    usual_losses: list[float] = field(default_factory=list)
    high_steps: int = 0
    step_backs: list[dict[str, Any]] = field(default_factory=list)
    missed_epochs: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values and tensors, which load without running code."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from ``to_dict``."""
        return cls(**values)

    @property
    def epochs_since_best(self) -> int:
        """Epochs evaluated after the best one."""
        best = -1 if self.best_epoch is None else self.best_epoch
        return sum(row["epoch"] > best for row in self.history)

    def epoch(self, steps_per_epoch: int) -> int:
        """Return the number of the running epoch, or of the one that the last step ended."""
        return max(self.step - 1, 0) // steps_per_epoch

    def start_epoch(self) -> None:
        """Forget the sums of the epoch that was evaluated."""
        self.epoch_loss, self.epoch_images, self.epoch_s = 0.0, 0, 0.0
