"""Vary training images: one draw per sample, applied to image and mask alike.

Images are interpolated, masks take the nearest label; both come from the same sampling grid.
What leaves the field of view on one side is lost, what enters on the other is black background.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

import torch
from torch.nn import functional

from bodycomp.data.augmentation_options import NO_AUGMENTATION, AugmentationOptions
from bodycomp.errors import ImageError, UsageError

__all__ = ["NO_AUGMENTATION", "AugmentationDraw", "AugmentationOptions", "augment_batch", "draw"]

CPU_STEP: Final = 4


@dataclass(frozen=True, eq=False)
class AugmentationDraw:
    """What was drawn for a batch; every tensor is (B,) float32 on the CPU.

    Attributes:
        angle_rad: Turn of the image content.
        shift_rows, shift_columns: Shift of the content as a share of the image's side.
        zoom: Factor by which the content grows.
        mirror: 1, or -1 for a left-right mirrored sample.
        contrast: Factor about the middle grey.
        brightness, noise: Shares of white.
        sharpness: Positive blends towards the smoothed image, negative away from it.
    """

    angle_rad: torch.Tensor
    shift_rows: torch.Tensor
    shift_columns: torch.Tensor
    zoom: torch.Tensor
    mirror: torch.Tensor
    contrast: torch.Tensor
    brightness: torch.Tensor
    noise: torch.Tensor
    sharpness: torch.Tensor

    def part(self, span: slice) -> AugmentationDraw:
        """Return the draw of some samples of the batch."""
        return AugmentationDraw(*(getattr(self, field.name)[span] for field in fields(self)))


def augment_batch(
    images: torch.Tensor,
    masks: torch.Tensor | None,
    generator: torch.Generator,
    options: AugmentationOptions,
    *,
    white: float,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Vary a batch on the device it is on; the input is left as it is.

    Args:
        images: (B, 1, H, W) floating point in [0, white].
        masks: (B, H, W) uint8 labels, or None.
        generator: CPU generator; the same state gives the same draw on every device.
        options: How strongly.
        white: Value of white, the preprocessing's ``input_max``.

    Returns:
        Images in [0, white] and masks with no label that was not there, shapes and dtypes kept.

    Raises:
        ImageError: Shapes or dtypes differ from the above.
        UsageError: The generator is not on the CPU.
    """
    _check(images, masks, generator)
    drawn = draw(len(images), generator, options)
    varied = torch.empty_like(images)
    moved = None if masks is None else torch.empty_like(masks)
    # On a CPU a few samples at a time: what is in between then needs no fresh memory each time.
    step = CPU_STEP if images.device.type == "cpu" else max(1, len(images))
    for start in range(0, len(images), step):
        span = slice(start, start + step)
        part = images[span]
        labels = None if masks is None else masks[span]
        if options.moves:
            part, labels = _move(part, labels, drawn.part(span))
        varied[span] = _vary_grey(part, drawn.part(span), generator, white)
        if moved is not None and labels is not None:
            moved[span] = labels
    return varied, moved


def draw(
    batch_size: int, generator: torch.Generator, options: AugmentationOptions
) -> AugmentationDraw:
    """Draw the variation of each sample; takes the same number of values whatever the options."""
    uniform = torch.rand((9, batch_size), generator=generator, dtype=torch.float32)
    either_way = uniform * 2 - 1  # in [-1, 1)
    mirrored = (uniform[4] < 0.5) & torch.tensor(options.flip_left_right)
    return AugmentationDraw(
        angle_rad=either_way[0] * math.radians(options.rotation_deg),
        shift_rows=either_way[1] * options.shift_fraction,
        shift_columns=either_way[2] * options.shift_fraction,
        zoom=torch.exp(either_way[3] * math.log1p(options.scale_fraction)),
        mirror=torch.where(mirrored, -1.0, 1.0),
        contrast=1 + either_way[5] * options.contrast_fraction,
        brightness=either_way[6] * options.brightness_fraction,
        noise=uniform[7] * options.noise_fraction,
        sharpness=either_way[8] * options.sharpness_fraction,
    )


