"""Networks of the earlier Keras implementation, full models and weights-only files alike."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    DEFAULT_LEVEL,
    THORACIC_TISSUES,
)
from bodycomp.errors import ModelError, UsageError
from bodycomp.imaging.preprocessing import (
    SEGMENTATION_PREPROCESSING,
    SLICE_SELECTION_PREPROCESSING,
)
from bodycomp.level_names import check_levels
from bodycomp.networks.card import ModelCard, Task
from bodycomp.networks.card_description import KIND_WORDS, UNKNOWN_DATA, ModelDescription
from bodycomp.networks.densenet import DenseNetConfig, legacy_activations
from bodycomp.networks.keras.architecture import (
    densenet_of_kernels,
    densenet_steps,
    in_keras_order,
    read_activations,
    unet_of_kernels,
    unet_steps,
)
from bodycomp.networks.keras.file import KerasFile, KerasLayer, read_keras_file
from bodycomp.networks.keras.options import KerasOptions
from bodycomp.networks.layers import check_activation
from bodycomp.networks.model import Model, build_network, network_with_weights
from bodycomp.networks.names import DENSENET, UNET
from bodycomp.networks.targets import DEFAULT_SCALE_MM
from bodycomp.networks.unet import UNetConfig

KERAS_INPUT_MAX: Final = 255.0
"""The earlier networks saw windowed images in 0..255."""


def load_keras(path: Path, options: KerasOptions | None = None) -> Model:
    """Read a U-Net or DenseNet from a Keras 2 file.

    Raises:
        ModelError: The file is damaged, holds another network, or contradicts ``options``.
    """
    options = options or KerasOptions()
    file = read_keras_file(path)
    card = _unet_card(file, options, path) or _densenet_card(file, options, path)
    if card is None:
        shapes = [layer.kernel_shape for layer in file.layers if layer.kernel_shape]
        raise ModelError(
            f"{path}: expected the layers of a U-Net or a DenseNet, "
            f"found {len(shapes)} kernels, the first {shapes[:2]}, the last {shapes[-1:]}"
        )
    with torch.device("meta"):
        empty = build_network(card)
    weights = _convert(empty, file.layers, path)
    return Model(network_with_weights(card, weights), card, file.digest)


def _kernels(file: KerasFile) -> list[tuple[int, ...]]:
    return [layer.kernel_shape for layer in file.layers if layer.kernel_shape]


def _unet_card(file: KerasFile, options: KerasOptions, path: Path) -> ModelCard | None:
    kernels = _kernels(file)
    config = unet_of_kernels(kernels) if len(kernels) >= 4 else None
    if config is None:
        return None
    for tissues in (ABDOMINAL_TISSUES, THORACIC_TISSUES):
        if len(tissues) + 1 == config.num_classes:
            break
    else:
        raise ModelError(f"{path}: expected 3 or 4 classes, found {config.num_classes}")
    if options.levels is not None or options.target_scale_mm is not None:
        raise ModelError(f"{path}: levels were named, but this network labels tissues")
    config = replace(config, activation=_unet_activation(file, config, options, path))
    return ModelCard(
        task="segmentation",
        architecture=UNET,
        config=asdict(config),
        preprocessing=replace(SEGMENTATION_PREPROCESSING, input_max=KERAS_INPUT_MAX),
        tissues=tissues,
        training={"source": "keras", "file_sha256": file.digest},
        description=_unknown_origin("segmentation"),
    )


def _densenet_card(file: KerasFile, options: KerasOptions, path: Path) -> ModelCard | None:
    kernels = _kernels(file)
    batch_norm = any("gamma" in layer.weights for layer in file.layers)
    config = densenet_of_kernels(kernels, batch_norm=batch_norm) if len(kernels) >= 4 else None
    if config is None:
        return None
    config = _with_activations(file, config, options, path)
    return ModelCard(
        task="slice_selection",
        architecture=DENSENET,
        config=asdict(config),
        preprocessing=replace(SLICE_SELECTION_PREPROCESSING, input_max=KERAS_INPUT_MAX),
        levels=_levels(config.num_outputs, options, path),
        target_scale_mm=DEFAULT_SCALE_MM
        if options.target_scale_mm is None
        else options.target_scale_mm,
        training={"source": "keras", "file_sha256": file.digest},
        description=_unknown_origin("slice_selection"),
    )


def _unknown_origin(task: Task) -> ModelDescription:
    return ModelDescription(replace(KIND_WORDS[task], training_data=UNKNOWN_DATA))


def _levels(num_outputs: int, options: KerasOptions, path: Path) -> tuple[str, ...]:
    levels = options.levels or ((DEFAULT_LEVEL,) if num_outputs == 1 else ())
    if len(levels) != num_outputs:
        raise ModelError(
            f"{path}: expected the names of {num_outputs} levels, one per output, "
            f"found {' '.join(levels) or 'none'}",
            hint="A Keras file does not name them: give them in order, e.g. T5 T8 T10 L3.",
        )
    return check_levels(levels)


def _unet_activation(file: KerasFile, config: UNetConfig, options: KerasOptions, path: Path) -> str:
    if file.model_config is None:
        return options.activation or "relu"
    *inner, head = read_activations(file.model_config, unet_steps(config), str(path))
    _check_head(head, "softmax", path)
    return _single(set(inner), options, path)


def _with_activations(
    file: KerasFile, config: DenseNetConfig, options: KerasOptions, path: Path
) -> DenseNetConfig:
    if file.model_config is None:
        activation = options.activation or "relu"
        blocks = legacy_activations(activation, config.nb_blocks)
        return replace(config, activation=activation, block_activations=blocks)
    *inner, head = read_activations(file.model_config, densenet_steps(config), str(path))
    _check_head(head, "sigmoid", path)
    per_block = 2 * config.nb_layers_per_block
    starts = range(0, len(inner), per_block + 1)  # after each block: its transition or the head
    activation = _single({inner[start + per_block] for start in starts}, options, path)
    blocks = tuple(
        _single(set(inner[start : start + per_block]), KerasOptions(), path) for start in starts
    )
    return replace(config, activation=activation, block_activations=blocks)


def _check_head(found: str, expected: str, path: Path) -> None:
    if found != expected:
        raise ModelError(f"{path}: expected a {expected} at the output, found {found}")


def _single(found: set[str], options: KerasOptions, path: Path) -> str:
    """Return the one activation of a part, which must be known and the one that was named."""
    names = {"swish" if name == "silu" else name for name in found}
    if len(names) != 1:
        raise ModelError(f"{path}: expected one activation throughout, found {sorted(names)}")
    name = names.pop()
    try:
        check_activation(name)
    except UsageError as error:
        raise ModelError(f"{path}: {error.message}", hint=error.hint) from error
    if options.activation not in (None, name):
        raise ModelError(f"{path}: expected activation {options.activation}, the file has {name}")
    return name


def _convert(network: nn.Module, layers: tuple[KerasLayer, ...], path: Path) -> dict[str, Tensor]:
    """Return the state of ``network`` from layers in Keras order."""
    modules = list(in_keras_order(network))
    if len(modules) != len(layers):
        raise ModelError(f"{path}: expected {len(modules)} layers, found {len(layers)}")
    names = {module: name for name, module in network.named_modules()}
    weights: dict[str, Tensor] = {}
    for module, layer in zip(modules, layers, strict=True):
        for key, values in _state_of(module, layer, path).items():
            weights[f"{names[module]}.{key}"] = torch.from_numpy(np.array(values, order="C"))
        if isinstance(module, nn.BatchNorm2d):
            weights[f"{names[module]}.num_batches_tracked"] = torch.tensor(0)
    return weights


def _state_of(module: nn.Module, layer: KerasLayer, path: Path) -> dict[str, NDArray[np.float32]]:
    norm = isinstance(module, nn.BatchNorm2d)
    expected = ("gamma", "beta", "moving_mean", "moving_variance") if norm else ("kernel", "bias")
    if set(layer.weights) != set(expected):
        raise ModelError(
            f"{path}: layer {layer.name}: expected {', '.join(expected)}, "
            f"found {', '.join(layer.weights)}"
        )
    if norm:
        keys = ("weight", "bias", "running_mean", "running_var")
        return {key: layer.weights[name] for key, name in zip(keys, expected, strict=True)}
    # (rows, columns, in, out) -> (out, in, rows, columns), and (in, out) -> (out, in)
    axes = (3, 2, 0, 1) if isinstance(module, nn.Conv2d) else (1, 0)
    return {"weight": layer.weights["kernel"].transpose(axes), "bias": layer.weights["bias"]}
