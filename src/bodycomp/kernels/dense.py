"""A dense block as one step of automatic differentiation, for the CPU.

Written out, each of a block's layers copies all earlier features into one array, measures their
mean and variance anew, and sends back a gradient of the same size that is added to the others.
Four facts save most of that traffic and change no number but by rounding:

- A layer's 1x1 convolution reads far more than it writes: it normalizes and activates a few
  pixels at a time in the cache, on the way forward and again on the way back.
- All features can lie side by side in one array from the start; a layer appends its own.
- A channel's mean and variance do not depend on which layer looks at it: they are measured once.
  The layers' norms differ in their learnt weight and bias alone.
- The gradient through a batch norm is ``scale * g + constant + slope * (x - mean)`` per channel.
  Of all layers that read a channel, only the first terms have to be added up pixel by pixel; the
  constants and slopes are added up as numbers and applied once, when all readers are done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bodycomp.kernels.build import library
from bodycomp.kernels.norm import (
    SUFFIXES,
    Moments,
    NormActivation,
    NormSums,
    correct,
    update_running,
)

_aten = torch.ops.aten

_SAME: Final[tuple[Any, ...]] = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
"""Stride, padding, dilation, transposed, output padding and groups of a 3x3 same convolution."""


@dataclass(frozen=True, eq=False)
class DenseLayerParts:
    """The modules of one bottleneck layer: norm, 1x1 convolution, norm, 3x3 convolution."""

    norm1: nn.BatchNorm2d
    conv1: nn.Conv2d
    norm2: nn.BatchNorm2d
    conv2: nn.Conv2d

    @property
    def parameters(self) -> tuple[Tensor | None, ...]:
        """What autograd has to know of, in the order of ``_layer_backward``."""
        return (
            *(self.norm1.weight, self.norm1.bias, self.conv1.weight, self.conv1.bias),
            *(self.norm2.weight, self.norm2.bias, self.conv2.weight, self.conv2.bias),
        )


def kernels_serve(x: Tensor) -> bool:
    """Return whether the kernels can take the place of PyTorch's operators in a training step."""
    on_cpu = x.device.type == "cpu" and torch.is_grad_enabled()
    return on_cpu and _work_dtype(x) in SUFFIXES and library() is not None


