"""What one training step takes, found by doing it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from bodycomp.data.datasets import Sample
from bodycomp.training.devices import Precision, autocast
from bodycomp.training.memory import peak_resident_bytes, reset_peak

OPTIMIZER_COPIES: Final = 2
"""AdamW keeps two numbers per weight; SGD with momentum one."""


@dataclass(frozen=True, slots=True)
class StepCost:
    """Time and memory of a step.

    Attributes:
        seconds: Of a step once everything is warm.
        peak_bytes: Largest memory meanwhile, the optimizer's state included: of the whole process
            on a CPU, of PyTorch's allocations on a GPU.
    """

    seconds: float
    peak_bytes: int


def measure_step(
    network: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    batch: Sample,
    *,
    precision: Precision = "32-true",
) -> StepCost:
    """Do two steps without an update, and measure the second one's time and the peak of both.

    The network is left as it was, batch norm's statistics included.

    Args:
        network: On the device to measure.
        loss: Of logits and truth, such as ``Task.loss``.
        batch: Images and truth, on any device.
        precision: As in training.

    Raises:
        RuntimeError, MemoryError: Memory does not hold the batch; see ``is_out_of_memory``.
    """
    device = next(network.parameters()).device
    seconds = 0.0
    with _left_as_it_was(network):
        _begin_peak(device)
        images, truth = (part.to(device) for part in batch)
        for _ in range(2):
            begin = time.perf_counter()
            with autocast(device, precision):
                logits = network(images)
            loss(logits, truth).backward()  # type: ignore[no-untyped-call]
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds = time.perf_counter() - begin
            network.zero_grad()
        peak = _peak_bytes(device)
    return StepCost(seconds, peak + OPTIMIZER_COPIES * _weight_bytes(network))


def _begin_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    else:
        reset_peak()


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return peak_resident_bytes()


def _weight_bytes(network: nn.Module) -> int:
    return sum(weight.numel() * weight.element_size() for weight in network.parameters())


@contextmanager
def _left_as_it_was(network: nn.Module) -> Iterator[None]:
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    gradients = [weight.grad for weight in network.parameters()]
    was_training = network.training
    network.train()
    network.zero_grad()
    try:
        yield
    finally:
        network.train(was_training)
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
        for weight, gradient in zip(network.parameters(), gradients, strict=True):
            weight.grad = gradient
