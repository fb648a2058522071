"""Runs a ``KerasModelBuilder`` layer by layer with SciPy in float64: no torch, no shortcuts."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import correlate

from support.keras_writer import KerasModelBuilder

_FUNCTIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
}


def _pool(reduce):
    def apply(inputs, config, _):
        windows = sliding_window_view(inputs[0], config["pool_size"], axis=(0, 1))
        return reduce(windows[::2, ::2], axis=(-1, -2))

    return apply


def _norm(inputs, config, w):
    scale = w["gamma"] / np.sqrt(w["moving_variance"] + config["epsilon"])
    return (inputs[0] - w["moving_mean"]) * scale + w["beta"]


_LAYERS = {
    "InputLayer": lambda inputs, config, w: inputs[0],
    "Conv2D": lambda inputs, config, w: (
        _conv(inputs[0], w["kernel"], config["strides"][0]) + w["bias"]
    ),
    "BatchNormalizationV1": _norm,
    "Activation": lambda inputs, config, w: _FUNCTIONS[config["activation"]](inputs[0]),
    "MaxPooling2D": _pool(np.max),
    "AveragePooling2D": _pool(np.mean),
    "UpSampling2D": lambda inputs, config, w: inputs[0].repeat(2, axis=0).repeat(2, axis=1),
    "Concatenate": lambda inputs, config, w: np.concatenate(inputs, axis=-1),
    "GlobalAveragePooling2D": lambda inputs, config, w: inputs[0].mean(axis=(0, 1)),
    "Dense": lambda inputs, config, w: inputs[0] @ w["kernel"] + w["bias"],
}


def _conv(x, kernel, stride):
    """Same convolution: what cannot be split evenly is padded at the end (TensorFlow)."""
    size = kernel.shape[0]
    pads = []
    for n in x.shape[:2]:
        total = max((-(-n // stride) - 1) * stride + size - n, 0)
        pads.append((total // 2, total - total // 2))
    padded = np.pad(x, [*pads, (0, 0)])
    planes = [
        correlate(padded, kernel[..., k], mode="valid", method="direct")[..., 0]
        for k in range(kernel.shape[-1])
    ]
    return np.stack(planes, axis=-1)[::stride, ::stride]


def run(model: KerasModelBuilder, image: np.ndarray) -> np.ndarray:
    """Return the output for one (rows, columns, 1) image."""
    values: dict[str, np.ndarray] = {}
    for layer in model.layers:
        name = layer["config"]["name"]
        inbound = layer["inbound_nodes"]
        inputs = [values[i[0]] for i in inbound[0]] if inbound else [image.astype(np.float64)]
        apply = _LAYERS[layer["class_name"]]
        values[name] = apply(inputs, layer["config"], model.weights[name])
    return values[name]
