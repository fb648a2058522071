"""The architecture of a Keras network, inferred from the shapes of its kernels."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from bodycomp.errors import UsageError
from bodycomp.networks.densenet import BOTTLENECK_WIDTH, DenseNetConfig
from bodycomp.networks.unet import UNetConfig

Shape = tuple[int, ...]

_MOST_DECIMALS: Final = 12


def infer_unet(kernels: list[Shape]) -> UNetConfig | None:
    """Return the U-Net that has these kernels (rows, columns, in, out), or None.

    The activation is left at its default: shapes do not tell it.
    """
    *units, head = kernels
    if len(head) != 4:
        return None
    for num_convs in range(1, len(units) + 1):
        stages, rest = divmod(len(units), num_convs)
        if rest or stages % 2 == 0:
            continue
        widths = tuple(kernel[-1] for kernel in units[::num_convs])
        depth = stages // 2 + 1
        try:
            config = UNetConfig(head[-1], widths[:depth], widths[depth:], num_convs)
        except UsageError:
            continue
        if unet_kernels(config) == kernels:
            return config
    return None


def unet_kernels(config: UNetConfig) -> list[Shape]:
    """Return the kernel shapes of a U-Net in Keras order."""
    down, up = config.compression_channels, config.decompression_channels
    inputs = [1, *down[:-1]]
    inputs += [low + skip for low, skip in zip((down[-1], *up), down[-2::-1], strict=False)]
    kernels: list[Shape] = []
    for channels_in, channels_out in zip(inputs, (*down, *up), strict=True):
        widths = (channels_in, *(channels_out,) * config.num_convs)
        kernels += [(3, 3, a, b) for a, b in pairwise(widths)]
    return [*kernels, (1, 1, up[-1], config.num_classes)]


def infer_densenet(kernels: list[Shape], *, batch_norm: bool) -> DenseNetConfig | None:
    """Return the DenseNet that has these kernels, or None.

    Activations and initializer are left at their defaults: shapes do not tell them.
    """
    stem, *middle, head = kernels
    layers = [kernel for kernel in middle if kernel[:2] == (3, 3)]
    transitions = [a for a, b in pairwise(middle) if a[:2] == (1, 1) == b[:2]]
    blocks = len(transitions) + 1
    if len(stem) != 4 or len(head) != 2 or not layers or len(layers) % blocks:
        return None
    try:
        config = DenseNetConfig(
            num_outputs=head[-1],
            nb_blocks=blocks,
            nb_layers_per_block=len(layers) // blocks,
            nb_initial_filters=stem[-1],
            growth_rate=layers[0][-1],
            compression_rate=_compression_rate(stem[-1], transitions),
            batch_norm=batch_norm,
        )
    except UsageError:
        return None
    return config if densenet_kernels(config) == kernels else None


def densenet_kernels(config: DenseNetConfig) -> list[Shape]:
    """Return the kernel shapes of a DenseNet in Keras order."""
    growth, width = config.growth_rate, BOTTLENECK_WIDTH * config.growth_rate
    kernels: list[Shape] = [(7, 7, 1, config.nb_initial_filters)]
    for block, channels in enumerate(config.block_inputs):
        if block:
            kernels.append((1, 1, config.block_output, channels))
        for layer in range(config.nb_layers_per_block):
            kernels += [(1, 1, channels + layer * growth, width), (3, 3, width, growth)]
    return [*kernels, (config.block_output, config.num_outputs)]


def _compression_rate(initial: int, transitions: list[Shape]) -> float:
    """Return the shortest decimal number that gives the transitions their widths.

    ``int(rate * counted)`` loses the fraction, so that a range of rates fits.
    """
    counted = initial
    low, high = 0.0, float("inf")
    for _, _, block_output, width in transitions:
        counted += block_output
        low, high = max(low, width / counted), min(high, (width + 1) / counted)
        counted = width
    if not transitions:
        return DenseNetConfig().compression_rate
    for decimals in range(1, _MOST_DECIMALS):
        step = 10.0**-decimals
        rate = round(-(-low // step) * step, decimals)
        if low <= rate < high:
            return rate
    return low
