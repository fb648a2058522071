"""The same two networks and losses in Keras on TensorFlow, one training step per line on stdin.

Runs in an environment of its own (``requirements.txt`` beside this file) and therefore imports
nothing of this project. Answers as ``benchmarks.step_worker``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

BATCH = int(os.environ.get("BENCH_BATCH", "16"))


def unet() -> keras.Model:
    """Return the default U-Net: 16 to 512 features down, 256 to 16 up, 4 classes."""

    def unit(x: Any, features: int) -> Any:
        x = layers.Conv2D(features, 3, padding="same")(x)
        x = layers.BatchNormalization(momentum=0.99, epsilon=1e-3)(x)
        return layers.Activation("relu")(x)

    inputs = x = layers.Input((512, 512, 1))
    skips = []
    for features in (16, 32, 64, 128, 256):
        skips.append(unit(x, features))
        x = layers.MaxPooling2D(2)(skips[-1])
    x = unit(x, 512)
    for features in (256, 128, 64, 32, 16):
        x = layers.Concatenate()([layers.UpSampling2D(2)(x), skips.pop()])
        x = unit(x, features)
    return keras.Model(inputs, layers.Conv2D(4, 1, activation="softmax")(x))


def densenet() -> keras.Model:
    """Return the default DenseNet regression: 4 blocks of 12 layers, growth 12, one output."""

    def pre(x: Any) -> Any:
        x = layers.BatchNormalization(momentum=0.99, epsilon=1e-3)(x)
        return layers.Activation("relu")(x)

    inputs = layers.Input((256, 256, 1))
    x = layers.Conv2D(16, 7, strides=2, padding="same")(inputs)
    x = layers.MaxPooling2D(3, 2)(x)
    counted = 16
    for block in range(4):
        features = [x]
        for _ in range(12):
            y = layers.Concatenate()(features) if len(features) > 1 else x
            y = layers.Conv2D(48, 1)(pre(y))
            features.append(layers.Conv2D(12, 3, padding="same")(pre(y)))
        x = layers.Concatenate()(features[1:])
        counted += 144
        if block < 3:
            counted = counted // 2
            x = layers.AveragePooling2D(2)(layers.Conv2D(counted, 1)(pre(x)))
    x = layers.GlobalAveragePooling2D()(pre(x))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def dice_cross_entropy(truth: Any, probabilities: Any) -> Any:
    """Return the loss that the other side of the comparison minimises."""
    overlap = tf.reduce_sum(truth * probabilities, (0, 1, 2))
    sizes = tf.reduce_sum(truth, (0, 1, 2)) + tf.reduce_sum(probabilities, (0, 1, 2))
    dice = (2 * overlap + 1) / (sizes + 1)
    entropy = keras.losses.categorical_crossentropy(truth, probabilities)
    return tf.reduce_mean(entropy) + 1 - tf.reduce_mean(dice[1:])


def main() -> None:
    """Compile the network as Keras users do, and do a step for every line of the input."""
    rng = np.random.default_rng(0)
    loss: Any
    if sys.argv[1] == "unet":
        model, loss, size = unet(), dice_cross_entropy, 512
        labels = rng.integers(0, 4, (BATCH, size, size))
        truth = tf.constant(np.eye(4, dtype=np.float32)[labels])
    else:
        model, loss, size = densenet(), "binary_crossentropy", 256
        truth = tf.constant(rng.random((BATCH, 1), dtype=np.float32))
    images = tf.constant(rng.random((BATCH, size, size, 1), dtype=np.float32))
    model.compile(optimizer=keras.optimizers.AdamW(1e-4), loss=loss)
    for _ in sys.stdin:
        began = time.perf_counter()
        model.train_on_batch(images, truth)
        print(time.perf_counter() - began, flush=True)
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024), flush=True)


if __name__ == "__main__":
    main()
