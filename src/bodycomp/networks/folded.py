"""Networks for running alone, on the CPU: batch norms folded, nothing upsampled or concatenated.

The norm behind a convolution is folded into it. The one before a DenseNet's 1x1 convolution cannot
be, for the activation stands between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn

from bodycomp.kernels import like_image, rows_of
from bodycomp.networks.densenet import DenseLayer, DenseNet, PreActivation, Transition, same_pad
from bodycomp.networks.fast import transposed_kernel
from bodycomp.networks.layers import check_size, make_activation
from bodycomp.networks.patch_unet import PatchUNet
from bodycomp.networks.unet import ConvUnit, UNet, UpStage


def channels_last(x: Tensor) -> Tensor:
    """Return ``x`` laid out channels-last, itself if it is."""
    return x.contiguous(memory_format=torch.channels_last)


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
        return cls(channels_last(kernel.to(dtype)), bias.to(dtype), conv.stride[0], int(padding))

    def __call__(self, x: Tensor) -> Tensor:
        """Return (B, out, H', W') of (B, in, H, W)."""
        return F.conv2d(x, self.kernel, self.bias, self.stride, self.padding)


class FoldedUNet:
    """Gives the logits of a U-Net in evaluation mode, up to rounding; for the CPU.

    Args:
        network: Trained; later changes of its weights are not followed.
        dtype: Of features and kernels: float32 or bfloat16. The last convolution is float32.
    """

    def __init__(self, network: UNet, dtype: torch.dtype) -> None:
        self._stride = network.config.stride
        self._dtype = dtype
        self._activation = make_activation(network.config.activation, inplace=True)
        self._down = [_units(stage, dtype) for stage in network.down]
        widths = (network.config.compression_channels[-1], *network.config.decompression_channels)
        self._up = [
            _FoldedUpStage(stage, low, dtype)
            for stage, low in zip(network.up, widths, strict=False)
            if isinstance(stage, UpStage)
        ]
        self._head = FoldedConvolution.of(network.head, None, torch.float32)

    def __call__(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, H, W) float32; see ``UNet.forward``."""
        check_size(x, self._stride)
        x = channels_last(x.to(self._dtype))
        skips: list[Tensor] = []
        for stage in self._down:
            if skips:
                x = F.max_pool2d(x, 2)
            x = self._run(stage, x)
            skips.append(x)
        skips.pop()  # the center
        for up in self._up:
            x = self._run(up.others, self._activation(up.join(x, skips.pop())))
        return self._head(x.float())

    def _run(self, units: list[FoldedConvolution], x: Tensor) -> Tensor:
        for unit in units:
            x = self._activation(unit(x))
        return x


class _FoldedUpStage:
    """The two halves of a stage's first convolution, and its other units."""

    def __init__(self, stage: UpStage, low_channels: int, dtype: torch.dtype) -> None:
        first = FoldedConvolution.of(stage.first.conv, stage.first.norm, torch.float32)
        self._up_kernel = channels_last(transposed_kernel(first.kernel[:, :low_channels]).to(dtype))
        self._skip = FoldedConvolution(
            channels_last(first.kernel[:, low_channels:].to(dtype)), first.bias.to(dtype), padding=1
        )
        self.others = _units(stage.others, dtype)

    def join(self, low: Tensor, skip: Tensor) -> Tensor:
        """Convolve [upsampled ``low``, ``skip``]; see ``FastUpStage``."""
        raised = F.conv_transpose2d(low, self._up_kernel, stride=2, padding=1)
        return self._skip(skip).add_(raised)


class FoldedPatchUNet:
    """Does for a ``PatchUNet`` what ``FoldedUNet`` does for its U-Net."""

    def __init__(self, network: PatchUNet, dtype: torch.dtype) -> None:
        self._stride = network.config.stride
        self._patch = network.config.patch
        self._unet = FoldedUNet(network.unet, dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, H, W) float32; see ``PatchUNet.forward``."""
        check_size(x, self._stride)
        return F.pixel_shuffle(self._unet(F.pixel_unshuffle(x, self._patch)), self._patch)


def _units(stage: nn.Module, dtype: torch.dtype) -> list[FoldedConvolution]:
    units = [module for module in stage.modules() if isinstance(module, ConvUnit)]
    return [FoldedConvolution.of(unit.conv, unit.norm, dtype) for unit in units]


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

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the activated rows, contiguous."""
        activated: Tensor = self._activation(torch.addcmul(self._shift, rows, self._scale))
        return activated


@dataclass(frozen=True, eq=False)
class _FoldedLayer:
    """A bottleneck layer; ``kernel`` is its (out, in) 1x1 one with the norm behind it."""

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
