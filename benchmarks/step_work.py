"""What a training step has to do: multiplications and bytes, counted layer by layer.

Operations are 2 x multiplications of the convolutions, forward and backward; everything else is
less than 1 %. Bytes are those of feature maps that are larger than the last cache: what each
formulation reads and writes once per pass, however well it is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bodycomp.networks.densenet import DenseNet
from bodycomp.networks.unet import UNet


@dataclass(frozen=True)
class Convolution:
    """One convolution in a network's forward pass.

    Attributes:
        name: Of its module.
        multiplications: Of the forward pass, one image.
        values_in, values_out: Numbers that it reads and writes, one image.
        from_image: Whether it reads the image, which needs no gradient.
    """

    name: str
    multiplications: float
    values_in: int
    values_out: int
    from_image: bool

    @property
    def step_operations(self) -> float:
        """Operations of forward pass, gradient of the input and gradient of the kernel."""
        return 2 * self.multiplications * (2 if self.from_image else 3)


@dataclass(frozen=True)
class StepWork:
    """A training step of a batch: operations, and bytes of feature maps to and from memory."""

    operations: float
    bytes: float


def unet_work(batch: int, *, value_bytes: int, written_out: bool) -> StepWork:
    """Count a step of the default U-Net on 512 x 512.

    Args:
        batch: Images.
        value_bytes: 4 for float32, 2 for bfloat16.
        written_out: Upsampled and concatenated arrays are made, and norm, activation and pooling
            are passes of their own; otherwise as ``bodycomp`` does it.
    """
    network = UNet()
    shapes = _convolutions(network, torch.empty(1, 1, 512, 512))
    saved = 0.0 if written_out else _saved_by_transposing(network, shapes)
    operations = batch * (sum(c.step_operations for c in shapes) - saved)
    values = sum(map(_values_written_out if written_out else _values_fused, shapes))
    return StepWork(operations, batch * value_bytes * values)


def densenet_work(batch: int, *, value_bytes: int, written_out: bool) -> StepWork:
    """Count a step of the default DenseNet on 256 x 256; as ``unet_work``."""
    shapes = _convolutions(DenseNet(), torch.empty(1, 1, 256, 256))
    values = sum(map(_values_written_out if written_out else _values_fused, shapes))
    operations = batch * sum(c.step_operations for c in shapes)
    return StepWork(operations, batch * value_bytes * values)


def _convolutions(network: nn.Module, image: Tensor) -> list[Convolution]:
    """Run the network without numbers and note the shapes that its convolutions see."""
    network = network.to("meta").eval()
    found: list[Convolution] = []

    def note(name: str, conv: nn.Conv2d) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            taps = conv.in_channels * conv.kernel_size[0] * conv.kernel_size[1]
            found.append(
                Convolution(
                    name, taps * output.numel(), inputs[0].numel(), output.numel(), not found
                )
            )

        conv.register_forward_hook(hook)

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            note(name, module)
    network(image.to("meta"))
    return found


def _saved_by_transposing(network: UNet, shapes: list[Convolution]) -> float:
    """Return the operations that 16 taps instead of 36 per low-resolution pixel save, one image."""
    saved = 0.0
    below = network.config.compression_channels[-1]
    firsts = {c.name: c for c in shapes if c.name.endswith(".first.conv")}
    for index, out in enumerate(network.config.decompression_channels):
        conv = firsts[f"up.{index}.first.conv"]
        pixels = conv.values_out // out
        saved += 6 * (9 - 4) * below * out * pixels
        below = out
    return saved


def _values_fused(conv: Convolution) -> float:
    """Return the values to and from memory of one convolution, norm and activation.

    Forward: read x, write z, read z twice, write y. Backward: norm and activation read dy and z,
    write g, read g and z, write dz; the convolution reads dz twice and x, and writes dx.
    """
    return 2 * conv.values_in + (0 if conv.from_image else conv.values_in) + 12 * conv.values_out


def _values_written_out(conv: Convolution) -> float:
    """Return the same for modules one after the other.

    Activation and its gradient are passes of their own, statistics are read once more on the way
    back, and each input is made by a copy (concatenation, pooling) whose gradient is another one.
    """
    return _values_fused(conv) + 6 * conv.values_out + 4 * conv.values_in


def rows() -> Iterator[tuple[str, str]]:
    """Yield the counts for batches of 16."""
    for name, work in (("U-Net", unet_work), ("DenseNet", densenet_work)):
        for how, written_out, value_bytes in (
            ("written out, float32", True, 4),
            ("as bodycomp does it, bfloat16", False, 2),
        ):
            count = work(16, value_bytes=value_bytes, written_out=written_out)
            yield (
                f"{name} step of 16, {how}",
                f"{count.operations / 1e9:.0f} G operations, {count.bytes / 1e9:.1f} GB",
            )
