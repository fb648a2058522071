"""The DenseNet for running alone: norms folded where they can be, features side by side.

The norm before a layer's 1x1 convolution cannot be folded, for the activation stands between. With
the compiled kernels it is applied in the cache, within the multiplication; operators do it without
them. The norm behind the 1x1 convolution is folded into it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn

from bodycomp.native import library
from bodycomp.networks.densenet import DenseLayer, DenseNet, PreActivation, Transition, same_pad
from bodycomp.networks.folded import Affine, FoldedConvolution
from bodycomp.networks.fused_norm import (
    NormActivation,
    channels_last,
    like_image,
    rows_of,
    slope_of,
)


class FoldedDenseNet:
    """Gives the logits of a DenseNet in evaluation mode, up to rounding; for the CPU.

    Args:
        network: Trained; later changes of its weights are not followed.
        dtype: Of features and kernels: float32 or bfloat16. The head is float32.
    """

    def __init__(self, network: DenseNet, dtype: torch.dtype) -> None:
        self._check_size = network.check_size
        self._dtype = dtype
        # One channel in: float32 is the faster type here, and the more exact one.
        self._stem = FoldedConvolution.of(network.stem, None, torch.float32)
        transitions = [stage for stage in network.transitions if isinstance(stage, Transition)]
        followers = [*(transition.pre for transition in transitions), network.pre_head]
        self._blocks = [
            _FoldedBlock.of(block, after, dtype)
            for block, after in zip(network.blocks, followers, strict=True)
        ]
        self._transitions = [
            FoldedConvolution.of(transition.conv, None, dtype) for transition in transitions
        ]
        self._head = network.head

    def __call__(self, x: Tensor) -> Tensor:
        """Return logits (B, num_outputs) float32; see ``DenseNet.forward``."""
        self._check_size(x)
        x = channels_last(same_pad(x, kernel=7, stride=2))
        x = F.max_pool2d(self._stem(x), 3, stride=2).to(self._dtype)
        for index, block in enumerate(self._blocks):
            if index > 0:
                x = self._transitions[index - 1](F.avg_pool2d(x, 2))
            x = block(channels_last(x))
        logits: Tensor = self._head(x.float().mean(dim=(2, 3)))
        return logits


class _FoldedPre:
    """Norm and activation of (pixel, channel) rows."""

    def __init__(self, affine: Affine, activation: nn.Module, dtype: torch.dtype) -> None:
        self._scale, self._shift = affine.scale.to(dtype), affine.shift.to(dtype)
        self._activation = activation
        slope = slope_of(activation)
        self.kernel: NormActivation | None = None
        if slope is not None and library() is not None:
            scale, shift = affine.scale.float(), affine.shift.float()
            self.kernel = NormActivation(torch.zeros_like(scale), scale, shift, affine.scale, slope)

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the activated rows, contiguous."""
        if self.kernel is not None:
            return self.kernel.apply(rows)
        activated: Tensor = self._activation(torch.addcmul(self._shift, rows, self._scale))
        return activated


@dataclass(frozen=True, eq=False)
class _FoldedLayer:
    """A bottleneck layer; ``turned`` is the 1x1 kernel (in, out), its norm folded into it."""

    pre: _FoldedPre
    kernel: Tensor
    after: _FoldedPre
    conv: FoldedConvolution

    @classmethod
    def of(cls, layer: DenseLayer, dtype: torch.dtype) -> Self:
        channels, width = layer.conv1.in_channels, layer.conv1.out_channels
        narrow = FoldedConvolution.of(layer.conv1, layer.pre2.norm, torch.float32)
        bias = Affine(torch.ones(width, dtype=torch.float64), narrow.bias.double())
        return cls(
            _FoldedPre(Affine.of(layer.pre1.norm, channels), layer.pre1.activation, dtype),
            narrow.kernel[:, :, 0, 0].to(dtype).contiguous(),
            _FoldedPre(bias, layer.pre2.activation, dtype),
            FoldedConvolution.of(layer.conv2, None, dtype),
        )

    def __call__(self, rows: Tensor, image: Tensor) -> Tensor:
        """Return the new features (B, growth, H, W) of the (pixel, channel) rows of all before."""
        if self.pre.kernel is not None:
            narrow = self.pre.kernel.apply_and_multiply(rows, self.kernel)
        else:
            narrow = self.pre(rows) @ self.kernel.T
        return self.conv(like_image(self.after(narrow), image))


@dataclass(frozen=True, eq=False)
class _FoldedBlock:
    """A dense block and the norm and activation that follow it."""

    layers: list[_FoldedLayer]
    after: _FoldedPre
    growth: int

    @classmethod
    def of(cls, block: nn.Module, after: PreActivation, dtype: torch.dtype) -> Self:
        layers = [layer for layer in block.modules() if isinstance(layer, DenseLayer)]
        growth = layers[0].conv2.out_channels
        affine = Affine.of(after.norm, growth * len(layers))
        return cls(
            [_FoldedLayer.of(layer, dtype) for layer in layers],
            _FoldedPre(affine, after.activation, dtype),
            growth,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Return the activated new features of a channels-last (B, C, H, W) tensor."""
        end = x.shape[1]
        count = x.numel() // end
        rows = x.new_empty(count, end + self.growth * len(self.layers))
        rows[:, :end] = rows_of(x)
        for layer in self.layers:
            new = layer(rows[:, :end], x)
            rows[:, end : end + self.growth] = rows_of(new)
            end += self.growth
        return like_image(self.after(rows[:, x.shape[1] :]), x)
