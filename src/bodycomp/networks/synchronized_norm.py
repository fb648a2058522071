"""Batch norm over the images of several CPU processes, which PyTorch offers for GPUs alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Total(torch.autograd.Function):
    """Sum over all processes; each value has a part in what every process makes of the sum."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        total = own.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _total(gradient)


def _total(own: Tensor) -> Tensor:
    total: Tensor = _Total.apply(own)  # type: ignore[no-untyped-call]
    return total


class SynchronizedNorm(nn.BatchNorm2d):
    """Batch norm on the CPU with the statistics of all processes; PyTorch's own needs GPUs.

    Attributes:
        counts: Whether this process's images take part; those that only fill up its batch do not.
    """

    counts = True

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102 - as in the base class
        if not self.training:
            return super().forward(x)
        # Sums over all of (B, C, H, W) but channels; gradients flow through those of all processes.
        own = x.float()
        pixels = own.new_tensor([float(x.numel() // x.shape[1]) if self.counts else 0.0])
        share = 1.0 if self.counts else 0.0
        sums = _total(torch.cat([own.sum((0, 2, 3)) * share, pixels]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centered = own - mean[:, None, None]
        variance = _total((centered * centered).sum((0, 2, 3)) * share) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normed: Tensor = centered * scale[:, None, None] + self.bias[:, None, None]
        return normed.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Let the running statistics follow; the variance is the unbiased one, as in PyTorch."""
        momentum = self.momentum or 0.0
        for running, new in ((self.running_mean, mean), (self.running_var, variance)):
            if running is not None:
                running.lerp_(new, momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def synchronize_norms(network: nn.Module) -> None:
    """Make the batch norms of a network take their statistics over all processes, on the CPU.

    Parameters, running statistics and their names stay.
    """
    for parent in list(network.modules()):
        for name, norm in list(parent.named_children()):
            if type(norm) is nn.BatchNorm2d:
                made = SynchronizedNorm(norm.num_features, eps=norm.eps, momentum=norm.momentum)
                made.weight, made.bias = norm.weight, norm.bias
                made.running_mean, made.running_var = norm.running_mean, norm.running_var
                made.num_batches_tracked = norm.num_batches_tracked
                setattr(parent, name, made.train(norm.training))
