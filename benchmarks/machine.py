"""What the machine can do at best: multiplications in float32 and bfloat16, and copying."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from benchmarks.timing import best_s

SIDE = 2048
COPY_BYTES = 2**28


@dataclass(frozen=True)
class Machine:
    """Best rates seen: operations per second, and bytes read and written per second."""

    float32: float
    bfloat16: float
    copy: float


def measure_machine(repeats: int = 9) -> Machine:
    """Measure with all threads: the convolution that suits the machine best, and a copy."""
    source = torch.zeros(COPY_BYTES // 4)
    target = torch.empty_like(source)
    copy = 2 * COPY_BYTES / best_s(lambda: target.copy_(source), repeats=repeats)
    return Machine(
        float32=_best_rate(torch.float32, repeats),
        bfloat16=_best_rate(torch.bfloat16, repeats),
        copy=copy,
    )


def _best_rate(dtype: torch.dtype, repeats: int) -> float:
    """Return the higher rate of the U-Net's most efficient convolution and a matrix product.

    The convolution is 3x3, 256 to 256 features on 32 x 32.
    """
    x = torch.randn(16, 256, 32, 32).to(dtype, memory_format=torch.channels_last)
    kernel = torch.randn(256, 256, 3, 3).to(dtype, memory_format=torch.channels_last)
    a = torch.randn(SIDE, SIDE).to(dtype)
    with torch.no_grad():
        convolution = best_s(
            lambda: torch.nn.functional.conv2d(x, kernel, padding=1), repeats=repeats
        )
        product = best_s(lambda: a @ a, repeats=repeats)
    return max(2 * kernel.numel() * x.numel() / 256 / convolution, 2 * SIDE**3 / product)
