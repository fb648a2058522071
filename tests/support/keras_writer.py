"""Writes Keras 2 files of random networks, and computes their outputs without our networks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np


@dataclass
class KerasModelBuilder:
    """Collects layers as Keras would: class, settings, weights, inputs."""

    rng: np.random.Generator
    layers: list[dict] = field(default_factory=list)
    weights: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    def add(self, kind: str, inputs: list[str], **config) -> str:
        name = f"{kind.lower()}_{len(self.layers) + 40}"
        inbound = [[[i, 0, 0, {}] for i in inputs]] if inputs else []
        layer = {"class_name": kind, "config": {"name": name, **config}, "inbound_nodes": inbound}
        self.layers.append(layer)
        self.weights[name] = {}
        return name

    def conv(self, x: str, size: int, cin: int, cout: int, stride: int = 1) -> str:
        name = self.add(
            "Conv2D", [x], strides=[stride] * 2, padding="same", activation="linear", filters=cout
        )
        scale = 1 / np.sqrt(size * size * cin)
        self.weights[name] = {
            "kernel": self.rng.normal(0, scale, (size, size, cin, cout)),
            "bias": self.rng.normal(0, 0.1, cout),
        }
        return name

    def norm(self, x: str, channels: int) -> str:
        name = self.add("BatchNormalizationV1", [x], epsilon=0.001, momentum=0.99, axis=[3])
        self.weights[name] = {
            "gamma": self.rng.uniform(0.5, 1.5, channels),
            "beta": self.rng.normal(0, 0.1, channels),
            "moving_mean": self.rng.normal(0, 0.1, channels),
            "moving_variance": self.rng.uniform(0.5, 1.5, channels),
        }
        return name

    def dense(self, x: str, cin: int, cout: int) -> str:
        name = self.add("Dense", [x], units=cout, activation="linear")
        self.weights[name] = {
            "kernel": self.rng.normal(0, 1, (cin, cout)),
            "bias": self.rng.normal(0, 1, cout),
        }
        return name

    def act(self, x: str, name: str) -> str:
        return self.add("Activation", [x], activation=name)


def small_unet(seed: int = 0, activation: str = "relu", classes: int = 3) -> KerasModelBuilder:
    """Two stages of 3 and 5 channels down, 4 up: odd numbers that cannot be confused."""
    b = KerasModelBuilder(np.random.default_rng(seed))
    x = b.add("InputLayer", [])
    skip = b.act(b.norm(b.conv(x, 3, 1, 3), 3), activation)
    x = b.add("MaxPooling2D", [skip], pool_size=[2, 2], strides=[2, 2], padding="valid")
    x = b.act(b.norm(b.conv(x, 3, 3, 5), 5), activation)
    x = b.add("UpSampling2D", [x], size=[2, 2])  # older files do not write the interpolation
    x = b.add("Concatenate", [x, skip], axis=-1)
    x = b.act(b.norm(b.conv(x, 3, 8, 4), 4), activation)
    b.act(b.conv(x, 1, 4, classes), "softmax")
    return b


def small_densenet(seed: int = 0, inner: str = "relu", outer: str = "relu") -> KerasModelBuilder:
    """Two blocks of one layer, growth 2, 3 initial filters, two outputs, no batch norm."""
    b = KerasModelBuilder(np.random.default_rng(seed))
    x = b.conv(b.add("InputLayer", []), 7, 1, 3, stride=2)
    x = b.add("MaxPooling2D", [x], pool_size=[3, 3], strides=[2, 2], padding="valid")
    x = b.conv(b.act(b.conv(b.act(x, inner), 1, 3, 8), inner), 3, 8, 2)
    x = b.conv(b.act(x, outer), 1, 2, 2)  # int(0.5 * (3 + 2)) channels
    x = b.add("AveragePooling2D", [x], pool_size=[2, 2], strides=[2, 2], padding="valid")
    x = b.conv(b.act(b.conv(b.act(x, outer), 1, 2, 8), outer), 3, 8, 2)
    x = b.add("GlobalAveragePooling2D", [b.act(x, outer)])
    b.act(b.dense(x, 2, 2), "sigmoid")
    return b


def write_keras(
    path: Path,
    model: KerasModelBuilder,
    *,
    full: bool = True,
    chunks: int = 1,
    as_bytes: bool = False,
) -> Path:
    """Write a file in one of the ways in which Keras 2 versions wrote them."""
    encode = np.bytes_ if as_bytes else str
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if full else file
        _write_names(group, "layer_names", list(model.weights), chunks, encode)
        for name, weights in model.weights.items():
            layer = group.create_group(name)
            _write_names(layer, "weight_names", [f"{name}/{w}:0" for w in weights], 1, encode)
            for w, values in weights.items():
                layer[f"{name}/{w}:0"] = values.astype(np.float32)
        if full:
            config = {"class_name": "Model", "config": {"name": "m", "layers": model.layers}}
            file.attrs["model_config"] = encode(json.dumps(config))
    return path


def _write_names(group: h5py.Group, key: str, names: list[str], chunks: int, encode) -> None:
    dtype = h5py.string_dtype() if encode is str else None
    if chunks == 1:
        group.attrs.create(key, [encode(n) for n in names], dtype=dtype)
        return
    for i, part in enumerate(np.array_split(np.array(names), chunks)):
        group.attrs.create(f"{key}{i}", [encode(n) for n in part], dtype=dtype)
