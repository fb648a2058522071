"""Projections varied for training: other builds, other coverage, contrast agent and metal.

Rows keep their distance in mm. A stretched body has its levels farther apart, so that offsets are
made anew of the row that lay at a place before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch.nn import functional

from bodycomp.imaging.projection import CHANNELS, ROW_MM

MOST_ROWS: Final = 192
"""Longer series are cut to these rows, 576 mm, another part at every step."""

FEWEST_ROWS: Final = 16

FRONT: Final = slice(0, CHANNELS // 2)
SIDE: Final = slice(CHANNELS // 2, CHANNELS)

STRETCH_SD: Final = 0.08

SPINE_HALF: Final = 0.1
"""Half of the spine's width, transverse processes included, as a share of half the image."""

FALL_SD: Final = 0.2
"""Rows per column that ribs and pelvis are tilted by: at the flank about 25 mm."""

FALL_TURNS: Final = 4

FADE_MEAN: Final = -0.7
FADE_SD: Final = 0.8
"""Logarithm of how bright ribs and pelvis are against the spine: a quarter to twice as bright."""

CUT_SHARE: Final = 0.5
"""Share of series that are cut to a part of theirs."""

Sample = tuple[torch.Tensor, torch.Tensor]


def vary_projections(
    images: torch.Tensor, offsets_mm: torch.Tensor, generator: torch.Generator
) -> Sample:
    """Vary a batch by random numbers of a CPU generator.

    Args:
        images: (B, channel, row, column), empty in rows without offsets.
        offsets_mm: (B, row, level), NaN where not annotated.
        generator: On the CPU.

    Returns:
        The same with at most ``MOST_ROWS`` rows.
    """
    rows = min(images.shape[2], MOST_ROWS)
    varied = torch.zeros((*images.shape[:2], rows, images.shape[3]), device=images.device)
    moved_mm = torch.full((len(images), rows, offsets_mm.shape[2]), math.nan)
    known = (~offsets_mm.isnan()).any(2).cpu()
    drawn = _Numbers(generator)
    for index in range(len(images)):
        where = torch.nonzero(known[index])
        if not len(where):
            continue
        first, count = int(where[0]), int(where[-1] - where[0]) + 1
        base_mm = offsets_mm[index, first].cpu()
        part, start, stretch = _reshaped(images[index, :, first : first + count], rows, drawn)
        place = drawn.whole(0, rows - part.shape[1])
        varied[index, :, place : place + part.shape[1]] = _recolored(part, drawn)
        steps = torch.arange(part.shape[1])[:, None] * ROW_MM
        moved_mm[index, place : place + part.shape[1]] = (
            stretch * (base_mm + start * ROW_MM) + steps
        )
    return varied, moved_mm.to(offsets_mm.device)


class _Numbers:
    """Random numbers of a generator."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(torch.rand((), generator=self._generator))

    def normal(self, sd: float) -> float:
        return sd * float(torch.randn((), generator=self._generator))

    def factor(self, sd: float) -> float:
        return math.exp(self.normal(sd))

    def whole(self, low: int, high: int) -> int:
        """Return a whole number, both ends included."""
        return int(torch.randint(low, max(high, low) + 1, (), generator=self._generator))

    def noise(self, shape: torch.Size) -> torch.Tensor:
        return torch.randn(shape, generator=self._generator)


def _reshaped(
    image: torch.Tensor, most_rows: int, drawn: _Numbers
) -> tuple[torch.Tensor, float, float]:
    """Stretch, cut, lean and mirror a (channel, row, column) image.

    Returns it with the row it begins at, of those before the stretch, and the stretch.
    """
    stretch, count = drawn.factor(STRETCH_SD), image.shape[1]
    whole = max(1, int(count * stretch))
    kept = min(whole, most_rows)
    if drawn.uniform() < CUT_SHARE and kept > FEWEST_ROWS:
        kept = drawn.whole(FEWEST_ROWS, kept)
    start = drawn.whole(0, whole - kept) / stretch
    rows = start + torch.arange(kept) / stretch
    y = (2 * rows + 1) / count - 1
    columns = (2 * torch.arange(image.shape[2]) + 1) / image.shape[2] - 1
    parts = []
    for view, mirrored in ((FRONT, 0.5), (SIDE, 0.07)):
        fall = _fall(image[view.start], rows, drawn)
        zoom, shift, lean = drawn.factor(0.1), drawn.normal(0.08), drawn.normal(0.04)
        side = -1.0 if drawn.uniform() < mirrored else 1.0
        x = side * zoom * columns[None, :] + lean * y[:, None] + shift
        away = fall.away(x)
        grid = torch.stack([x, y[:, None] + fall.slope[:, None] * away], dim=-1).to(image.device)
        parts.append(
            functional.grid_sample(
                image[None, view], grid[None], padding_mode="zeros", align_corners=False
            )[0]
        )
    return torch.cat(parts), start, stretch


@dataclass(frozen=True, eq=False)
class _Fall:
    """How much lower or higher things lie, the farther they are from the spine.

    Ribs fall steeply in one person and less in another, and so differ iliac crests: where a rib
    ends tells less than where it begins.

    Attributes:
        spine: Where the spine is, as ``x`` of a sampling grid.
        slope: (row,) of the grid's ``y`` per ``x``.
    """

    spine: float
    slope: torch.Tensor

    def away(self, x: torch.Tensor) -> torch.Tensor:
        """Return the distance from the spine's sides, 0 on it."""
        return ((x - self.spine).abs() - SPINE_HALF).clamp(min=0)


