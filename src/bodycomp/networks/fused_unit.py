"""Convolution, batch norm and activation as one step of automatic differentiation, for the CPU.

Same numbers as the modules up to rounding, in fewer passes over memory. The convolution's bias is
left out: batch norm takes it away again, so that its gradient is zero. It only shifts the running
mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bodycomp.networks.fused_norm import (
    Moments,
    NormActivation,
    NormGradients,
    channels_last,
    like_image,
    rows_of,
    update_running,
)
from bodycomp.networks.same_convolution import (
    convolve_same,
    same_gradients,
    same_kernel_gradient,
)
from bodycomp.networks.upsampling import fold_kernel_gradient, transposed_kernel

_aten = torch.ops.aten

_DOUBLE: Final[tuple[Any, ...]] = ([2, 2], [1, 1], [1, 1], True, [0, 0], 1)
"""Stride, padding, dilation, transposed, output padding and groups of the transposed convolution
that doubles rows and columns with its 4x4 kernel."""


@dataclass(frozen=True, eq=False)
class UnitModules:
    """The layers whose work a fused unit does.

    Attributes:
        conv: 3x3 same convolution.
        norm: Batch norm over its output.
        slope: Of the activation below zero.
    """

    conv: nn.Conv2d
    norm: nn.BatchNorm2d
    slope: float

    @property
    def parameters(self) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        """What autograd has to know of."""
        return self.conv.weight, self.conv.bias, self.norm.weight, self.norm.bias

    def begin(self, moments: Moments, count: int) -> NormActivation:
        """Take a batch's moments: update the running statistics, return the norm to apply."""
        update_running(self.norm, moments, count, self.conv.bias)
        return NormActivation.of(moments, self.norm, self.slope)


def unit(x: Tensor, modules: UnitModules) -> Tensor:
    """Return the unit's features (B, out, H, W) of channels-last ``x`` (B, in, H, W)."""
    features: Tensor = _Unit.apply(x, modules, False, *modules.parameters)  # type: ignore[no-untyped-call]
    return features


def unit_and_pool(x: Tensor, modules: UnitModules) -> tuple[Tensor, Tensor]:
    """Return the unit's features and their 2x2 maxima; H and W are even."""
    features, pooled = _Unit.apply(x, modules, True, *modules.parameters)  # type: ignore[no-untyped-call]
    return features, pooled


def unit_of_upsampled(low: Tensor, skip: Tensor, modules: UnitModules) -> Tensor:
    """Return the unit's features of ``cat(upsample(low), skip)``, which is never made."""
    features: Tensor = _UpsampledUnit.apply(low, skip, modules, *modules.parameters)  # type: ignore[no-untyped-call]
    return features


class _Unit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, modules: UnitModules, pool: bool, weight: Tensor, *_: Tensor
    ) -> Any:
        kernel = channels_last(weight.to(x.dtype))
        z = convolve_same(x, kernel)
        norm = modules.begin(Moments.of(rows_of(z)), z.numel() // z.shape[1])
        ctx.save_for_backward(x, kernel, z)
        ctx.norm, ctx.pool, ctx.has_bias = norm, pool, modules.conv.bias is not None
        return norm.apply_and_pool(z) if pool else like_image(norm.apply(rows_of(z)), z)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, *pooled: Tensor) -> Any:
        x, kernel, z = ctx.saved_tensors
        dy = channels_last(dy)
        gradients: NormGradients = (
            ctx.norm.backward_pooled(dy, channels_last(pooled[0]), z)
            if ctx.pool
            else ctx.norm.backward(rows_of(dy), rows_of(z))
        )
        dz = like_image(gradients.dx, z)
        dx: Tensor | None = None
        if ctx.needs_input_grad[0]:
            dx, dkernel = same_gradients(dz, x, kernel)
        else:
            dkernel = same_kernel_gradient(dz, x, kernel)
        return dx, None, None, dkernel.float(), *_small_gradients(ctx, gradients)


class _UpsampledUnit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, low: Tensor, skip: Tensor, modules: UnitModules, weight: Tensor, *_: Tensor
    ) -> Tensor:
        split = low.shape[1]
        up_kernel = channels_last(transposed_kernel(weight[:, :split]).to(low.dtype))
        kernel = channels_last(weight[:, split:].to(low.dtype))
        z = convolve_same(skip, kernel)
        raised = channels_last(_aten.convolution(low, up_kernel, None, *_DOUBLE))
        moments = Moments.of(rows_of(z), added=rows_of(raised))
        norm = modules.begin(moments, z.numel() // z.shape[1])
        ctx.save_for_backward(low, skip, up_kernel, kernel, z)
        ctx.norm, ctx.has_bias = norm, modules.conv.bias is not None
        return like_image(norm.apply(rows_of(z)), z)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Any:
        low, skip, up_kernel, kernel, z = ctx.saved_tensors
        gradients = ctx.norm.backward(rows_of(channels_last(dy)), rows_of(z))
        dz = like_image(gradients.dx, z)
        both = [True, True, False]
        dskip, dkernel = same_gradients(dz, skip, kernel)
        dlow, dup, _ = _aten.convolution_backward(dz, low, up_kernel, None, *_DOUBLE, both)
        dweight = torch.cat((fold_kernel_gradient(dup.float()), dkernel.float()), dim=1)
        return dlow, dskip, None, dweight, *_small_gradients(ctx, gradients)


def _small_gradients(ctx: Any, gradients: NormGradients) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return the gradients of the convolution's bias, the norm's weight and its bias."""
    bias = torch.zeros_like(gradients.dbias) if ctx.has_bias else None
    return bias, gradients.dweight, gradients.dbias
