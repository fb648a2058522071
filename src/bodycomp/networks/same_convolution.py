"""The 3x3 same convolution of fused layers and its gradients, without automatic differentiation."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from bodycomp.networks.fused_norm import channels_last

_aten = torch.ops.aten

_SAME: Final[tuple[Any, ...]] = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
"""Stride, padding, dilation, transposed, output padding and groups."""


def convolve_same(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x`` (B, in, H, W) under a (out, in, 3, 3) kernel: (B, out, H, W), channels-last."""
    return channels_last(_aten.convolution(x, kernel, bias, *_SAME))


def same_gradients(dz: Tensor, x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of ``x`` and of the kernel; ``dz`` is that of the result."""
    wanted = [True, True, False]
    dx, dkernel, _ = _aten.convolution_backward(dz, x, kernel, None, *_SAME, wanted)
    return dx, dkernel


def same_kernel_gradient(dz: Tensor, x: Tensor, kernel: Tensor) -> Tensor:
    """Return the gradient of the kernel alone, for an ``x`` that needs none, such as an image."""
    wanted = [False, True, False]
    _, dkernel, _ = _aten.convolution_backward(dz, x, kernel, None, *_SAME, wanted)
    return dkernel  # type: ignore[no-any-return]  # an operator without types
