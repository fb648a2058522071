"""A dense block and the norm after it as one step of automatic differentiation, for the CPU.

Written out, each of a block's layers copies all earlier features into one array, measures their
mean and variance anew, and sends back a gradient of the same size that is added to the others.
Four facts save most of that traffic and change no number but by rounding:

- A layer's 1x1 convolution reads far more than it writes: it normalises and activates a few
  pixels at a time in the cache, on the way forward and again on the way back.
- All features can lie side by side in one array from the start; a layer appends its own.
- A channel's mean and variance do not depend on which layer looks at it: they are measured once.
  The layers' norms differ in their learnt weight and bias alone.
- The gradient through a batch norm is ``scale * g + constant + slope * (x - mean)`` per channel.
  Of all layers that read a channel, only the first terms have to be added up pixel by pixel; the
  constants and slopes are added up as numbers and applied once, when the channel's own turn comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bodycomp.networks.fused_norm import (
    Correction,
    Moments,
    NormActivation,
    NormSums,
    channels_last,
    like_image,
    rows_of,
    update_running,
)
from bodycomp.networks.same_convolution import convolve_same, same_gradients


@dataclass(frozen=True, eq=False)
class LayerModules:
    """The layers whose work one bottleneck layer's part of a fused block does."""

    norm1: nn.BatchNorm2d
    conv1: nn.Conv2d
    norm2: nn.BatchNorm2d
    conv2: nn.Conv2d

    @property
    def parameters(self) -> tuple[Tensor | None, ...]:
        """What autograd has to know of, in the order of ``_LayerGradients``."""
        return (
            *(self.norm1.weight, self.norm1.bias, self.conv1.weight, self.conv1.bias),
            *(self.norm2.weight, self.norm2.bias, self.conv2.weight, self.conv2.bias),
        )


@dataclass(frozen=True, eq=False)
class BlockModules:
    """The layers of a dense block and the norm that its output goes through.

    Attributes:
        layers: Bottleneck layers in order.
        final_norm: Of the transition or the head that follows.
        slope, final_slope: Of the activations below zero, inside the block and after it.
    """

    layers: Sequence[LayerModules]
    final_norm: nn.BatchNorm2d
    slope: float
    final_slope: float


def block_and_norm(x: Tensor, modules: BlockModules) -> Tensor:
    """Return the block's new features, normalised and activated.

    Args:
        x: (B, C, H, W) channels-last.
        modules: The layers; running statistics are updated.

    Returns:
        (B, layers x growth, H, W), channels-last.
    """
    parameters = [p for layer in modules.layers for p in layer.parameters]
    final = modules.final_norm
    features: Tensor = _Block.apply(x, modules, *parameters, final.weight, final.bias)  # type: ignore[no-untyped-call]
    return features


