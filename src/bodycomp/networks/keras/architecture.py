"""The architecture of a Keras network: from its kernels, and from what a full model describes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import torch
from torch import nn

from bodycomp.errors import ModelError, UsageError
from bodycomp.networks.densenet import DenseNet, DenseNetConfig
from bodycomp.networks.layers import LEAKY_SLOPE, NORM_EPSILON
from bodycomp.networks.unet import UNet, UNetConfig

Shape = tuple[int, ...]

_MOST_DECIMALS: Final = 12


def unet_of_kernels(kernels: list[Shape]) -> UNetConfig | None:
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
        if kernels_of(_empty(UNet, config)) == kernels:
            return config
    return None


def densenet_of_kernels(kernels: list[Shape], *, batch_norm: bool) -> DenseNetConfig | None:
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
    return config if kernels_of(_empty(DenseNet, config)) == kernels else None


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


def in_keras_order(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules with weights in the order in which data passes through them."""
    parts: list[nn.Module] = [network]
    if isinstance(network, DenseNet):
        parts = [network.stem, network.blocks[0]]
        for transition, block in zip(network.transitions, network.blocks[1:], strict=True):
            parts += [transition, block]
        parts += [network.pre_head, network.head]
    elif not isinstance(network, UNet):
        raise ModelError(f"no Keras counterpart of {type(network).__name__}")
    for part in parts:
        for module in part.modules():
            if isinstance(module, (nn.Conv2d, nn.BatchNorm2d, nn.Linear)):
                yield module


def kernels_of(network: nn.Module) -> list[Shape]:
    """Return the shapes of a network's kernels in Keras order and axes."""
    weights = (m.weight for m in in_keras_order(network) if isinstance(m, nn.Conv2d | nn.Linear))
    return [(*weight.shape[2:], weight.shape[1], weight.shape[0]) for weight in weights]


def _empty(network: Callable[[Any], nn.Module], config: UNetConfig | DenseNetConfig) -> nn.Module:
    with torch.device("meta"):
        return network(config)


@dataclass(frozen=True)
class Step:
    """One layer: its class and the settings that change its numbers; no weights."""

    kind: str
    settings: tuple[tuple[str, object], ...] = ()


def _step(kind: str, **settings: object) -> Step:
    return Step(kind, tuple(settings.items()))


CONV = _step("Conv2D", strides=(1, 1), padding="same", dilation_rate=(1, 1), groups=1)
POINTWISE = _step("Conv2D", strides=(1, 1), dilation_rate=(1, 1), groups=1)
STEM = _step("Conv2D", strides=(2, 2), padding="same", dilation_rate=(1, 1), groups=1)
NORM = _step("BatchNormalization", epsilon=NORM_EPSILON, center=True, scale=True)
ACTIVATION = _step("Activation")
CONCATENATE = _step("Concatenate")
JOIN_SKIP = _step("Concatenate", axis=3)
HALVE = _step("MaxPooling2D", pool_size=(2, 2), strides=(2, 2))
STEM_POOL = _step("MaxPooling2D", pool_size=(3, 3), strides=(2, 2), padding="valid")
AVERAGE = _step("AveragePooling2D", pool_size=(2, 2), strides=(2, 2), padding="valid")
DOUBLE = _step("UpSampling2D", size=(2, 2), interpolation="nearest")
GLOBAL_AVERAGE = _step("GlobalAveragePooling2D")
DENSE = _step("Dense")

_DEFAULTS = {
    "dilation_rate": (1, 1),
    "groups": 1,
    "interpolation": "nearest",
    "center": True,
    "scale": True,
}
"""What a setting is in older files that do not write it down."""


def unet_steps(config: UNetConfig) -> list[Step]:
    """Return the layers of a U-Net, without its input layer, in Keras order."""
    stage = [CONV, NORM, ACTIVATION] * config.num_convs
    depth = len(config.decompression_channels)
    down = [*stage, *[HALVE, *stage] * depth]
    return [*down, *[DOUBLE, JOIN_SKIP, *stage] * depth, POINTWISE, ACTIVATION]


