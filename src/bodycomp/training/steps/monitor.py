"""What the processes of a training must know of every step to act alike in the next one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bodycomp.training.machine.ranks import Ranks
from bodycomp.training.steps.divergence import DivergedError, not_finite, watch_loss
from bodycomp.training.steps.state import TrainingState


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """Numbers of a step on their way from a GPU."""

    step: int
    images: int
    values: Tensor
    event: torch.cuda.Event


class StepMonitor:
    """Shares losses, signals and times among all processes, and acts on losses.

    On a GPU the synchronisation is deferred by a step: reading a number of a step that is not
    finished would stop this process from preparing the next one. By then it has usually arrived.

    Attributes:
        signal: That some process has received, 0 for none.
        elapsed_s: Time used, the same in all processes, and as old as the last step.
        validation_s: What a validation takes, likewise.
    """

    def __init__(self, ranks: Ranks, steps_per_epoch: int) -> None:
        self.signal = 0
        self.elapsed_s = 0.0
        self.validation_s = 0.0
        self._ranks = ranks
        self._steps_per_epoch = steps_per_epoch
        self._under_way: _UnderWay | None = None
        self._gradient_norm: Tensor | None = None

    def observe(
        self, state: TrainingState, images: int, loss: Tensor, known: tuple[float, float, float]
    ) -> None:
        """Share a step's numbers, and act on the newest that can be had: these, or those before.

        ``loss`` is the mean over this process's images; ``known`` to it are a signal, the time
        used, and that of a validation.

        Raises:
            DivergedError: The loss of any process is not finite, or far too high for long.
        """
        own = loss.detach().double().reshape(1)
        mine = torch.tensor(known, dtype=torch.float64).to(own.device)
        shared = self._ranks.largest(torch.cat([own.nan_to_num(torch.inf, torch.inf), mine]))
        values = torch.cat([own, shared])
        if values.device.type != "cuda":
            self._act(state, state.step, images, values)
            return
        self.settle_losses(state)
        copy = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        copy.copy_(values, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._under_way = _UnderWay(state.step, images, copy, event)

    def settle_losses(self, state: TrainingState) -> None:
        """Act on the numbers that are still under way, if any, waiting for them."""
        if self._under_way is not None:
            arrived, self._under_way = self._under_way, None
            arrived.event.synchronize()
            self._act(state, arrived.step, arrived.images, arrived.values)

    def _act(self, state: TrainingState, step: int, images: int, values: Tensor) -> None:
        loss, largest, signal, *times = values.tolist()
        self.signal, (self.elapsed_s, self.validation_s) = int(signal), times
        if largest == torch.inf:
            raise self._not_finite("loss is", state, step)
        watch_loss(state, step, largest)
        state.epoch_loss += loss * images

    def check_gradient(self, state: TrainingState, norm: Tensor) -> None:
        """See that a gradient is finite before it reaches the weights.

        A GPU is not waited for: there ``settle`` looks before a state is kept.
        """
        self._gradient_norm = norm.detach()
        if norm.device.type == "cpu":
            self._settle_gradient(state)

    def _settle_gradient(self, state: TrainingState) -> None:
        norm, self._gradient_norm = self._gradient_norm, None
        if norm is not None and not norm.isfinite():
            raise self._not_finite("gradient is", state, state.step)

    def settle(self, state: TrainingState, weights: list[Tensor]) -> None:
        """Act on all numbers that are not read yet; to be called before the state is used.

        Raises:
            DivergedError: A loss, a gradient or weights are not finite; in all processes.
        """
        self.settle_losses(state)
        self._settle_gradient(state)
        is_bad = ~torch.stack([value.isfinite().all() for value in weights]).all()
        if self._ranks.largest(is_bad.int()):
            raise self._not_finite("weights are", state, max(0, state.step - 1))

    def forget(self, elapsed_s: float, validation_s: float) -> None:
        """Begin anew from another state, with times that all processes agree on."""
        self._under_way, self._gradient_norm = None, None
        self.elapsed_s, self.validation_s = elapsed_s, validation_s

    def _not_finite(self, what: str, state: TrainingState, step: int) -> DivergedError:
        return not_finite(what, state, step, state.epoch(self._steps_per_epoch))
