"""Batch norm with the constants of Keras, which both networks share."""

from __future__ import annotations

from typing import Final

from torch import nn

NORM_EPSILON: Final = 1e-3

NORM_MOMENTUM: Final = 0.01
"""PyTorch's momentum is the weight of the new value: 1 minus that of Keras, 0.99."""


def make_norm(channels: int) -> nn.BatchNorm2d:
    """Return a batch norm over (B, channels, H, W)."""
    return nn.BatchNorm2d(channels, eps=NORM_EPSILON, momentum=NORM_MOMENTUM)
