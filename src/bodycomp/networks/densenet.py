"""The slice-selection network: a DenseNet that says how far a slice lies from vertebral levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn

from bodycomp.errors import ImageError, UsageError
from bodycomp.networks.layers import (
    NormedConv2d,
    check_activation,
    check_initializer,
    initialize,
    make_activation,
    make_norm,
)

BOTTLENECK_WIDTH: Final = 4
"""Channels of a layer's 1x1 convolution, as a multiple of the growth rate."""


@dataclass(frozen=True, slots=True)
class DenseNetConfig:
    """Size and style of a DenseNet for regression.

    Attributes:
        num_outputs: One per vertebral level.
        growth_rate: New channels per layer.
        compression_rate: Channels of a transition per counted channel, in (0, 1].
        activation: One of ``names.ACTIVATIONS``; transitions, head and, by default, all
            blocks.
        block_activations: Activation inside each block, None for ``activation`` throughout. The
            earlier implementation had relu in all blocks but the last: ``legacy_activations``.
        batch_norm: False leaves all normalization out.
        initializer: One of ``names.INITIALIZERS``.

    Raises:
        UsageError: A value is out of range or a name unknown.
    """

    num_outputs: int = 1
    nb_blocks: int = 4
    nb_layers_per_block: int = 12
    nb_initial_filters: int = 16
    growth_rate: int = 12
    compression_rate: float = 0.5
    activation: str = "relu"
    block_activations: tuple[str, ...] | None = None
    batch_norm: bool = True
    initializer: str = "glorot_uniform"

    def __post_init__(self) -> None:
        for field in (
            "num_outputs",
            "nb_blocks",
            "nb_layers_per_block",
            "nb_initial_filters",
            "growth_rate",
        ):
            if getattr(self, field) < 1:
                raise UsageError(f"expected {field} of at least 1, found {getattr(self, field)}")
        if not 0 < self.compression_rate <= 1:
            raise UsageError(
                f"expected a compression rate above 0 and at most 1, found {self.compression_rate}"
            )
        if min(self.block_inputs) < 1:
            raise UsageError(
                f"compression rate {self.compression_rate} leaves a block without channels",
                hint="Raise the compression rate, the growth rate or the initial filters.",
            )
        if len(self.activations) != self.nb_blocks:
            raise UsageError(
                f"expected an activation for each of {self.nb_blocks} blocks, "
                f"found {len(self.activations)}"
            )
        for name in (self.activation, *self.activations):
            check_activation(name)
        check_initializer(self.initializer)

    @property
    def activations(self) -> tuple[str, ...]:
        """Activation inside each block."""
        if self.block_activations is None:
            return (self.activation,) * self.nb_blocks
        return tuple(self.block_activations)

    @property
    def block_inputs(self) -> tuple[int, ...]:
        """Channels that enter each block.

        A transition's width counts the block's input although the block's output leaves it out.
        """
        widths = [self.nb_initial_filters]
        for _ in range(self.nb_blocks - 1):
            counted = widths[-1] + self.block_output
            widths.append(int(self.compression_rate * counted))
        return tuple(widths)

    @property
    def block_output(self) -> int:
        """Channels that leave each block: the new features alone."""
        return self.nb_layers_per_block * self.growth_rate


def legacy_activations(activation: str, nb_blocks: int) -> tuple[str, ...]:
    """Return ``block_activations`` of the earlier implementation: relu in all blocks but the last.

    >>> legacy_activations("elu", 3)
    ('relu', 'relu', 'elu')
    """
    return (*("relu",) * (nb_blocks - 1), activation)


class PreActivation(nn.Module):
    """Batch norm, if wanted, and activation: any (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int, activation: str, *, batch_norm: bool) -> None:
        super().__init__()
        self.norm = make_norm(channels) if batch_norm else None
        # Without a norm the input itself would be overwritten, which other layers still read.
        self.activation = make_activation(activation, inplace=batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated features."""
        activated: Tensor = self.activation(x if self.norm is None else self.norm(x))
        return activated


def _convolution(config: DenseNetConfig) -> type[nn.Conv2d]:
    """Return the class of convolutions: only batch norms read their output, if there are any."""
    return NormedConv2d if config.batch_norm else nn.Conv2d


