"""The U-Net for running alone: batch norms folded, nothing upsampled or concatenated."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn

from bodycomp.networks.activations import make_activation
from bodycomp.networks.folded import FoldedConvolution, laid_out
from bodycomp.networks.fused_norm import channels_last
from bodycomp.networks.patch_unet import PatchUNet
from bodycomp.networks.unet import ConvUnit, UNet, UpStage
from bodycomp.networks.upsampling import transposed_kernel


class FoldedUNet:
    """Gives the logits of a U-Net in evaluation mode, up to rounding; for the CPU.

    Args:
        network: Trained; later changes of its weights are not followed.
        dtype: Of features and kernels: float32 or bfloat16. The last convolution is float32.
    """

    def __init__(self, network: UNet, dtype: torch.dtype) -> None:
        self._check_size = network.check_size
        self._dtype = dtype
        self._activation = make_activation(network.config.activation, inplace=True)
        self._down = [_units(stage, dtype) for stage in network.down]
        widths = (network.config.compression_channels[-1], *network.config.decompression_channels)
        self._up = [
            _FoldedUpStage(stage, low, dtype)
            for stage, low in zip(network.up, widths, strict=False)
            if isinstance(stage, UpStage)
        ]
        self._head = FoldedConvolution.of(network.head, None, torch.float32)

    def __call__(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, H, W) float32; see ``UNet.forward``."""
        self._check_size(x)
        x = channels_last(x.to(self._dtype))
        skips: list[Tensor] = []
        for stage in self._down:
            if skips:
                x = F.max_pool2d(x, 2)
            x = self._run(stage, x)
            skips.append(x)
        skips.pop()  # the centre
        for up in self._up:
            x = self._run(up.others, self._activation(up.join(x, skips.pop())))
        return self._head(x.float())

    def _run(self, units: list[FoldedConvolution], x: Tensor) -> Tensor:
        for unit in units:
            x = self._activation(unit(x))
        return x


class _FoldedUpStage:
    """The two halves of a stage's first convolution, and its other units."""

    def __init__(self, stage: UpStage, low_channels: int, dtype: torch.dtype) -> None:
        first = FoldedConvolution.of(stage.first.conv, stage.first.norm, torch.float32)
        self._up_kernel = laid_out(transposed_kernel(first.kernel[:, :low_channels]), dtype)
        self._skip = FoldedConvolution(
            laid_out(first.kernel[:, low_channels:], dtype), first.bias.to(dtype), padding=1
        )
        self.others = _units(stage.others, dtype)

    def join(self, low: Tensor, skip: Tensor) -> Tensor:
        """Convolve [upsampled ``low``, ``skip``]; see ``upsampling``."""
        raised = F.conv_transpose2d(low, self._up_kernel, stride=2, padding=1)
        return self._skip(skip).add_(raised)


class FoldedPatchUNet:
    """Does for a ``PatchUNet`` what ``FoldedUNet`` does for its U-Net."""

    def __init__(self, network: PatchUNet, dtype: torch.dtype) -> None:
        self._check_size = network.check_size
        self._patch = network.config.patch
        self._unet = FoldedUNet(network.unet, dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, H, W) float32; see ``PatchUNet.forward``."""
        self._check_size(x)
        return F.pixel_shuffle(self._unet(F.pixel_unshuffle(x, self._patch)), self._patch)


def _units(stage: nn.Module, dtype: torch.dtype) -> list[FoldedConvolution]:
    units = [module for module in stage.modules() if isinstance(module, ConvUnit)]
    return [FoldedConvolution.of(unit.conv, unit.norm, dtype) for unit in units]