def densenet_steps(config: DenseNetConfig) -> list[Step]:
    """Return the layers of a DenseNet, without its input layer, in Keras order."""
    pre = [NORM, ACTIVATION] if config.batch_norm else [ACTIVATION]
    layer = [*pre, POINTWISE, *pre, CONV]
    # Concatenations stand between layers, and after the last one if there are several to join.
    block = [*layer, *[CONCATENATE, *layer] * (config.nb_layers_per_block - 1)]
    if config.nb_layers_per_block > 1:
        block.append(CONCATENATE)
    transition = [*pre, POINTWISE, AVERAGE]
    blocks = [*block, *[*transition, *block] * (config.nb_blocks - 1)]
    return [STEM, STEM_POOL, *blocks, *pre, GLOBAL_AVERAGE, DENSE, ACTIVATION]


def read_activations(model_config: Mapping[str, Any], steps: list[Step], where: str) -> list[str]:
    """Compare a model's layers with ``steps`` and return its activations in order.

    Raises:
        ModelError: A layer is of another class or has other settings; the message names it.
    """
    try:
        return _compare(model_config, steps, where)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{where}: model_config cannot be read ({error!r})") from error


def _compare(model_config: Mapping[str, Any], steps: list[Step], where: str) -> list[str]:
    layers = [layer for layer in _split_heads(model_config) if layer["class_name"] != "InputLayer"]
    activations = []
    for position, (layer, step) in enumerate(zip(layers, steps, strict=False), start=1):
        config, kind = layer["config"], layer["class_name"].removesuffix("V1")
        label = f"{where}: layer {position}, {config.get('name')!r}"
        if kind in ("ReLU", "LeakyReLU", "Softmax"):
            kind, config = "Activation", {"activation": _from_layer_class(kind, config, label)}
        if kind != step.kind:
            raise ModelError(f"{label}: expected {step.kind}, found {layer['class_name']}")
        _check_settings(config, step, label)
        if step == JOIN_SKIP:
            _check_skip_is_second(layer, layers[position - 2], label)
        if kind == "Activation":
            activations.append(str(config["activation"]))
        elif config.get("activation", "linear") != "linear":
            raise ModelError(f"{label}: expected no activation, found {config['activation']!r}")
    if len(layers) != len(steps):
        raise ModelError(f"{where}: expected {len(steps)} layers, found {len(layers)}")
    return activations


def _split_heads(model_config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the layers; an activation written into the last one becomes a layer of its own."""
    layers: list[dict[str, Any]] = list(model_config["config"]["layers"])
    last = layers[-1]
    activation = last["config"].get("activation", "linear")
    if last["class_name"] in ("Conv2D", "Dense") and activation != "linear":
        plain = {**last, "config": {**last["config"], "activation": "linear"}}
        head = {"class_name": "Activation", "config": {"activation": activation}}
        layers = [*layers[:-1], plain, head]
    return layers


def _check_skip_is_second(
    layer: Mapping[str, Any], upsampling: Mapping[str, Any], label: str
) -> None:
    """Check the order of a concatenation, which the shapes of the weights need not tell."""
    first = layer["inbound_nodes"][0][0][0]
    if first != upsampling["config"]["name"]:
        raise ModelError(f"{label}: expected the upsampled features first, found {first!r}")


def _check_settings(config: Mapping[str, Any], step: Step, label: str) -> None:
    for key, expected in step.settings:
        found = config.get(key, _DEFAULTS.get(key))
        found = tuple(found) if isinstance(found, list) else found
        found = 3 if (key, found) == ("axis", -1) else found
        if isinstance(expected, float) and isinstance(found, float):
            same = abs(expected - found) < 1e-9
        else:
            same = found == expected
        if not same:
            raise ModelError(f"{label}: expected {key} {expected}, found {found}")


def _from_layer_class(kind: str, config: Mapping[str, Any], label: str) -> str:
    """Return the activation that a layer of an activation's own class stands for."""
    if kind == "LeakyReLU":
        slope = config.get("alpha", config.get("negative_slope"))
        if slope is None or abs(float(slope) - LEAKY_SLOPE) > 1e-6:
            raise ModelError(f"{label}: expected a slope of {LEAKY_SLOPE}, found {slope}")
        return "leaky_relu"
    return kind.lower()