def _fall(bone: torch.Tensor, rows: torch.Tensor, drawn: _Numbers) -> _Fall:
    """Draw a fall that changes smoothly along the body; ``bone`` is (row, column)."""
    turns = torch.tensor([drawn.normal(FALL_SD) for _ in range(FALL_TURNS)])
    slope = _between(turns, rows / max(bone.shape[0] - 1, 1))
    # ``y`` counts half of the rows, ``x`` half of the columns.
    return _Fall(_spine_of(bone), slope * bone.shape[1] / bone.shape[0])


def _recolored(image: torch.Tensor, drawn: _Numbers) -> torch.Tensor:
    """Make bones denser or fainter, and add what hides them."""
    image = image.clamp(min=0) * drawn.factor(0.35)
    for view in (FRONT, SIDE):
        image[view.start] *= _fade(image[view.start], drawn)
    if drawn.uniform() < 0.5:
        image = image ** drawn.factor(0.25)
    while drawn.uniform() < 0.55:
        image = image + _clutter(image, drawn)
    if drawn.uniform() < 0.3:
        for _ in range(drawn.whole(1, 5)):
            image[:, drawn.whole(0, image.shape[1] - 1)] *= drawn.factor(0.6)
    if drawn.uniform() < 0.3:  # a table seen from the side
        behind = drawn.whole(round(0.7 * image.shape[2]), image.shape[2] - 1)
        image[SIDE, :, behind] += drawn.uniform(0.0, 0.5)
    grain = 0.003 * -math.log(max(drawn.uniform(), 1e-6))
    image = image + grain * drawn.noise(image.shape).to(image.device)
    return image.clamp(0, 2)


def _fade(bone: torch.Tensor, drawn: _Numbers) -> torch.Tensor:
    """Return how much fainter than the spine bone beside it is, (row, column).

    Ribs of phantoms are denser than those of people: how bright they are shall tell nothing.
    """
    rows, columns = bone.shape
    faint = [drawn.normal(FADE_SD) + FADE_MEAN for _ in range(FALL_TURNS)]
    along = _between(torch.tensor(faint), torch.arange(rows) / max(rows - 1, 1))
    x = (2 * torch.arange(columns) + 1) / columns - 1
    away = ((x - _spine_of(bone)).abs() / SPINE_HALF - 1).clamp(0, 1)
    return torch.exp(along[:, None] * away[None, :]).to(bone.device)


def _spine_of(bone: torch.Tensor) -> float:
    """Return where most bone is, as ``x`` of a sampling grid."""
    return (2 * int(bone.sum(dim=0).argmax()) + 1) / bone.shape[1] - 1


def _between(values: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Return values between those of knots at equal distances; ``share`` is 0 to 1."""
    place = (share * (len(values) - 1)).clamp(0, len(values) - 1)
    low = place.floor().clamp(max=len(values) - 2).long()
    return values[low] * (low + 1 - place) + values[low + 1] * (place - low)


def _clutter(image: torch.Tensor, drawn: _Numbers) -> torch.Tensor:
    """Return a blob as bowel with contrast agent or metal leaves, in both views at one height."""
    _, rows, columns = image.shape
    value = -0.25 * math.log(max(drawn.uniform(), 1e-6))
    height = drawn.uniform(2, 30)
    along = _bump(rows, drawn.uniform(-10, rows), height / 2)
    across = _bump(columns, drawn.uniform(0.2, 0.8) * columns, drawn.uniform(2, 0.2 * columns))
    deep = _bump(columns, drawn.uniform(0.1, 0.6) * columns, drawn.uniform(2, 0.2 * columns))
    blob = torch.zeros_like(image)
    blob[FRONT] = (value * along[:, None] * across[None, :]).to(image.device)
    blob[SIDE] = (value * along[:, None] * deep[None, :]).to(image.device)
    return blob


def _bump(count: int, middle: float, width: float) -> torch.Tensor:
    return torch.exp(-0.5 * ((torch.arange(count) - middle) / width) ** 2)
