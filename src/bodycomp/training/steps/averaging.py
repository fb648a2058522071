"""An average of the weights along a training; it is what is evaluated and exported.

Towards the end of a step the weights jitter about where they are going, the more so the higher the
learning rate. Their average does not: it is a better network long before the rate has come down.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn


def average_weight(step: int, share: float) -> float:
    """Return how much of the newest weights goes into their average after ``step`` steps.

    The average then spans about the last ``share`` of all steps so far, however long a training
    is: ``1 / (share * step)``, and all of it as long as that share is less than a step.

    >>> average_weight(5, 0.1), average_weight(100, 0.1)
    (1.0, 0.1)
    """
    return min(1.0, 1.0 / (share * step))


class WeightAverage:
    """The average of a network's weights and of its batch-norm statistics.

    Attributes:
        share: Part of the steps so far that the average spans, in (0, 1].
    """

    def __init__(self, network: nn.Module, share: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(requires_grad=False).eval()
        self.share = share

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take the weights after ``step`` steps, at least 1, into the average."""
        weight = average_weight(step, self.share)
        averages, values = [], []
        for average, value in zip(_tensors(self.network), _tensors(network), strict=True):
            if average.is_floating_point():
                averages.append(average)
                values.append(value)
            else:
                average.copy_(value)  # the number of batches that a batch norm has seen
        torch._foreach_lerp_(averages, values, weight)

    def agree(self) -> None:
        """Take the first process's average over; batch norm sees other samples in each."""
        for tensor in _tensors(self.network):
            torch.distributed.broadcast(tensor, src=0)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the average, to be kept in a checkpoint."""
        return dict(self.network.state_dict())

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Resume from ``state_dict``."""
        self.network.load_state_dict(dict(state))


def _tensors(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
