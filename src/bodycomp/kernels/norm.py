"""Batch norm and activation over the rows of a feature map, by the compiled kernels.

Rows are the pixels of a channels-last feature map as a (pixel, channel) view, bfloat16 or float32.
Statistics are float64, what is applied to pixels float32.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import torch
from torch import Tensor, nn

from bodycomp.kernels.build import library

SUFFIXES: Final = {torch.bfloat16: "bf16", torch.float32: "f32"}
"""Types that there are kernels for -> end of their names."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and biased variance of each channel over a batch; (C,) float64 each."""

    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Self:
        """Measure (pixel, channel) rows."""
        mean, variance = torch.empty(2, rows.shape[1], dtype=torch.float64)
        _call("channel_moments", rows, *_strided(rows), *rows.shape, mean, variance)
        return cls(mean, variance)

    @classmethod
    def join(cls, parts: Sequence[Moments]) -> Self:
        """Return the moments of channels side by side."""
        return cls(torch.cat([p.mean for p in parts]), torch.cat([p.variance for p in parts]))


@dataclass(frozen=True, eq=False)
class NormActivation:
    """One batch norm and activation, with a batch's statistics: ``act(x * scale + shift)``.

    Attributes:
        mean, scale, shift: (C,) float32.
        inverse_std: (C,) float64.
        slope: Of the activation below zero.
    """

    mean: Tensor
    scale: Tensor
    shift: Tensor
    inverse_std: Tensor
    slope: float

    @classmethod
    def of(cls, moments: Moments, norm: nn.BatchNorm2d, slope: float) -> Self:
        """Combine a batch's moments with the learnt weight and bias."""
        inverse_std = (moments.variance + norm.eps).rsqrt()
        scale = norm.weight.detach().double() * inverse_std
        shift = norm.bias.detach().double() - moments.mean * scale
        return cls(moments.mean.float(), scale.float(), shift.float(), inverse_std, slope)

    def apply(self, rows: Tensor) -> Tensor:
        """Return the activated rows, contiguous."""
        out = rows.new_empty(rows.shape)
        factors = (self.scale, self.shift, ctypes.c_float(self.slope))
        _call("normalize_activate", rows, *_strided(rows), *factors, *_strided(out), *rows.shape)
        return out

    def apply_and_multiply(self, rows: Tensor, kernel: Tensor) -> Tensor:
        """Return ``apply(rows) @ kernel.T`` for a (out, C) kernel; contiguous (pixel, out)."""
        out = rows.new_empty(len(rows), len(kernel))
        factors = (self.scale, self.shift, ctypes.c_float(self.slope))
        transposed = kernel.T.contiguous()
        sizes = (*rows.shape, len(kernel))
        _call("bottleneck_forward", rows, *_strided(rows), *factors, transposed, out, *sizes)
        return out

    def backward(self, dy: Tensor, rows: Tensor) -> tuple[Tensor, NormSums]:
        """Return the gradient of the rows for ``apply``, new, and the sums."""
        g = rows.new_empty(rows.shape)
        sums = torch.empty(2, rows.shape[1], dtype=torch.float64)
        places = (*_strided(dy), *_strided(rows), *self._factors(), *_strided(g))
        _call("activation_backward", rows, *places, sums, *rows.shape)
        found = NormSums.of(self, sums, len(rows))
        return correct(g, rows, self.scale, found, self.mean, out=g), found

    def multiply_backward(
        self, dy: Tensor, rows: Tensor, kernel: Tensor, into: Tensor
    ) -> tuple[NormSums, Tensor]:
        """Add the part of ``apply_and_multiply``'s gradient that is proportional to ``dy``.

        Args:
            dy: (pixel, out), contiguous.
            rows: As given to ``apply_and_multiply``.
            kernel: The same.
            into: Rows to add to.

        Returns:
            The sums, from which the rest of the gradient follows, and the gradient of the kernel,
            float32.
        """
        outputs, channels = kernel.shape
        sums = torch.empty(2, channels, dtype=torch.float64)
        room = torch.empty(_threads(), outputs + 7, channels + 15)
        dkernel = torch.empty(outputs, channels)
        places = (dy, *_strided(rows), *self._factors(), kernel.contiguous(), *_strided(into))
        _call("bottleneck_backward", rows, *places, sums, room, dkernel, *rows.shape, outputs)
        return NormSums.of(self, sums, len(rows)), dkernel

    def _factors(self) -> tuple[Tensor, Tensor, ctypes.c_float, Tensor]:
        return self.scale, self.shift, ctypes.c_float(self.slope), self.mean


@dataclass(frozen=True, eq=False)
class NormSums:
    """What a batch norm's gradient needs of the whole batch, per channel.

    The gradient of the normalized rows ``x`` is ``scale * g + constant + slope * (x - mean)``
    with ``g`` the gradient after the activation's derivative.

    Attributes:
        dweight, dbias: (C,) gradients of the learnt weight and bias, float32.
        constant, slope: (C,) float64.
    """

    dweight: Tensor
    dbias: Tensor
    constant: Tensor
    slope: Tensor

    @classmethod
    def of(cls, norm: NormActivation, sums: Tensor, count: int) -> Self:
        """Take the sums of ``g`` and of ``g * (x - mean)`` over ``count`` rows."""
        scale = norm.scale.double()
        return cls(
            dweight=(sums[1] * norm.inverse_std).float(),
            dbias=sums[0].float(),
            constant=-scale * sums[0] / count,
            slope=-scale * norm.inverse_std**2 * sums[1] / count,
        )


def correct(
    g: Tensor, rows: Tensor, factor: Tensor, sums: NormSums, mean: Tensor, *, out: Tensor
) -> Tensor:
    """Complete a batch norm's gradient: ``factor * g + constant + slope * (rows - mean)``.

    ``g`` and ``rows`` are (pixel, channel), ``factor`` and ``mean`` (C,) float32; ``sums`` has
    constant and slope. The result goes to ``out``, which may be ``g``.
    """
    vectors = (factor, sums.constant.float(), sums.slope.float(), mean)
    places = (*_strided(g), *_strided(rows), *vectors, *_strided(out))
    _call("norm_backward", rows, *places, *rows.shape)
    return out


@torch.no_grad()
def update_running(norm: nn.BatchNorm2d, moments: Moments, count: int, bias: Tensor | None) -> None:
    """Move the running statistics towards a batch's, as PyTorch's batch norm does."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    momentum = norm.momentum if norm.momentum is not None else 1 / int(norm.num_batches_tracked)
    mean = moments.mean.float() if bias is None else moments.mean.float() + bias
    unbiased = moments.variance.float() * (count / max(count - 1, 1))
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(unbiased, momentum)


def _strided(rows: Tensor) -> tuple[Tensor, int]:
    """Return what a kernel takes of (pixel, channel) rows: the memory and a row's length."""
    return rows, rows.stride(0)


def _call(name: str, typed: Tensor, *arguments: Any) -> None:
    """Call the kernel for the type of ``typed``; tensors go as pointers, integers as int64."""
    kernels = library()
    if kernels is None:
        raise RuntimeError("the kernels are not there; ask kernels_serve first")
    function = getattr(kernels, f"{name}_{SUFFIXES[typed.dtype]}")
    function.restype = None
    function(*(_as_c(argument) for argument in arguments))


def _threads() -> int:
    """Return how many threads a kernel may use."""
    kernels = library()
    return 1 if kernels is None else int(kernels.kernel_threads())


def _as_c(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    return ctypes.c_int64(argument) if isinstance(argument, int) else argument
