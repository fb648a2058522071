"""The segmentation network: a U-Net that labels every pixel of one axial slice."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn

from bodycomp.errors import UsageError
from bodycomp.networks.layers import (
    NormedConv2d,
    check_activation,
    check_size,
    initialize,
    make_activation,
    make_norm,
)


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """Size of a U-Net.

    Attributes:
        num_classes: Classes with background, at least 2.
        compression_channels: Features of each stage on the way down; the last one is the center.
        decompression_channels: Features of each stage on the way up; one fewer than down.

    Raises:
        UsageError: A number is not positive, or the two ways do not fit together.
    """

    num_classes: int = 4
    compression_channels: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    decompression_channels: tuple[int, ...] = (256, 128, 64, 32, 16)
    num_convs: int = 1
    activation: str = "relu"

    def __post_init__(self) -> None:
        down, up = self.compression_channels, self.decompression_channels
        if len(down) < 2 or len(up) != len(down) - 1:
            raise UsageError(
                f"expected at least 2 compression stages and one decompression stage fewer, "
                f"found {len(down)} and {len(up)}",
                hint="Give --decompression_channels one number fewer than --compression_channels.",
            )
        if min(*down, *up) < 1:
            raise UsageError(f"expected positive numbers of channels, found {down} and {up}")
        if self.num_classes < 2:
            raise UsageError(f"expected at least 2 classes, found {self.num_classes}")
        if self.num_convs < 1:
            raise UsageError(f"expected at least 1 convolution a stage, found {self.num_convs}")
        check_activation(self.activation)

    @property
    def stride(self) -> int:
        """Rows and columns of an input must be multiples of this."""
        return int(2 ** (len(self.compression_channels) - 1))


class ConvUnit(nn.Module):
    """3x3 same convolution with bias, batch norm, activation: (B, in, H, W) -> (B, out, H, W)."""

    def __init__(self, channels_in: int, channels_out: int, activation: str) -> None:
        super().__init__()
        self.conv = NormedConv2d(channels_in, channels_out, 3, padding=1)
        self.norm = make_norm(channels_out)
        self.activation = make_activation(activation, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the unit's features."""
        features: Tensor = self.activation(self.norm(self.conv(x)))
        return features


def _units(channels_in: int, channels_out: int, count: int, activation: str) -> nn.Sequential:
    widths = (channels_in, *(channels_out,) * count)
    return nn.Sequential(*(ConvUnit(a, b, activation) for a, b in pairwise(widths)))


class UpStage(nn.Module):
    """Upsampling x2, concatenation with the skip (upsampled first), convolution units."""

    def __init__(self, channels_in: int, channels_out: int, config: UNetConfig) -> None:
        super().__init__()
        self.first = ConvUnit(channels_in, channels_out, config.activation)
        self.others = _units(channels_out, channels_out, config.num_convs - 1, config.activation)

    def forward(self, low: Tensor, skip: Tensor) -> Tensor:
        """Join (B, C, H, W) and (B, D, 2H, 2W) to (B, channels_out, 2H, 2W)."""
        x = F.interpolate(low, scale_factor=2.0, mode="nearest")  # (B, C, 2H, 2W)
        x = torch.cat((x, skip), dim=1)  # (B, C + D, 2H, 2W)
        features: Tensor = self.others(self.first(x))
        return features


class UNet(nn.Module):
    """U-Net with nearest upsampling; its numbers are those of the earlier Keras implementation.

    Stage: ``num_convs`` x (3x3 convolution, batch norm, activation). Down: 2x2 max pooling
    between stages. Up: nearest upsampling x2, concatenated with the skip (upsampled first).
    """

    def __init__(self, config: UNetConfig | None = None, *, input_channels: int = 1) -> None:
        super().__init__()
        self.config = config = config or UNetConfig()
        down, up = config.compression_channels, config.decompression_channels
        below = (down[-1], *up[:-1])
        skips = down[-2::-1]
        self.down = nn.ModuleList(
            _units(channels_in, channels_out, config.num_convs, config.activation)
            for channels_in, channels_out in pairwise((input_channels, *down))
        )
        self.up = nn.ModuleList(
            UpStage(low + skip, channels_out, config)
            for low, skip, channels_out in zip(below, skips, up, strict=True)
        )
        self.head = nn.Conv2d(up[-1], config.num_classes, 1)
        initialize(self, "glorot_uniform")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, H, W); softmax over axis 1 gives probabilities.

        ``x`` is (B, input_channels, H, W) in the range of the model's preprocessing, H and W
        multiples of ``config.stride``.
        """
        check_size(x, self.config.stride)
        *stages, center = self.down
        skips: list[Tensor] = []
        for stage in stages:
            x = stage(x)  # (B, compression_channels[i], H / 2**i, W / 2**i)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = center(x)
        for up in self.up:
            x = up(x, skips.pop())  # twice the rows and columns, decompression_channels[i]
        logits: Tensor = self.head(x)
        return logits
