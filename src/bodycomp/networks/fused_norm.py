"""Batch norm and activation in few passes over memory: the kernels of ``native`` on tensors.

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

from bodycomp.native import library

_SUFFIX: Final = {torch.bfloat16: "bf16", torch.float32: "f32"}


def slope_of(activation: nn.Module) -> float | None:
    """Return the slope below zero of an activation that the kernels know; None for others."""
    if isinstance(activation, nn.LeakyReLU):
        return float(activation.negative_slope)
    return 0.0 if isinstance(activation, nn.ReLU) else None


def kernels_serve(x: Tensor) -> bool:
    """Return whether the kernels can take the place of PyTorch's operators in a training step."""
    on_cpu = x.device.type == "cpu" and torch.is_grad_enabled()
    return on_cpu and work_dtype(x) in _SUFFIX and library() is not None


def work_dtype(x: Tensor) -> torch.dtype:
    """Return the type of feature maps: that of autocast where it is on, else that of ``x``."""
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu")
    return x.dtype


def channels_last(x: Tensor) -> Tensor:
    """Return ``x`` (B, C, H, W) laid out channels-last, itself if it is."""
    return x.contiguous(memory_format=torch.channels_last)


def rows_of(x: Tensor) -> Tensor:
    """Return the (B * H * W, C) view of a channels-last (B, C, H, W) tensor."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def like_image(rows: Tensor, image: Tensor) -> Tensor:
    """Return contiguous (B * H * W, C) rows as a channels-last tensor of the shape of ``image``."""
    batch, _, height, width = image.shape
    return rows.view(batch, height, width, rows.shape[1]).permute(0, 3, 1, 2)


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and biased variance of each channel over a batch; (C,) float64 each."""

    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, rows: Tensor, added: Tensor | None = None) -> Self:
        """Measure ``rows``; with ``added`` they become ``rows + added`` in the same pass."""
        mean, variance = torch.empty(2, rows.shape[1], dtype=torch.float64)
        call_kernel(
            "channel_moments", rows, *_strided(rows), *_strided(added), *rows.shape, mean, variance
        )
        return cls(mean, variance)

    @classmethod
    def join(cls, parts: Sequence[Moments]) -> Self:
        """Return the moments of channels side by side."""
        return cls(torch.cat([p.mean for p in parts]), torch.cat([p.variance for p in parts]))

    def part(self, channels: slice) -> Moments:
        """Return the moments of some channels."""
        return Moments(self.mean[channels], self.variance[channels])


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
        call_kernel(
            "normalise_activate", rows, *_strided(rows), *factors, *_strided(out), *rows.shape
        )
        return out

    def apply_and_multiply(self, rows: Tensor, kernel: Tensor) -> Tensor:
        """Return ``apply(rows) @ kernel.T`` for a (out, C) kernel; contiguous (pixel, out)."""
        out = rows.new_empty(len(rows), len(kernel))
        factors = (self.scale, self.shift, ctypes.c_float(self.slope))
        turned = kernel.T.contiguous()
        sizes = (*rows.shape, len(kernel))
        call_kernel("bottleneck_forward", rows, *_strided(rows), *factors, turned, out, *sizes)
        return out

    def apply_and_pool(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the activated channels-last image and its 2 x 2 maxima."""
        batch, channels, height, width = image.shape
        out = torch.empty_like(image)
        half = image.new_empty(batch, height // 2, width // 2, channels).permute(0, 3, 1, 2)
        factors = (self.scale, self.shift, ctypes.c_float(self.slope))
        sizes = (batch, height, width, channels)
        call_kernel("normalise_activate_pool", image, image, *factors, out, half, *sizes)
        return out, half

    def backward(self, dy: Tensor, rows: Tensor) -> NormGradients:
        """Return the gradients for ``apply``, as a new (pixel, channel) tensor and two vectors."""
        g = rows.new_empty(rows.shape)
        sums = torch.empty(2, rows.shape[1], dtype=torch.float64)
        call_kernel(
            "activation_backward",
            rows,
            *(*_strided(dy), *_strided(rows), *self._factors()),
            *(*_strided(g), sums, *rows.shape),
        )
        return self._finish(g, rows, sums)

    def backward_pooled(self, dy: Tensor, dpooled: Tensor, image: Tensor) -> NormGradients:
        """Return the gradients for ``apply_and_pool``."""
        batch, channels, height, width = image.shape
        g = torch.empty_like(image)
        sums = torch.empty(2, channels, dtype=torch.float64)
        call_kernel(
            "activation_backward_pool",
            image,
            *(dy, dpooled, image, *self._factors(), g, sums, batch, height, width, channels),
        )
        return self._finish(rows_of(g), rows_of(image), sums)

    def multiply_backward(
        self, dy: Tensor, rows: Tensor, kernel: Tensor, into: Tensor
    ) -> tuple[NormSums, Tensor]:
        """Do ``accumulate_backward`` for ``apply_and_multiply``.

        Args:
            dy: (pixel, out), contiguous.
            rows: As given to ``apply_and_multiply``.
            kernel: The same.
            into: Rows to add to.

        Returns:
            The sums, and the gradient of the kernel, float32.
        """
        outputs, channels = kernel.shape
        kernel = kernel.contiguous()
        sums = torch.empty(2, channels, dtype=torch.float64)
        room = torch.empty(kernel_threads(), outputs + 7, channels + 15)
        dkernel = torch.empty(outputs, channels)
        call_kernel(
            "bottleneck_backward",
            rows,
            *(dy, *_strided(rows), *self._factors(), kernel, *_strided(into)),
            *(sums, room, dkernel, *rows.shape, outputs),
        )
        return NormSums.of(self, sums, len(rows)), dkernel

    def accumulate_backward(self, dy: Tensor, rows: Tensor, into: Tensor) -> NormSums:
        """Add the part of the gradient that is proportional to ``dy`` to ``into``.

        The rest of it follows from the sums that are returned.
        """
        sums = torch.empty(2, rows.shape[1], dtype=torch.float64)
        call_kernel(
            "accumulate_backward",
            rows,
            *(*_strided(dy), *_strided(rows), *self._factors()),
            *(*_strided(into), sums, *rows.shape),
        )
        return NormSums.of(self, sums, len(rows))

    def _finish(self, g: Tensor, rows: Tensor, sums: Tensor) -> NormGradients:
        found = NormSums.of(self, sums, len(rows))
        correction = Correction(self.scale, found.constant, found.slope, self.mean)
        dx = correction.apply(g, rows, out=g)
        return NormGradients(dx, found.dweight, found.dbias)

    def _factors(self) -> tuple[Tensor, Tensor, ctypes.c_float, Tensor]:
        return self.scale, self.shift, ctypes.c_float(self.slope), self.mean


@dataclass(frozen=True, eq=False)
class NormSums:
    """What a batch norm's gradient needs of the whole batch, per channel.

    The gradient of the normalised rows ``x`` is ``scale * g + constant + slope * (x - mean)``
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


@dataclass(frozen=True, eq=False)
class NormGradients:
    """Gradients of a batch norm with its activation; ``dx`` (pixel, channel), (C,) the others."""

    dx: Tensor
    dweight: Tensor
    dbias: Tensor


@dataclass(frozen=True, eq=False)
class Correction:
    """``factor * g + constant + slope * (rows - mean)``: a batch norm's gradient from its parts.

    Attributes:
        factor, mean: (C,) float32.
        constant, slope: (C,) float64.
    """

    factor: Tensor
    constant: Tensor
    slope: Tensor
    mean: Tensor

    def apply(self, g: Tensor, rows: Tensor, out: Tensor | None = None) -> Tensor:
        """Return the gradient as new (pixel, channel) rows, or in ``out``, which may be ``g``."""
        target = rows.new_empty(rows.shape) if out is None else out
        vectors = (self.factor, self.constant.float(), self.slope.float(), self.mean)
        call_kernel(
            "norm_backward",
            rows,
            *(*_strided(g), *_strided(rows), *vectors, *_strided(target), *rows.shape),
        )
        return target


@torch.no_grad()
def update_running(norm: nn.BatchNorm2d, moments: Moments, count: int, bias: Tensor | None) -> None:
    """Move the running statistics towards a batch's, as PyTorch's batch norm does.

    Args:
        norm: Keeps the statistics.
        moments: Of ``count`` pixels, before the convolution's bias.
        count: Pixels of the batch.
        bias: The convolution's bias, which shifts the mean and nothing else.
    """
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    momentum = norm.momentum if norm.momentum is not None else 1 / int(norm.num_batches_tracked)
    mean = moments.mean.float() if bias is None else moments.mean.float() + bias
    unbiased = moments.variance.float() * (count / max(count - 1, 1))
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(unbiased, momentum)


def _strided(rows: Tensor | None) -> tuple[Tensor | None, int]:
    """Return what a kernel takes of (pixel, channel) rows: the memory and a row's length."""
    return (None, 0) if rows is None else (rows, rows.stride(0))


def call_kernel(name: str, typed: Tensor, *arguments: Any) -> None:
    """Call the kernel for the type of ``typed``; tensors go as pointers, integers as int64."""
    kernels = library()
    if kernels is None:
        raise RuntimeError("the kernels are not there; ask kernels_serve first")
    function = getattr(kernels, f"{name}_{_SUFFIX[typed.dtype]}")
    function.restype = None
    function(*(_as_c(argument) for argument in arguments))


def kernel_threads() -> int:
    """Return how many threads a kernel may use."""
    kernels = library()
    return 1 if kernels is None else int(kernels.kernel_threads())


def _as_c(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    if isinstance(argument, int):
        return ctypes.c_int64(argument)
    return argument  # None is a null pointer
