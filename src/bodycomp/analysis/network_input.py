"""Slices of a volume -> batches of network input, by ``Preprocessing``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bodycomp.errors import UsageError
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.imaging.square_field import SquareField
from bodycomp.imaging.volume import Volume


def input_batches(
    volume: Volume, slice_indices: Sequence[int], preprocessing: Preprocessing, batch_size: int
) -> Iterator[tuple[list[int], Tensor]]:
    """Yield slice indices and their (batch, 1, row, column) float32 input, one batch at a time.

    Raises:
        ImageError: The slices have no ``SquareField``.
    """
    field = SquareField.of_volume(volume)
    return batches_of(
        lambda index: preprocessing.from_hu(field.apply(volume.hu[index])),
        slice_indices,
        batch_size,
    )


def batches_of(
    image: Callable[[int], NDArray[np.float32]], indices: Sequence[int], batch_size: int
) -> Iterator[tuple[list[int], Tensor]]:
    """Yield indices and their (batch, 1, row, column) input, made when it is asked for."""
    for start in range(0, len(indices), batch_size):
        some = list(indices[start : start + batch_size])
        yield some, torch.from_numpy(np.stack([image(index) for index in some])[:, None])


def resolve_device(name: str) -> torch.device:
    """Return the device of that name; ``auto`` takes a GPU if there is one.

    Raises:
        UsageError: The name is unknown or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name!r}", hint="Use auto, cpu or cuda.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device {name} is not there: {torch.cuda.device_count()} GPUs are visible",
            hint="Use --device cpu, or auto to take a GPU only if there is one.",
        )
    if device.type not in {"cpu", "cuda", "mps"}:
        raise UsageError(f"device {name} cannot run the networks", hint="Use auto, cpu or cuda.")
    return device
