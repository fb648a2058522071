"""Convolutions that carry the batch norm behind them, for running networks without training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Affine:
    """A batch norm with its running statistics, ``x * scale + shift``; (C,) float64 each."""

    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, norm: nn.BatchNorm2d | None, channels: int) -> Self:
        """Take a norm's statistics; the identity without a norm."""
        if norm is None or norm.running_mean is None or norm.running_var is None:
            one = torch.ones(channels, dtype=torch.float64)
            return cls(one, torch.zeros_like(one))
        scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
        return cls(scale, norm.bias.detach().double() - norm.running_mean.double() * scale)


@dataclass(frozen=True, eq=False)
class FoldedConvolution:
    """A convolution, and the norm behind it if there is one, as a single convolution.

    Attributes:
        kernel: (out, in, rows, columns), channels-last.
        bias: (out,).
        stride, padding: Pixels.
    """

    kernel: Tensor
    bias: Tensor
    stride: int = 1
    padding: int = 0

    @classmethod
    def of(cls, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, dtype: torch.dtype) -> Self:
        """Fold in float64, then round to ``dtype``."""
        after = Affine.of(norm, conv.out_channels)
        kernel = conv.weight.detach().double() * after.scale[:, None, None, None]
        bias = after.shift
        if conv.bias is not None:
            bias = bias + conv.bias.detach().double() * after.scale
        padding = conv.padding[0] if isinstance(conv.padding, tuple) else 0
        return cls(laid_out(kernel, dtype), bias.to(dtype), conv.stride[0], int(padding))

    def __call__(self, x: Tensor) -> Tensor:
        """Return (B, out, H', W') of (B, in, H, W)."""
        return F.conv2d(x, self.kernel, self.bias, self.stride, self.padding)


def laid_out(kernel: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a kernel in ``dtype``, channels-last."""
    return kernel.to(dtype).contiguous(memory_format=torch.channels_last)
