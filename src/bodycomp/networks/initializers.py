"""Initial weights by name, with the meaning that the names have in Keras.

Keras scales the variance by the fan and cuts normal draws at two standard deviations, widening
them first so that the variance after the cut is the one asked for (``VarianceScaling``).
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import nn

from bodycomp.errors import UsageError
from bodycomp.networks.names import INITIALIZERS

_TRUNCATED_STD: Final = 0.87962566103423978
"""Standard deviation of a standard normal cut at +-2."""


def check_initializer(name: str) -> str:
    """Return ``name`` if it is one of ``INITIALIZERS``.

    Raises:
        UsageError: It is not.
    """
    if name not in INITIALIZERS:
        raise UsageError(
            f"unknown initializer {name!r}", hint=f"Known initializers: {', '.join(INITIALIZERS)}."
        )
    return name


def weight_variance(name: str, fan_in: int, fan_out: int) -> float:
    """Return the variance that initializer ``name`` gives a layer's weights.

    >>> weight_variance("glorot_uniform", 9, 3)
    0.16666666666666666
    """
    family = check_initializer(name).split("_")[0]
    if family == "glorot":
        return 2.0 / (fan_in + fan_out)
    return (2.0 if family == "he" else 1.0) / fan_in


@torch.no_grad()
def initialize(network: nn.Module, name: str) -> None:
    """Draw the weights of all convolutions and dense layers anew and zero their biases.

    Uses torch's global generator: seed it for reproducible weights.

    Raises:
        UsageError: Unknown name.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            _draw(layer.weight, check_initializer(name))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _draw(weight: torch.Tensor, name: str) -> None:
    """Fill a (out, in, *kernel) weight."""
    area = math.prod(weight.shape[2:])
    std = math.sqrt(weight_variance(name, weight.shape[1] * area, weight.shape[0] * area))
    if name.endswith("_uniform"):
        limit = math.sqrt(3.0) * std
        nn.init.uniform_(weight, -limit, limit)
    else:
        wide = std / _TRUNCATED_STD
        nn.init.trunc_normal_(weight, std=wide, a=-2 * wide, b=2 * wide)
