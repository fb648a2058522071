"""Networks that give the same numbers in less time: the same layers, run in another way.

``speed_up`` replaces modules of a plain network by subclasses of theirs, which share its layers:
weights and their names stay.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn

from bodycomp.kernels import DenseLayerParts, dense_block, kernels_serve
from bodycomp.networks.densenet import DenseBlock, DenseLayer
from bodycomp.networks.unet import UpStage

_TAP_SUMS = ((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))
"""Row i says which taps of the 3-tap kernel meet in tap i of the 4-tap one, per axis."""


def speed_up(network: nn.Module) -> nn.Module:
    """Return ``network`` after replacing those of its parts that there is a faster form of.

    Where the processor multiplies bfloat16 it is laid out channels-last, too, as that needs.
    """
    for parent in list(network.modules()):
        for name, part in list(parent.named_children()):
            if type(part) is UpStage:
                setattr(parent, name, FastUpStage(part))
            elif type(part) is DenseBlock:
                setattr(parent, name, FastDenseBlock(part))
    if cpu_has_bfloat16():
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it
    return network


class FastUpStage(UpStage):
    """A U-Net's up stage that neither upsamples nor concatenates.

    A 3x3 convolution over features that were upsampled x2 reads every low-resolution pixel up to
    four times. Adding up the weights that meet the same pixel gives a transposed convolution with
    a 4x4 kernel and stride 2, which does 16 instead of 36 multiplications and makes no large array.
    Zero padding agrees at the borders: a row outside the large array is one outside the small.
    """

    def __init__(self, plain: UpStage) -> None:
        nn.Module.__init__(self)
        self.first, self.others = plain.first, plain.others

    def forward(self, low: Tensor, skip: Tensor) -> Tensor:
        """Join (B, C, H, W) and (B, D, 2H, 2W) to (B, channels_out, 2H, 2W)."""
        first = self.first
        x = convolve_upsampled(first.conv.weight, first.conv.inert_bias(), low, skip)
        features: Tensor = self.others(first.activation(first.norm(x)))
        return features


def convolve_upsampled(weight: Tensor, bias: Tensor | None, low: Tensor, skip: Tensor) -> Tensor:
    """Return the same convolution of ``cat(upsample(low), skip)``, up to rounding.

    Args:
        weight: (out, C + D, 3, 3), for the channels of ``low``, then those of ``skip``.
        bias: (out,).
        low: (B, C, H, W), to be upsampled x2 by nearest neighbor.
        skip: (B, D, 2H, 2W).

    Returns:
        (B, out, 2H, 2W).
    """
    split = low.shape[1]
    kernel = transposed_kernel(weight[:, :split])
    features = F.conv2d(skip, weight[:, split:], bias, padding=1)
    return features + F.conv_transpose2d(low, kernel, stride=2, padding=1)


def transposed_kernel(weight: Tensor) -> Tensor:
    """Turn a (out, in, 3, 3) kernel into the (in, out, 4, 4) one of the transposed convolution.

    Linear in the weights, so that gradients arrive at the 3x3 kernel.
    """
    axis = torch.tensor(_TAP_SUMS, dtype=weight.dtype, device=weight.device)
    taps = weight.flatten(2) @ torch.kron(axis, axis).T
    return taps.view(*weight.shape[:2], 4, 4).transpose(0, 1)


class FastDenseBlock(DenseBlock):
    """A dense block whose training steps on a CPU run on the compiled kernels."""

    def __init__(self, plain: DenseBlock) -> None:
        nn.Module.__init__(self)
        self.layers = plain.layers

    def forward(self, x: Tensor) -> Tensor:
        """Return the new features of all layers."""
        if not self.training or not kernels_serve(x):
            return super().forward(x)
        layers = [layer for layer in self.layers if isinstance(layer, DenseLayer)]
        slope, parts = _slope_of(layers[0].pre1.activation), list(map(_parts_of, layers))
        known = [part for part in parts if part is not None]
        if slope is None or len(known) < len(parts):
            return super().forward(x)
        return dense_block(x, known, slope)


def _slope_of(activation: nn.Module) -> float | None:
    """Return the slope below zero of an activation that the kernels know; None for others."""
    if isinstance(activation, nn.LeakyReLU):
        return float(activation.negative_slope)
    return 0.0 if isinstance(activation, nn.ReLU) else None


def _parts_of(layer: DenseLayer) -> DenseLayerParts | None:
    """Return a layer's modules for the kernels; None if a norm is missing or not PyTorch's own."""
    norm1, norm2 = layer.pre1.norm, layer.pre2.norm
    if type(norm1) is not nn.BatchNorm2d or type(norm2) is not nn.BatchNorm2d:
        return None
    return DenseLayerParts(norm1, layer.conv1, norm2, layer.conv2)


def cpu_has_bfloat16() -> bool:
    """Return whether the CPU multiplies bfloat16 faster than float32 (AVX512-BF16 or AMX)."""
    ask = getattr(torch.cpu, "get_capabilities", None)  # older releases lack it
    capabilities: dict[str, object] = {} if ask is None else ask()
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16"))
