"""What all networks are made of: activations, initial weights and norms, as Keras means them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

from bodycomp.errors import ImageError, UsageError
from bodycomp.networks.names import ACTIVATIONS, INITIALIZERS

LEAKY_SLOPE: Final = 0.2
"""Slope of ``leaky_relu`` below zero.

Keras has two: 0.2 for the function of this name (``tf.nn.leaky_relu`` in Keras 2), 0.3 for the
layer class ``LeakyReLU``. A name given as a string means the function.
"""

NORM_EPSILON: Final = 1e-3
NORM_MOMENTUM: Final = 0.01
"""PyTorch's momentum is the weight of the new value: 1 minus that of Keras, 0.99."""

_TRUNCATED_STD: Final = 0.87962566103423978
"""Standard deviation of a standard normal cut at +-2."""

_ACTIVATIONS: Final[dict[str, Callable[[bool], nn.Module]]] = {
    "relu": lambda inplace: nn.ReLU(inplace=inplace),
    "elu": lambda inplace: nn.ELU(inplace=inplace),
    "selu": lambda inplace: nn.SELU(inplace=inplace),
    "tanh": lambda _: nn.Tanh(),
    "sigmoid": lambda _: nn.Sigmoid(),
    "leaky_relu": lambda inplace: nn.LeakyReLU(LEAKY_SLOPE, inplace=inplace),
    "gelu": lambda _: nn.GELU(),  # the exact one, not the tanh approximation
    "swish": lambda _: nn.SiLU(),
}


def check_activation(name: str) -> str:
    """Return ``name`` if it is one of ``ACTIVATIONS``, or raise ``UsageError``."""
    return _check_name("activation", name, ACTIVATIONS)


def check_initializer(name: str) -> str:
    """Return ``name`` if it is one of ``INITIALIZERS``, or raise ``UsageError``."""
    return _check_name("initializer", name, INITIALIZERS)


def check_size(images: Tensor, multiple: int) -> None:
    """Check that rows and columns of (B, C, H, W) images are multiples of a network's stride."""
    rows, columns = images.shape[-2:]
    if rows % multiple or columns % multiple:
        raise ImageError(
            f"expected rows and columns in multiples of {multiple}, found {rows} x {columns}"
        )


def make_activation(name: str, *, inplace: bool = False) -> nn.Module:
    """Return the activation called ``name``, element-wise on any shape.

    Args:
        name: One of ``ACTIVATIONS``.
        inplace: Overwrite the input where the function's gradient allows it; only for inputs
            that nothing else reads.
    """
    return _ACTIVATIONS[check_activation(name)](inplace)


def make_norm(channels: int) -> nn.BatchNorm2d:
    """Return a batch norm over (B, channels, H, W) with the constants of Keras."""
    return nn.BatchNorm2d(channels, eps=NORM_EPSILON, momentum=NORM_MOMENTUM)


class NormedConv2d(nn.Conv2d):
    """A convolution whose output is read by batch norms alone.

    They take its bias away again: the bias has no gradient in training. Adam would make steps of
    the rounding noise that stands for it, which the running statistics follow too late.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, in, H, W)."""
        features: Tensor = self._conv_forward(x, self.weight, self.inert_bias())
        return features

    def inert_bias(self) -> Tensor | None:
        """Return the bias, in training without a gradient."""
        bias = self.bias
        return bias.detach() + 0.0 * bias if self.training and bias is not None else bias


@torch.no_grad()
def initialize(network: nn.Module, name: str) -> None:
    """Draw the weights of all convolutions and dense layers anew and zero their biases.

    Uses torch's global generator: seed it for reproducible weights.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            _draw(layer.weight, check_initializer(name))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _draw(weight: Tensor, name: str) -> None:
    """Fill a (out, in, *kernel) weight.

    Keras scales the variance by the fan and cuts normal draws at two standard deviations, widening
    them first so that the variance after the cut is the one asked for (``VarianceScaling``).
    """
    family, shape = name.split("_")
    area = math.prod(weight.shape[2:])
    fan_out, fan_in = weight.shape[0] * area, weight.shape[1] * area
    if family == "glorot":
        std = math.sqrt(2 / (fan_in + fan_out))
    else:
        std = math.sqrt((2 if family == "he" else 1) / fan_in)
    if shape == "uniform":
        limit = math.sqrt(3.0) * std
        nn.init.uniform_(weight, -limit, limit)
    else:
        wide = std / _TRUNCATED_STD
        nn.init.trunc_normal_(weight, std=wide, a=-2 * wide, b=2 * wide)


def _check_name(what: str, name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        raise UsageError(f"unknown {what} {name!r}", hint=f"Known {what}s: {', '.join(known)}.")
    return name
