"""Activation functions by name, with the meaning that the names have in Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import nn

from bodycomp.errors import UsageError
from bodycomp.networks.names import ACTIVATIONS

LEAKY_SLOPE: Final = 0.2
"""Slope of ``leaky_relu`` below zero.

Keras has two: 0.2 for the function of this name (``tf.nn.leaky_relu`` in Keras 2), 0.3 for the
layer class ``LeakyReLU``. A name given as a string means the function.
"""

_FACTORIES: Final[dict[str, Callable[[bool], nn.Module]]] = {
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
    """Return ``name`` if it is one of ``ACTIVATIONS``.

    Raises:
        UsageError: It is not.
    """
    if name not in ACTIVATIONS:
        raise UsageError(
            f"unknown activation {name!r}", hint=f"Known activations: {', '.join(ACTIVATIONS)}."
        )
    return name


def make_activation(name: str, *, inplace: bool = False) -> nn.Module:
    """Return the activation called ``name``, element-wise on any shape.

    Args:
        name: One of ``ACTIVATIONS``.
        inplace: Overwrite the input where the function's gradient allows it; only for inputs
            that nothing else reads.

    Raises:
        UsageError: Unknown name.
    """
    return _FACTORIES[check_activation(name)](inplace)