def _move(
    images: torch.Tensor, masks: torch.Tensor | None, drawn: AugmentationDraw
) -> tuple[torch.Tensor, torch.Tensor | None]:
    rows, columns = images.shape[-2:]
    theta = _source_of_target(drawn, aspect=rows / columns).to(images.device)
    grid = _sampling_grid(theta, rows, columns)
    moved = functional.grid_sample(images, grid.to(images.dtype), align_corners=False)
    if masks is None:
        return moved, None
    labels = functional.grid_sample(
        masks[:, None].to(torch.float32), grid, mode="nearest", align_corners=False
    )
    return moved, labels[:, 0].to(masks.dtype)


def _source_of_target(drawn: AugmentationDraw, *, aspect: float) -> torch.Tensor:
    """Return (B, 2, 3) maps from target to source x and y.

    Both run from -1 to 1 over width and height, so that a turn needs the sides' ratio.
    """
    cosine, sine = torch.cos(drawn.angle_rad), torch.sin(drawn.angle_rad)
    shift_x, shift_y = 2 * drawn.shift_columns, 2 * drawn.shift_rows
    a, b = cosine / drawn.zoom * drawn.mirror, sine * aspect / drawn.zoom * drawn.mirror
    c, d = -sine / aspect / drawn.zoom, cosine / drawn.zoom
    x_row = torch.stack((a, b, -a * shift_x - b * shift_y), dim=1)
    y_row = torch.stack((c, d, -c * shift_x - d * shift_y), dim=1)
    return torch.stack((x_row, y_row), dim=1)


def _sampling_grid(theta: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Return (B, rows, columns, 2) source positions, six times as fast as ``affine_grid``."""
    y, x = (
        (2 * torch.arange(n, dtype=theta.dtype, device=theta.device) + 1) / n - 1
        for n in (rows, columns)
    )
    along_row = theta[:, :, 0, None] * x  # (B, 2, columns)
    along_column = theta[:, :, 1, None] * y + theta[:, :, 2, None]  # (B, 2, rows)
    return (along_column[..., None] + along_row[..., None, :]).permute(0, 2, 3, 1)


def _vary_grey(
    images: torch.Tensor, drawn: AugmentationDraw, generator: torch.Generator, white: float
) -> torch.Tensor:
    """Change grey levels; what the window clips (air, bone) stays black or white, as in a scan."""

    def per_sample(values: torch.Tensor) -> torch.Tensor:
        return values.to(images)[:, None, None, None]

    varied = images
    if bool(drawn.sharpness.any()):
        varied = torch.lerp(varied, _smooth(varied), per_sample(drawn.sharpness))
    if bool((drawn.contrast != 1).any() | (drawn.brightness != 0).any()):
        middle = white / 2
        offset = middle * (1 - drawn.contrast) + drawn.brightness * white
        varied = torch.addcmul(per_sample(offset), varied, per_sample(drawn.contrast))
    if bool(drawn.noise.any()):
        noise = torch.empty(images.shape, dtype=torch.float32)
        for sample in noise:  # one at a time, so that the batch's parting does not matter
            sample.normal_(generator=generator)
        varied = torch.addcmul(varied, noise.to(images), per_sample(drawn.noise * white))
    if varied is images:
        return images
    clipped_in_scan = (images <= 0) | (images >= white)
    return torch.where(clipped_in_scan, images, varied.clamp(0, white))


def _smooth(images: torch.Tensor) -> torch.Tensor:
    """Return the images under a 3 x 3 binomial filter, edges repeated."""
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    tall = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    return (tall[..., :-2] + 2 * tall[..., 1:-1] + tall[..., 2:]) / 16


def _check(images: torch.Tensor, masks: torch.Tensor | None, generator: torch.Generator) -> None:
    if images.ndim != 4 or images.shape[1] != 1 or not images.is_floating_point():
        raise ImageError(
            "expected (batch, 1, rows, columns) floating-point images, "
            f"found {images.dtype}, shape {tuple(images.shape)}"
        )
    expected = (images.shape[0], *images.shape[2:])
    if masks is not None and (masks.dtype != torch.uint8 or masks.shape != expected):
        raise ImageError(
            f"expected uint8 masks of shape {expected}, "
            f"found {masks.dtype}, shape {tuple(masks.shape)}"
        )
    if generator.device.type != "cpu":
        raise UsageError(f"expected a generator on the CPU, found one on {generator.device}")
