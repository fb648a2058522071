"""A U-Net on patches of pixels: ``--arch patch_unet``.

At full resolution the default U-Net has few features and many pixels: it waits for memory there.
Here each patch of 2x2 pixels becomes one pixel with 4 channels before the U-Net (nothing is lost),
and its last convolution gives the classes of all pixels of a patch at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn

from bodycomp.errors import UsageError
from bodycomp.networks.layers import check_size
from bodycomp.networks.unet import UNet, UNetConfig


@dataclass(frozen=True, slots=True)
class PatchUNetConfig:
    """Size of a U-Net on patches.

    Attributes:
        num_classes: Classes with background, at least 2.
        compression_channels, decompression_channels, num_convs, activation: As of a ``UNetConfig``,
            from the patches on.

    Raises:
        UsageError: As by ``UNetConfig``, or the patch is not positive.
    """

    num_classes: int = 4
    patch: int = 2
    compression_channels: tuple[int, ...] = (24, 48, 96, 192, 384)
    decompression_channels: tuple[int, ...] = (192, 96, 48, 24)
    num_convs: int = 1
    activation: str = "relu"

    def __post_init__(self) -> None:
        if self.patch < 1:
            raise UsageError(f"expected a patch of at least 1 pixel, found {self.patch}")
        if self.num_classes < 2:
            raise UsageError(f"expected at least 2 classes, found {self.num_classes}")
        self.inner()  # complains about the others

    def inner(self) -> UNetConfig:
        """Return the config of the U-Net on patches; its classes are those of all their pixels."""
        return UNetConfig(
            num_classes=self.num_classes * self.patch**2,
            compression_channels=self.compression_channels,
            decompression_channels=self.decompression_channels,
            num_convs=self.num_convs,
            activation=self.activation,
        )

    @property
    def stride(self) -> int:
        """Rows and columns of an input must be multiples of this."""
        return self.patch * self.inner().stride


class PatchUNet(nn.Module):
    """U-Net that sees patches as pixels."""

    def __init__(self, config: PatchUNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PatchUNetConfig()
        self.unet = UNet(config.inner(), input_channels=config.patch**2)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, H, W); softmax over axis 1 gives probabilities.

        ``x`` is (B, 1, H, W) in the range of the model's preprocessing, H and W multiples of
        ``config.stride``.
        """
        check_size(x, self.config.stride)
        patches = F.pixel_unshuffle(x, self.config.patch)  # (B, patch**2, H / patch, W / patch)
        logits = self.unet(patches)  # (B, num_classes * patch**2, H / patch, W / patch)
        return F.pixel_shuffle(logits, self.config.patch)