def dense_block(x: Tensor, layers: Sequence[DenseLayerParts], slope: float) -> Tensor:
    """Return the new features of a dense block's layers in training.

    Args:
        x: (B, C, H, W), for which ``kernels_serve``.
        layers: In order; their running statistics are updated.
        slope: Of the activations below zero: 0 is relu.

    Returns:
        (B, layers x growth, H, W), channels-last.
    """
    parameters = [p for layer in layers for p in layer.parameters]
    x = _channels_last(x.to(_work_dtype(x)))
    features: Tensor = _Block.apply(x, layers, slope, *parameters)  # type: ignore[no-untyped-call]
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
    def forward(
        ctx: Any, x: Tensor, layers: Sequence[DenseLayerParts], slope: float, *_: Tensor
    ) -> Tensor:
        growth, start = layers[0].conv2.out_channels, x.shape[1]
        rows = x.new_empty(x.numel() // start, start + growth * len(layers))
        rows[:, :start] = rows_of(x)
        moments = Moments.of(rows[:, :start])
        states = []
        for layer in layers:
            state, new = _run_layer(rows, x, moments, layer, slope)
            states.append(state)
            own = rows[:, state.end : state.end + growth]
            own.copy_(rows_of(new))
            moments = Moments.join((moments, Moments.of(own)))
        ctx.rows, ctx.states, ctx.start, ctx.mean = rows, states, start, moments.mean.float()
        return like_image(rows[:, start:].contiguous(), x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Any:
        states: list[_LayerState] = ctx.states
        gradient = _FeatureGradient(ctx.rows, ctx.mean)
        gradient.parts[:, ctx.start :] = rows_of(dy)
        layers: list[tuple[Tensor, ...]] = []
        while states:  # so that each layer's arrays go as soon as they have been used
            layers.append(_layer_backward(states.pop(), gradient, dy))
        small = [vector for layer in reversed(layers) for vector in layer]
        dx = like_image(gradient.take(slice(0, ctx.start)), dy)
        ctx.rows = None
        return dx, None, None, *small


class _FeatureGradient:
    """The gradient of a block's features while its readers add their parts to it."""

    def __init__(self, rows: Tensor, mean: Tensor) -> None:
        self._rows, self._mean = rows, mean
        self.parts = torch.zeros_like(rows)
        self._constant, self._slope = torch.zeros(2, rows.shape[1], dtype=torch.float64)
        self._one = torch.ones(rows.shape[1])

    def add(self, norm: NormActivation, dy: Tensor, kernel: Tensor) -> tuple[NormSums, Tensor]:
        """Add what comes back through norm, activation and 1x1 convolution of the first channels.

        Returns:
            The sums, and the gradient of the convolution's kernel.
        """
        channels = slice(0, kernel.shape[1])
        sums, dkernel = norm.multiply_backward(
            dy, self._rows[:, channels], kernel, self.parts[:, channels]
        )
        self._constant[channels] += sums.constant
        self._slope[channels] += sums.slope
        return sums, dkernel

    def take(self, channels: slice) -> Tensor:
        """Return the whole gradient of channels that no reader is left for, contiguous."""
        rows, mean = self._rows[:, channels], self._mean[channels]
        sums = NormSums(mean, mean, self._constant[channels], self._slope[channels])
        out = rows.new_empty(rows.shape)
        return correct(self.parts[:, channels], rows, self._one[channels], sums, mean, out=out)


def _run_layer(
    rows: Tensor, image: Tensor, moments: Moments, layer: DenseLayerParts, slope: float
) -> tuple[_LayerState, Tensor]:
    """Return a layer's new features (B, growth, H, W) and what its backward pass needs."""
    end, count = len(moments.mean), len(rows)
    update_running(layer.norm1, moments, count, None)
    norm1 = NormActivation.of(moments, layer.norm1, slope)
    kernel1 = layer.conv1.weight.detach()[:, :, 0, 0].to(rows.dtype)
    # Without the convolution's bias, which the norm takes away again.
    bottleneck = norm1.apply_and_multiply(rows[:, :end], kernel1)
    moments2 = Moments.of(bottleneck)
    update_running(layer.norm2, moments2, count, layer.conv1.bias)
    norm2 = NormActivation.of(moments2, layer.norm2, slope)
    activated2 = norm2.apply(bottleneck)
    kernel2 = _channels_last(layer.conv2.weight.detach().to(rows.dtype))
    bias2 = None if layer.conv2.bias is None else layer.conv2.bias.detach().to(rows.dtype)
    new = _aten.convolution(like_image(activated2, image), kernel2, bias2, *_SAME)
    state = _LayerState(end, norm1, kernel1, bottleneck, norm2, activated2, kernel2)
    return state, new


def _layer_backward(
    state: _LayerState, gradient: _FeatureGradient, image: Tensor
) -> tuple[Tensor, ...]:
    """Send a layer's gradient on; returns those of ``DenseLayerParts.parameters``.

    The convolutions' biases have none: the norms that read their output take them away again.
    """
    growth = state.kernel2.shape[0]
    dnew = like_image(gradient.take(slice(state.end, state.end + growth)), image)
    activated2 = like_image(state.activated2, image)
    dactivated2, dkernel2, _ = _aten.convolution_backward(
        dnew, activated2, state.kernel2, [growth], *_SAME, [True, True, False]
    )
    dbottleneck, sums2 = state.norm2.backward(rows_of(dactivated2), state.bottleneck)
    sums1, dkernel1 = gradient.add(state.norm1, dbottleneck, state.kernel1)
    return (
        *(sums1.dweight, sums1.dbias, dkernel1[:, :, None, None]),
        *(torch.zeros_like(sums2.dbias), sums2.dweight, sums2.dbias),
        *(dkernel2.float(), dkernel2.new_zeros(growth, dtype=torch.float32)),
    )


def _work_dtype(x: Tensor) -> torch.dtype:
    """Return the type of feature maps: that of autocast where it is on, else that of ``x``."""
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu")
    return x.dtype


def _channels_last(x: Tensor) -> Tensor:
    """Return ``x`` (B, C, H, W) laid out channels-last, itself if it is."""
    return x.contiguous(memory_format=torch.channels_last)


def rows_of(x: Tensor) -> Tensor:
    """Return (B, C, H, W) features as (B * H * W, C) rows, a view if they lie channels-last."""
    return _channels_last(x).permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def like_image(rows: Tensor, image: Tensor) -> Tensor:
    """Return contiguous (B * H * W, C) rows as a channels-last tensor of the shape of ``image``."""
    batch, _, height, width = image.shape
    return rows.view(batch, height, width, rows.shape[1]).permute(0, 3, 1, 2)
