"""The segmentation network: a U-Net that labels every pixel of one axial slice."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn

from bodycomp.errors import ImageError, UsageError
from bodycomp.networks.activations import check_activation, make_activation
from bodycomp.networks.initializers import initialize

NORM_EPSILON: Final = 1e-3
NORM_MOMENTUM: Final = 0.01
"""PyTorch's momentum is the weight of the new value: 1 minus that of Keras, 0.99."""


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """Size of a U-Net.

    Attributes:
        num_classes: Classes with background, at least 2.
        compression_channels: Features of each stage on the way down; the last one is the centre.
        decompression_channels: Features of each stage on the way up; one fewer than down.
        num_convs: Convolutions per stage.
        activation: One of ``names.ACTIVATIONS``.

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
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels_out, eps=NORM_EPSILON, momentum=NORM_MOMENTUM)
        self.activation = make_activation(activation, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the unit's features."""
        activated: Tensor = self.activation(self.norm(self.conv(x)))
        return activated


class UNet(nn.Module):
    """U-Net with nearest upsampling; its numbers are those of the earlier Keras implementation.

    Stage: ``num_convs`` x (3x3 convolution, batch norm, activation). Down: 2x2 max pooling
    between stages. Up: nearest upsampling x2, concatenated with the skip (upsampled first).
    """

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or UNetConfig()
        down, up = config.compression_channels, config.decompression_channels
        below = (down[-1], *up[:-1])
        skips = down[-2::-1]
        self.down = nn.ModuleList(
            self._stage(channels_in, channels_out)
            for channels_in, channels_out in pairwise((1, *down))
        )
        self.up = nn.ModuleList(
            self._stage(low + skip, out) for low, skip, out in zip(below, skips, up, strict=True)
        )
        self.head = nn.Conv2d(up[-1], config.num_classes, 1)
        initialize(self, "glorot_uniform")

    def _stage(self, channels_in: int, channels_out: int) -> nn.Sequential:
        widths = (channels_in, *(channels_out,) * self.config.num_convs)
        return nn.Sequential(*(ConvUnit(a, b, self.config.activation) for a, b in pairwise(widths)))

    def forward(self, x: Tensor) -> Tensor:
        """Label images.

        Args:
            x: (B, 1, H, W) in the range of the model's preprocessing; H and W multiples of
                ``config.stride``.

        Returns:
            Logits (B, num_classes, H, W); softmax over axis 1 gives probabilities.

        Raises:
            ImageError: H or W is no multiple of the stride.
        """
        self._check_size(x)
        skips: list[Tensor] = []
        for stage in self.down:
            if skips:
                x = F.max_pool2d(x, 2)
            x = stage(x)
            skips.append(x)
        skips.pop()  # the centre
        for stage in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = stage(torch.cat((x, skips.pop()), dim=1))
        logits: Tensor = self.head(x)
        return logits

    def _check_size(self, x: Tensor) -> None:
        if x.shape[-1] % self.config.stride or x.shape[-2] % self.config.stride:
            raise ImageError(
                f"expected rows and columns in multiples of {self.config.stride}, "
                f"found {x.shape[-2]} x {x.shape[-1]}"
            )
