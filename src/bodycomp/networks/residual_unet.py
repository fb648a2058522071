"""A U-Net of residual blocks that never works at full resolution: ``--arch residual_unet``.

The default U-Net spends a good part of its time in 16 features at full resolution, where memory
limits it. Here every 2x2 pixels become 4 channels of one pixel first (nothing is lost), all
features live at half the resolution or less, and the last convolution gives the classes of 2x2
pixels at once. Skips are added instead of concatenated.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn

from bodycomp.errors import ImageError, UsageError
from bodycomp.networks.activations import check_activation, make_activation
from bodycomp.networks.initializers import initialize
from bodycomp.networks.normalisation import make_norm

PATCH: Final = 2
"""Rows and columns of the pixels that become one."""


@dataclass(frozen=True, slots=True)
class ResidualUNetConfig:
    """Size of a residual U-Net.

    Attributes:
        num_classes: Classes with background, at least 2.
        channels: Features of the stages; the first one has half the input's rows and columns,
            each following one half of those before it.
        activation: One of ``names.ACTIVATIONS``.

    Raises:
        UsageError: A number is out of range or the activation unknown.
    """

    num_classes: int = 4
    channels: tuple[int, ...] = (32, 64, 128, 256, 256)
    activation: str = "relu"

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise UsageError(f"expected positive numbers of channels, found {self.channels}")
        if self.num_classes < 2:
            raise UsageError(f"expected at least 2 classes, found {self.num_classes}")
        check_activation(self.activation)

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


class Change(nn.Module):
    """Convolution, batch norm, activation: (B, in, H, W) -> (B, out, H / stride, W / stride)."""

    def __init__(
        self, channels: tuple[int, int], activation: str, *, kernel: int, stride: int
    ) -> None:
        super().__init__()
        padding = (kernel - stride + 1) // 2
        self.conv = nn.Conv2d(*channels, kernel, stride=stride, padding=padding, bias=False)
        self.norm = make_norm(channels[1])
        self.activation = make_activation(activation, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        features: Tensor = self.activation(self.norm(self.conv(x)))
        return features


class ResidualUNet(nn.Module):
    """Residual U-Net on 2x2 pixels at a time."""

    def __init__(self, config: ResidualUNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ResidualUNetConfig()
        widths, activation = config.channels, config.activation
        self.stem = Change((PATCH**2, widths[0]), activation, kernel=3, stride=1)
        self.down = nn.ModuleList(
            Change(pair, activation, kernel=2, stride=2) for pair in pairwise(widths)
        )
        self.encoder = nn.ModuleList(ResidualBlock(width, activation) for width in widths)
        self.up = nn.ModuleList(nn.Conv2d(low, high, 1) for low, high in pairwise(widths[::-1]))
        self.decoder = nn.ModuleList(ResidualBlock(width, activation) for width in widths[-2::-1])
        self.head = nn.Conv2d(widths[0], config.num_classes * PATCH**2, 3, padding=1)
        initialize(self, "he_normal")
        nn.init.zeros_(self.head.weight)
        for layer in self.modules():
            if isinstance(layer, ResidualBlock):
                nn.init.zeros_(layer.norm2.weight)  # a new block passes its input on

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
        x = self.encoder[0](self.stem(F.pixel_unshuffle(x, PATCH)))  # (B, C, H / 2, W / 2)
        skips = [x]
        for down, block in zip(self.down, self.encoder[1:], strict=True):
            x = block(down(x))
            skips.append(x)
        skips.pop()  # the centre
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(skips.pop() + F.interpolate(up(x), scale_factor=2.0, mode="nearest"))
        return F.pixel_shuffle(self.head(x), PATCH)

    def _check_size(self, x: Tensor) -> None:
        if x.shape[-1] % self.config.stride or x.shape[-2] % self.config.stride:
            raise ImageError(
                f"expected rows and columns in multiples of {self.config.stride}, "
                f"found {x.shape[-2]} x {x.shape[-1]}"
            )