class DenseLayer(nn.Module):
    """Bottleneck layer: (B, C, H, W) -> (B, growth_rate, H, W)."""

    def __init__(self, channels: int, activation: str, config: DenseNetConfig) -> None:
        super().__init__()
        width, growth = BOTTLENECK_WIDTH * config.growth_rate, config.growth_rate
        self.pre1 = PreActivation(channels, activation, batch_norm=config.batch_norm)
        conv = _convolution(config)
        self.conv1 = conv(channels, width, 1)
        self.pre2 = PreActivation(width, activation, batch_norm=config.batch_norm)
        self.conv2 = conv(width, growth, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's new features."""
        new: Tensor = self.conv2(self.pre2(self.conv1(self.pre1(x))))
        return new


class DenseBlock(nn.Module):
    """Layers that each see the block's input and all earlier new features.

    The output is the new features alone, (B, layers x growth_rate, H, W): unlike in the original
    DenseNet, the block's input is not part of it.
    """

    def __init__(self, channels: int, activation: str, config: DenseNetConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DenseLayer(channels + i * config.growth_rate, activation, config)
            for i in range(config.nb_layers_per_block)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the new features of all layers."""
        features = [x]  # (B, C, H, W)
        for layer in self.layers:
            features.append(layer(torch.cat(features, dim=1)))  # (B, growth_rate, H, W)
        return torch.cat(features[1:], dim=1)  # (B, layers x growth_rate, H, W)


class Transition(nn.Module):
    """Norm, activation, 1x1 convolution, 2x2 average pooling: halves rows and columns."""

    def __init__(self, channels_in: int, channels_out: int, config: DenseNetConfig) -> None:
        super().__init__()
        self.pre = PreActivation(channels_in, config.activation, batch_norm=config.batch_norm)
        conv = _convolution(config)
        self.conv = conv(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels_out, H // 2, W // 2)."""
        # Both are linear and act on different axes, so that pooling first gives the same numbers
        # for a quarter of the work.
        features: Tensor = self.conv(F.avg_pool2d(self.pre(x), 2))
        return features


class DenseNet(nn.Module):
    """DenseNet regression; its numbers are those of the earlier Keras implementation."""

    def __init__(self, config: DenseNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DenseNetConfig()
        inputs = config.block_inputs
        conv = _convolution(config)
        self.stem = conv(1, config.nb_initial_filters, 7, stride=2)
        self.blocks = nn.ModuleList(
            DenseBlock(channels, activation, config)
            for channels, activation in zip(inputs, config.activations, strict=True)
        )
        self.transitions = nn.ModuleList(
            Transition(config.block_output, channels, config) for channels in inputs[1:]
        )
        self.pre_head = PreActivation(
            config.block_output, config.activation, batch_norm=config.batch_norm
        )
        self.head = nn.Linear(config.block_output, config.num_outputs)
        initialize(self, config.initializer)
        # Many thin feature maps: this layout trains 1.1 to 1.3 times as fast on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_outputs); their sigmoid is the target of ``targets``.

        ``x`` is (B, 1, H, W) in the range of the model's preprocessing; see ``check_size``.
        """
        self.check_size(x)
        x = self.stem(same_pad(x, kernel=7, stride=2))  # (B, nb_initial_filters, H / 2, W / 2)
        x = F.max_pool2d(x, 3, stride=2)  # (B, nb_initial_filters, H / 4 - 1, W / 4 - 1)
        x = self.blocks[0](x)  # (B, block_output, H / 4 - 1, W / 4 - 1)
        for transition, block in zip(self.transitions, self.blocks[1:], strict=True):
            x = block(transition(x))  # half the rows and columns, block_output again
        x = self.pre_head(x).mean(dim=(2, 3))  # (B, block_output)
        logits: Tensor = self.head(x)
        return logits

    def check_size(self, x: Tensor) -> None:
        """Check that the image is large enough for the number of blocks."""
        smallest = 2 ** (self.config.nb_blocks + 1) + 1  # rows that leave one row in the last block
        if min(x.shape[-2:]) < smallest:
            raise ImageError(
                f"expected at least {smallest} x {smallest} pixels for {self.config.nb_blocks} "
                f"blocks, found {x.shape[-2]} x {x.shape[-1]}"
            )


def same_pad(x: Tensor, *, kernel: int, stride: int) -> Tensor:
    """Pad rows and columns with zeros as TensorFlow's ``same`` does for a strided convolution.

    The output will have ceil(size / stride) rows; what cannot be split evenly goes to the end.
    """
    pads: list[int] = []
    for size in (x.shape[-1], x.shape[-2]):  # F.pad counts from the last axis
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)
