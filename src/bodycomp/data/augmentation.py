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
from bodycomp.data.scanner_variation import ScannerDraw, blotches, coarsen, draw_scanner
from bodycomp.errors import ImageError, UsageError

__all__ = ["NO_AUGMENTATION", "AugmentationDraw", "AugmentationOptions", "augment_batch", "draw"]

CPU_STEP: Final = 4
CLIPPED: Final = 1e-4
"""Share of white within which a pixel counts as black or white: sampling rounds."""

NOISE_UNIT: Final = math.sqrt(4 * (256**2 - 1) / 12)
"""Standard deviation of the sum of four bytes."""


@dataclass(frozen=True, eq=False)
class AugmentationDraw:
    """What was drawn for a batch; every tensor is (B,) on the CPU, float32 except for the seed.

    Attributes:
        angle_rad: Rotation of the image content.
        shift_rows, shift_columns: Shift of the content as a share of the image's side.
        zoom: Factor by which the content grows.
        mirror: 1, or -1 for a left-right mirrored sample.
        contrast: Factor about the middle grey.
        brightness, noise: Shares of white.
        sharpness: Positive blends towards the smoothed image, negative away from it.
        noise_seed: int32; with a pixel's number it gives that pixel's noise.
        scanner: Deformation, resolution and blotches; None without.
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
    noise_seed: torch.Tensor
    scanner: ScannerDraw | None = None

    def part(self, span: slice) -> AugmentationDraw:
        """Return the draw of some samples of the batch."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        scanner = values.pop("scanner")
        return AugmentationDraw(
            **{name: value[span] for name, value in values.items()},
            scanner=None if scanner is None else scanner.part(span),
        )


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
        varied[span] = _vary_gray(part, drawn.part(span), white)
        if moved is not None and labels is not None:
            moved[span] = labels
    return varied, moved


def draw(
    batch_size: int, generator: torch.Generator, options: AugmentationOptions
) -> AugmentationDraw:
    """Draw the variation of each sample; takes the same number of values whatever the options."""
    uniform = torch.rand((9, batch_size), generator=generator, dtype=torch.float32)
    noise_seed = torch.randint(-(2**31), 2**31, (batch_size,), generator=generator)
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
        noise_seed=noise_seed.to(torch.int32),
        # Drawn last and only where asked for: trainings without it keep their random numbers.
        scanner=draw_scanner(batch_size, generator, options) if options.varies_scanner else None,
    )