@dataclass(frozen=True, eq=False)
class _LayerState:
    """What a layer's backward pass needs; ``end`` is the number of channels that it reads."""

    end: int
    norm1: NormActivation
    kernel1: Tensor
    bottleneck: Tensor
    norm2: NormActivation
    activated2: Tensor
    kernel2: Tensor


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, modules: BlockModules, *_: Tensor) -> Tensor:
        growth, start = modules.layers[0].conv2.out_channels, x.shape[1]
        count = x.numel() // start
        rows = x.new_empty(count, start + growth * len(modules.layers))
        rows[:, :start] = rows_of(x)
        moments = Moments.of(rows[:, :start])
        states = []
        for layer in modules.layers:
            state, new = _run_layer(rows, x, moments, layer, modules.slope)
            states.append(state)
            own = rows[:, state.end : state.end + growth]
            own.copy_(rows_of(new))
            moments = Moments.join((moments, Moments.of(own)))
        final_moments = moments.part(slice(start, None))
        update_running(modules.final_norm, final_moments, count, None)
        final = NormActivation.of(final_moments, modules.final_norm, modules.final_slope)
        ctx.rows, ctx.states, ctx.final, ctx.start = rows, states, final, start
        ctx.mean = moments.mean.float()
        return like_image(final.apply(rows[:, start:]), x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Any:
        states: list[_LayerState] = ctx.states
        gradient = _FeatureGradient(ctx.rows, ctx.mean)
        final = gradient.add(ctx.final, rows_of(channels_last(dy)), slice(ctx.start, None))
        layers: list[tuple[Tensor, ...]] = []
        while states:  # so that each layer's arrays go as soon as they have been used
            layers.append(_layer_backward(states.pop(), gradient, dy))
        small = [vector for layer in reversed(layers) for vector in layer]
        dx = like_image(gradient.take(slice(0, ctx.start)), dy)
        ctx.rows = None
        return dx, None, *small, final.dweight, final.dbias


class _FeatureGradient:
    """The gradient of a block's features while its readers add their parts to it."""

    def __init__(self, rows: Tensor, mean: Tensor) -> None:
        self._rows, self._mean = rows, mean
        self._parts = torch.zeros_like(rows)
        self._constant, self._slope = torch.zeros(2, rows.shape[1], dtype=torch.float64)
        self._one = torch.ones(rows.shape[1])

    def add(self, norm: NormActivation, dy: Tensor, channels: slice) -> NormSums:
        """Add what comes back through a norm and activation that read these channels."""
        sums = norm.accumulate_backward(dy, self._rows[:, channels], self._parts[:, channels])
        return self._keep(sums, channels)

    def add_product(
        self, norm: NormActivation, dy: Tensor, kernel: Tensor
    ) -> tuple[NormSums, Tensor]:
        """Add what comes back through norm, activation and 1x1 convolution of the first channels.

        Returns:
            The sums, and the gradient of the convolution's kernel.
        """
        channels = slice(0, kernel.shape[1])
        sums, dkernel = norm.multiply_backward(
            dy, self._rows[:, channels], kernel, self._parts[:, channels]
        )
        return self._keep(sums, channels), dkernel

    def _keep(self, sums: NormSums, channels: slice) -> NormSums:
        self._constant[channels] += sums.constant
        self._slope[channels] += sums.slope
        return sums

    def take(self, channels: slice) -> Tensor:
        """Return the whole gradient of channels that no reader is left for, contiguous."""
        correction = Correction(
            *(self._one[channels], self._constant[channels]),
            *(self._slope[channels], self._mean[channels]),
        )
        return correction.apply(self._parts[:, channels], self._rows[:, channels])


def _run_layer(
    rows: Tensor, image: Tensor, moments: Moments, layer: LayerModules, slope: float
) -> tuple[_LayerState, Tensor]:
    """Return a layer's new features (B, growth, H, W) and what its backward pass needs."""
    end, count = len(moments.mean), len(rows)
    update_running(layer.norm1, moments, count, None)
    norm1 = NormActivation.of(moments, layer.norm1, slope)
    kernel1 = layer.conv1.weight.detach()[:, :, 0, 0].to(rows.dtype)
    bottleneck = norm1.apply_and_multiply(rows[:, :end], kernel1)
    moments2 = Moments.of(bottleneck)
    update_running(layer.norm2, moments2, count, layer.conv1.bias)
    norm2 = NormActivation.of(moments2, layer.norm2, slope)
    activated2 = norm2.apply(bottleneck)
    kernel2 = channels_last(layer.conv2.weight.detach().to(rows.dtype))
    bias2 = None if layer.conv2.bias is None else layer.conv2.bias.detach().to(rows.dtype)
    new = convolve_same(like_image(activated2, image), kernel2, bias2)
    state = _LayerState(end, norm1, kernel1, bottleneck, norm2, activated2, kernel2)
    return state, new


def _layer_backward(
    state: _LayerState, gradient: _FeatureGradient, image: Tensor
) -> tuple[Tensor, ...]:
    """Send a layer's gradient on; returns those of ``LayerModules.parameters``.

    The convolutions' biases have none: all that reads their output is normalised.
    """
    growth = state.kernel2.shape[0]
    dnew = like_image(gradient.take(slice(state.end, state.end + growth)), image)
    dactivated2, dkernel2 = same_gradients(dnew, like_image(state.activated2, image), state.kernel2)
    back2 = state.norm2.backward(rows_of(channels_last(dactivated2)), state.bottleneck)
    back1, dkernel1 = gradient.add_product(state.norm1, back2.dx, state.kernel1)
    return (
        *(back1.dweight, back1.dbias, dkernel1[:, :, None, None]),
        *(torch.zeros_like(back2.dbias), back2.dweight, back2.dbias),
        *(dkernel2.float(), torch.zeros(growth)),
    )
