"""Numbers of a step, read without making a GPU wait for them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes:
        step: The step that it is of.
        images: How many images this process saw in it.
        values: The numbers.
    """

    step: int
    images: int
    values: list[float]


class Readback:
    """Hands numbers on at once on a CPU, and one step later on a GPU.

    Reading a number of a step that a GPU has not finished would stop this process from preparing
    the next one. By the time of the next step the copy has usually arrived.
    """

    def __init__(self) -> None:
        self._under_way: tuple[int, int, Tensor, torch.cuda.Event] | None = None

    def exchange(self, step: int, images: int, values: Tensor) -> Reading | None:
        """Take a step's numbers and return the newest that can be had: these, or those before."""
        if values.device.type != "cuda":
            return Reading(step, images, values.tolist())
        arrived = self.drain()
        copy = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        copy.copy_(values, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._under_way = step, images, copy, event
        return arrived

    def drain(self) -> Reading | None:
        """Return the numbers that are still under way, if any, waiting for them."""
        if self._under_way is None:
            return None
        step, images, copy, event = self._under_way
        self._under_way = None
        event.synchronize()
        return Reading(step, images, copy.tolist())