def source_positions(
    drawn: AugmentationDraw, rows: int, columns: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where each target pixel comes from, in pixels of the source.

    A position is the sum of what its column and what its row say; one addition rounds the same
    everywhere, so that labels are the same on every device.

    Returns:
        (B, 2, columns) and (B, 2, rows) float32 on the CPU, source x and y each.
    """
    zoom, shift_x, shift_y, mirror, angle = (
        values.to(torch.float64)[:, None]
        for values in (
            drawn.zoom,
            drawn.shift_columns * columns,
            drawn.shift_rows * rows,
            drawn.mirror,
            drawn.angle_rad,
        )
    )
    middle_x, middle_y = (columns - 1) / 2, (rows - 1) / 2
    x = torch.arange(columns, dtype=torch.float64) - middle_x - shift_x
    y = torch.arange(rows, dtype=torch.float64) - middle_y - shift_y
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    along_row = torch.stack((mirror * cosine * x, -sine * x), dim=1)
    along_column = torch.stack((mirror * sine * y + middle_x, cosine * y + middle_y), dim=1)
    return along_row.to(torch.float32), along_column.to(torch.float32)


def _move(
    images: torch.Tensor, masks: torch.Tensor | None, drawn: AugmentationDraw
) -> tuple[torch.Tensor, torch.Tensor | None]:
    rows, columns = images.shape[-2:]
    along_row, along_column = source_positions(drawn, rows, columns)
    # one position for each target pixel: (B, 2, rows, columns)
    source = along_column.to(images.device)[..., None] + along_row.to(images.device)[..., None, :]
    if drawn.scanner is not None:
        source = source + drawn.scanner.bend_pixels(rows, columns).to(images.device)
    shares = torch.stack(((2 * source[:, 0] + 1) / columns, (2 * source[:, 1] + 1) / rows), dim=-1)
    moved = functional.grid_sample(images, (shares - 1).to(images.dtype), align_corners=False)
    return moved, None if masks is None else _nearest(masks, source)


def _nearest(masks: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Return the labels at the nearest pixels, 0 outside; halves go to the even pixel."""
    rows, columns = masks.shape[-2:]
    x, y = torch.round(source[:, 0]), torch.round(source[:, 1])
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    at = (y * columns + x).to(torch.int64).masked_fill_(~inside, 0)
    labels = torch.gather(masks.flatten(1), 1, at.flatten(1)).view_as(masks)
    return labels.masked_fill_(~inside, 0)


def pixel_noise(seeds: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Return noise that depends on a sample's seed and the pixel's number alone.

    It is the sum of four random bytes, which is near to normal and never beyond 3.5 standard
    deviations. The bytes are those of the 32-bit mixing function ``lowbias32`` of C. Wellons.

    Args:
        seeds: (B,) int32.
        rows: Of the images.
        columns: Of the images.

    Returns:
        (B, 1, rows, columns) float32 of mean 0 and standard deviation 1 on the seeds' device.
    """
    numbers = torch.arange(rows * columns, dtype=torch.int32, device=seeds.device)
    mixed = (numbers * _signed(0x9E3779B9))[None] ^ seeds[:, None]
    mixed = (mixed ^ _shifted(mixed, 16)) * _signed(0x7FEB352D)
    mixed = (mixed ^ _shifted(mixed, 15)) * _signed(0x846CA68B)
    mixed = mixed ^ _shifted(mixed, 16)
    total = (mixed & 0xFF) + (_shifted(mixed, 8) & 0xFF) + (_shifted(mixed, 16) & 0xFF)
    total = total + _shifted(mixed, 24) - 510
    noise: torch.Tensor = total.to(torch.float32) / NOISE_UNIT
    return noise.view(-1, 1, rows, columns)


def _shifted(words: torch.Tensor, bits: int) -> torch.Tensor:
    """Shift 32-bit words right; PyTorch's own shift drags the sign along."""
    return (words >> bits) & ((1 << (32 - bits)) - 1)


def _signed(word: int) -> int:
    """Return a 32-bit word as the int32 of the same bits."""
    return word - 2**32 if word >= 2**31 else word


def _vary_gray(images: torch.Tensor, drawn: AugmentationDraw, white: float) -> torch.Tensor:
    """Change grey levels; what the window clips (air, bone) stays black or white, as in a scan."""

    def per_sample(values: torch.Tensor) -> torch.Tensor:
        return values.to(images)[:, None, None, None]

    varied = images
    if drawn.scanner is not None:
        varied = coarsen(varied, drawn.scanner)
    if bool(drawn.sharpness.any()):
        varied = torch.lerp(varied, _smooth(varied), per_sample(drawn.sharpness))
    if bool((drawn.contrast != 1).any() | (drawn.brightness != 0).any()):
        middle = white / 2
        offset = middle * (1 - drawn.contrast) + drawn.brightness * white
        varied = torch.addcmul(per_sample(offset), varied, per_sample(drawn.contrast))
    if bool(drawn.noise.any()):
        noise = pixel_noise(drawn.noise_seed.to(images.device), *images.shape[-2:])
        varied = torch.addcmul(varied, noise.to(images.dtype), per_sample(drawn.noise * white))
    if drawn.scanner is not None:
        varied = varied + blotches(drawn.scanner, *images.shape[-2:]).to(images) * white
    if varied is images:
        return images
    clipped_in_scan = (images <= CLIPPED * white) | (images >= (1 - CLIPPED) * white)
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
