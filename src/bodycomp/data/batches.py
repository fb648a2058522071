"""From the compact batches of a data set to network input, varied or not, where the network is."""

from __future__ import annotations

import torch

from bodycomp.data.augmentation import AugmentationOptions, augment_batch
from bodycomp.data.datasets import RawBatch
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.imaging.window import PNG_WHITE

Sample = tuple[torch.Tensor, torch.Tensor]


def network_input(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Turn the images of a raw batch into network input, as ``Preprocessing`` does, bit for bit.

    (B, 1, rows, columns) images are int16 HU, uint8 gray levels, or float32 network input, which
    stays as it is; all become float32 in [0, input_max] on their device.
    """
    if images.dtype == torch.float32:
        return images
    # A divisor on the GPU: by a plain number PyTorch multiplies with the inverse, which rounds
    # differently.
    values = images.to(torch.float32)
    if images.dtype == torch.uint8:
        return values.mul_(_float32(preprocessing.input_max / PNG_WHITE, images.device))
    window = preprocessing.window
    values.sub_(_float32(window.low_hu, images.device))
    values.div_(_float32(window.width_hu, images.device)).clamp_(0, 1)
    return values.mul_(_float32(preprocessing.input_max, images.device))


def varied_input(
    batch: RawBatch,
    generator: torch.Generator,
    options: AugmentationOptions,
    preprocessing: Preprocessing,
    *,
    has_masks: bool,
) -> Sample:
    """Turn a raw batch into varied network input and the truth that belongs to it.

    The CPU ``generator`` in the same state gives the same draw on every device. Truth is masks (B,
    rows, columns) uint8, which move with the images, or anything that variation leaves alone.
    """
    raw, truth = batch
    masks = truth if has_masks else None
    plain = network_input(raw, preprocessing)
    white = preprocessing.input_max
    images, moved = augment_batch(plain, masks, generator, options, white=white)
    return images, truth if moved is None else moved


def _float32(value: float, device: torch.device) -> torch.Tensor:
    return torch.full((), value, dtype=torch.float32, device=device)
