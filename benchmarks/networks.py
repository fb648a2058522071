"""One training step of both default networks: the plain formulation against ours."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn

from benchmarks.timing import interleaved_medians_s
from bodycomp.networks.allocator import keep_freed_memory
from bodycomp.networks.densenet import DenseNet
from bodycomp.networks.unet import UNet

UNET_BATCH, UNET_SIZE = 4, 512
DENSENET_BATCH, DENSENET_SIZE = 16, 256


class PlainUNet(nn.Module):
    """The same U-Net with its upsampled and concatenated arrays written out."""

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, (B, 1, H, W) -> (B, classes, H, W)."""
        skips: list[Tensor] = []
        for stage in self.network.down:
            x = stage(F.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        skips.pop()
        for stage in self.network.up:
            x = torch.cat((F.interpolate(x, scale_factor=2.0, mode="nearest"), skips.pop()), dim=1)
            x = stage.others(stage.first.finish(stage.first.conv(x)))
        return self.network.head(x)


def _step(network: nn.Module, x: Tensor) -> Callable[[], None]:
    def run() -> None:
        network.zero_grad(set_to_none=True)
        network(x).square().mean().backward()

    return run


def run(repeats: int = 5) -> list[tuple[str, str]]:
    """Return rows of (what, result)."""
    torch.manual_seed(0)
    x = torch.randn(UNET_BATCH, 1, UNET_SIZE, UNET_SIZE)
    network = UNet()
    plain = PlainUNet(network)
    difference = (plain(x[:1]) - network(x[:1])).abs().max().item()
    variants = {"plain": _step(plain, x), "ours": _step(network, x)}
    default = interleaved_medians_s(variants, repeats=repeats)
    rows = [("U-Net, largest difference of logits, plain and ours", f"{difference:.1e}")]
    keep_freed_memory()
    kept = interleaved_medians_s(variants, repeats=repeats)
    for allocator, times in (("default allocator", default), ("freed memory kept", kept)):
        for name, seconds in times.items():
            rows.append(
                (f"U-Net step, {name}, {allocator}", f"{UNET_BATCH / seconds:.2f} images/s")
            )
    gain = default["plain"] / kept["ours"]
    rows.append(("U-Net step, ours with kept memory against plain", f"{gain:.2f} x"))
    y = torch.randn(DENSENET_BATCH, 1, DENSENET_SIZE, DENSENET_SIZE)
    dense = DenseNet()
    last = DenseNet().to(memory_format=torch.channels_last)
    times = interleaved_medians_s(
        {"channels first": _step(dense, y), "channels last": _step(last, y)}, repeats=repeats
    )
    for name, seconds in times.items():
        rows.append((f"DenseNet step, {name}", f"{DENSENET_BATCH / seconds:.2f} images/s"))
    return rows
