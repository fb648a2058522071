"""A residual network for slice selection: ``--arch resnet``.

Every 4x4 pixels become 16 channels of one pixel first, so that the first convolutions work on
64 x 64 instead of 128 x 128 positions; few wide layers use a processor better than many thin ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn

from bodycomp.errors import UsageError
from bodycomp.networks.layers import (
    check_activation,
    check_initializer,
    check_size,
    initialize,
    make_activation,
    make_norm,
)

PATCH: Final = 4
"""Rows and columns of the pixels that become one."""


@dataclass(frozen=True, slots=True)
class ResNetConfig:
    """Size of a residual network for regression.

    Attributes:
        num_outputs: One per vertebral level.
        channels: Features of the stages; the first one has a quarter of the input's rows and
            columns, each following one half of those before it.

    Raises:
        UsageError: A value is out of range or a name unknown.
    """

    num_outputs: int = 1
    channels: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    activation: str = "relu"
    initializer: str = "he_normal"

    def __post_init__(self) -> None:
        if not self.channels or min(*self.channels, *self.blocks, self.num_outputs) < 1:
            raise UsageError(
                "expected positive numbers of channels, blocks and outputs, found "
                f"{self.channels}, {self.blocks} and {self.num_outputs}"
            )
        if len(self.blocks) != len(self.channels):
            raise UsageError(
                f"expected blocks for {len(self.channels)} stages, found {len(self.blocks)}"
            )
        check_activation(self.activation)
        check_initializer(self.initializer)

    @property
    def stride(self) -> int:
        """Rows and columns of an input must be multiples of this."""
        return int(PATCH * 2 ** (len(self.channels) - 1))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions whose result is added to the input: (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int, activation: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = make_norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = make_norm(channels)
        self.activation = make_activation(activation, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's features."""
        new = self.norm2(self.conv2(self.activation(self.norm1(self.conv1(x)))))
        features: Tensor = self.activation(new + x)
        return features


class ResNetUnit(nn.Module):
    """Convolution, batch norm, activation: (B, in, H, W) -> (B, out, H / stride, W / stride).

    A pair of strides is that of rows and that of columns.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        activation: str,
        *,
        kernel: int,
        stride: int | tuple[int, int],
    ) -> None:
        super().__init__()
        rows, columns = (stride, stride) if isinstance(stride, int) else stride
        padding = ((kernel - rows + 1) // 2, (kernel - columns + 1) // 2)
        self.conv = nn.Conv2d(
            *channels, kernel, stride=(rows, columns), padding=padding, bias=False
        )
        self.norm = make_norm(channels[1])
        self.activation = make_activation(activation, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        features: Tensor = self.activation(self.norm(self.conv(x)))
        return features


class ResNet(nn.Module):
    """Residual network that scores slices."""

    def __init__(self, config: ResNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ResNetConfig()
        widths, activation = config.channels, config.activation
        self.stem = ResNetUnit((PATCH**2, widths[0]), activation, kernel=3, stride=1)
        self.down = nn.ModuleList(
            ResNetUnit(pair, activation, kernel=2, stride=2) for pair in pairwise(widths)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width, activation) for _ in range(count)))
            for width, count in zip(widths, config.blocks, strict=True)
        )
        self.head = nn.Linear(widths[-1], config.num_outputs)
        initialize(self, config.initializer)
        nn.init.zeros_(self.head.weight)
        for layer in self.modules():
            if isinstance(layer, ResidualBlock):
                nn.init.zeros_(layer.norm2.weight)  # a new block passes its input on
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_outputs); their sigmoid is the target of ``targets``.

        ``x`` is (B, 1, H, W) in the range of the model's preprocessing, H and W multiples of
        ``config.stride``.
        """
        check_size(x, self.config.stride)
        x = F.pixel_unshuffle(x, PATCH)  # (B, 16, H / 4, W / 4)
        x = self.stages[0](self.stem(x))  # (B, channels[0], H / 4, W / 4)
        for down, stage in zip(self.down, self.stages[1:], strict=True):
            x = stage(down(x))  # half the rows and columns, channels[i]
        logits: Tensor = self.head(x.mean(dim=(2, 3)))  # (B, num_outputs)
        return logits
