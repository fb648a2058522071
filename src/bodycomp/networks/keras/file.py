"""Layers and weights in a Keras 2 ``.hdf5`` file, as they stand there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bodycomp.digests import file_digest
from bodycomp.errors import ModelError


@dataclass(frozen=True, eq=False)
class KerasLayer:
    """A layer that has weights, by their short names: kernel, bias, gamma, moving_mean, ..."""

    name: str
    weights: dict[str, NDArray[np.float32]]

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Shape of the kernel in Keras order, () for a layer without one."""
        kernel = self.weights.get("kernel")
        return () if kernel is None else kernel.shape


@dataclass(frozen=True, eq=False)
class KerasFile:
    """What a file holds.

    Attributes:
        model_config: The architecture as Keras described it; None in a weights-only file.
    """

    layers: tuple[KerasLayer, ...]
    model_config: dict[str, Any] | None
    digest: str


def read_keras_file(path: Path) -> KerasFile:
    """Read a full model or its weights alone.

    Raises:
        ModelError: No HDF5, damaged or truncated, of another Keras format, or weights that are
            missing or not finite.
    """
    try:
        digest = file_digest(path)
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            names = _names(group, "layer_names")
            if names is None:
                raise ModelError(
                    f"{path}: expected the attribute layer_names of a Keras 2 file, found none",
                    hint="Files of Keras 3 (.keras, .weights.h5) cannot be read.",
                )
            layers = tuple(_read_layer(group[name], name, path) for name in names)
            return KerasFile(
                tuple(layer for layer in layers if layer.weights), _config(file, path), digest
            )
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{path} is damaged, truncated or no Keras file ({error})",
            hint="Copy the file again.",
        ) from error


def _read_layer(group: h5py.Group, name: str, path: Path) -> KerasLayer:
    weights: dict[str, NDArray[np.float32]] = {}
    for weight_name in _names(group, "weight_names") or ():
        short = weight_name.rsplit("/", 1)[-1].split(":")[0]
        values = np.asarray(group[weight_name][()], dtype=np.float32)
        if short in weights:
            raise ModelError(f"{path}: layer {name} holds a model of its own, which is not read")
        if not np.all(np.isfinite(values)):
            raise ModelError(f"{path}: {weight_name} of layer {name} holds NaN or infinity")
        weights[short] = values
    return KerasLayer(name, weights)


def _names(group: h5py.Group, attribute: str) -> list[str] | None:
    """Read a list of names that may be split over attributes with a number at their end."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    chunks: list[str] = []
    while f"{attribute}{len(chunks)}" in group.attrs:
        chunks.append(f"{attribute}{len(chunks)}")
    if not chunks:
        return None
    return [_text(name) for chunk in chunks for name in group.attrs[chunk]]


def _config(file: h5py.File, path: Path) -> dict[str, Any] | None:
    if "model_config" not in file.attrs:
        return None
    config = json.loads(_text(file.attrs["model_config"]))
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ModelError(f"{path}: model_config does not describe a functional Keras model")
    return config


def _text(value: object) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
