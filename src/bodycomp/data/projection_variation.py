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

from bodycomp.imaging.projection import COLUMNS, ROW_MM, VIEWS, WHOLE

MOST_ROWS: Final = 192
"""Longer series are cut to these rows, 576 mm, another part at every step."""

FEWEST_ROWS: Final = 16

FRONT, BESIDE, SAGITTAL, CORONAL = range(len(VIEWS))
SLABS: Final = range(WHOLE, len(VIEWS))

STRETCH_SD: Final = 0.08

SPINE_HALF: Final = 0.1
"""Half of the spine's width, transverse processes included, as a share of half the image."""

FALL_SD: Final = 0.2
"""Rows per column that ribs and pelvis are tilted by: at the flank about 25 mm."""

TURNS: Final = 4
"""What changes smoothly along the body turns at so many heights."""

FADE_MEAN: Final = -0.7
FADE_SD: Final = 0.8
"""Logarithm of how bright ribs and pelvis are against the spine: a quarter to twice as bright."""

CUT_SHARE: Final = 0.5
"""Share of series that are cut to a part of theirs."""

LOST_SHARE: Final = 0.15
"""Share of slabs whose way leaves the spine for a while, as towards an organ full of contrast."""

UNSEEN_SHARE: Final = 0.08
"""Share of series whose slabs, or whose views of the whole, are not to be relied on."""

Sample = tuple[torch.Tensor, torch.Tensor]


def vary_projections(
    images: torch.Tensor, offsets_mm: torch.Tensor, generator: torch.Generator
) -> Sample:
    """Vary a batch by random numbers of a CPU generator.

    Args:
        images: (B, view, row, column), empty in rows without offsets.
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
        varied[index, :, place : place + part.shape[1]] = _spoiled(_recolored(part, drawn), drawn)
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

    def sign(self, share: float) -> float:
        """Return -1 in this share of draws, else 1."""
        return -1.0 if self.uniform() < share else 1.0

    def noise(self, shape: torch.Size) -> torch.Tensor:
        return torch.randn(shape, generator=self._generator)


def _reshaped(
    image: torch.Tensor, most_rows: int, drawn: _Numbers
) -> tuple[torch.Tensor, float, float]:
    """Stretch, cut, lean and mirror a (view, row, column) image.

    Returns it with the row it begins at, of those before the stretch, and the stretch.
    """
    stretch, count = drawn.factor(STRETCH_SD), image.shape[1]
    whole = max(1, int(count * stretch))
    kept = min(whole, most_rows)
    if drawn.uniform() < CUT_SHARE and kept > FEWEST_ROWS:
        kept = drawn.whole(FEWEST_ROWS, kept)
    start = drawn.whole(0, whole - kept) / stretch
    rows = start + torch.arange(kept) / stretch
    turned = {FRONT: drawn.sign(0.5), BESIDE: drawn.sign(0.07), SAGITTAL: 1.0}
    turned[CORONAL] = turned[FRONT]
    grids = [
        (_slab_grid if view in SLABS else _whole_grid)(image[view], rows, turned[view], drawn)
        for view in range(len(VIEWS))
    ]
    moved = functional.grid_sample(
        image[:, None], torch.stack(grids).to(image.device), "bilinear", "zeros", False
    )
    return moved[:, 0], start, stretch


def _whole_grid(
    view: torch.Tensor, rows: torch.Tensor, side: float, drawn: _Numbers
) -> torch.Tensor:
    """Return a sampling grid (row, column, 2) of a body that leans, with ribs that fall."""
    fall = _fall(view, rows, drawn)
    zoom, shift, lean = drawn.factor(0.1), drawn.normal(0.08), drawn.normal(0.04)
    y = (2 * rows + 1) / len(view) - 1
    x = side * zoom * _columns()[None, :] + lean * y[:, None] + shift
    return torch.stack([x, y[:, None] + fall.slope[:, None] * fall.away(x)], dim=-1)


def _slab_grid(
    view: torch.Tensor, rows: torch.Tensor, side: float, drawn: _Numbers
) -> torch.Tensor:
    """Return a sampling grid (row, column, 2) of a spine that is not followed exactly."""
    zoom, tilt, count = drawn.factor(0.1), drawn.normal(0.02), len(rows)
    aside = _wandering(drawn, 0.06, torch.arange(count) / max(count - 1, 1))
    if drawn.uniform() < LOST_SHARE:
        aside = aside + drawn.normal(0.4) * _bump(count, drawn.whole(0, count), drawn.whole(5, 30))
    x = side * zoom * _columns()[None, :] + aside[:, None]
    y = (2 * rows + 1) / len(view) - 1
    return torch.stack([x, y[:, None] + tilt * x * COLUMNS / len(view)], dim=-1)


def _columns() -> torch.Tensor:
    return (2 * torch.arange(COLUMNS) + 1) / COLUMNS - 1


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
    slope = _wandering(drawn, FALL_SD, rows / max(bone.shape[0] - 1, 1))
    # ``y`` counts half of the rows, ``x`` half of the columns.
    return _Fall(_spine_of(bone), slope * bone.shape[1] / bone.shape[0])


def _recolored(image: torch.Tensor, drawn: _Numbers) -> torch.Tensor:
    """Make bones denser or fainter."""
    image = image.clamp(min=0) * drawn.factor(0.35)
    for view in (FRONT, BESIDE):
        image[view] *= _fade(image[view], drawn)
    if drawn.uniform() < 0.5:
        image = image ** drawn.factor(0.25)
    for view in SLABS:
        image[view] = _soft(image[view] * drawn.factor(0.3), drawn)
    return image


def _spoiled(image: torch.Tensor, drawn: _Numbers) -> torch.Tensor:
    """Add what hides bones: clutter, faint rows, a table, noise; now and then whole views go."""
    while drawn.uniform() < 0.55:
        image = image + _clutter(image, drawn)
    if drawn.uniform() < 0.3:
        for _ in range(drawn.whole(1, 5)):
            image[:, drawn.whole(0, image.shape[1] - 1)] *= drawn.factor(0.6)
    if drawn.uniform() < 0.3:  # a table seen from the side
        behind = drawn.whole(round(0.7 * COLUMNS), COLUMNS - 1)
        image[BESIDE, :, behind] += drawn.uniform(0.0, 0.5)
    grain = drawn.noise(image.shape).to(image.device) * -math.log(max(drawn.uniform(), 1e-6))
    for view, share in enumerate((0.003, 0.003, 0.02, 0.02)):
        image[view] += share * grain[view]
    for part in (slice(WHOLE), slice(WHOLE, None)):
        if drawn.uniform() < UNSEEN_SHARE:
            image[part] = 0
    return image.clamp(0, 2)


def _soft(slab: torch.Tensor, drawn: _Numbers) -> torch.Tensor:
    """Return a slab of other contrast, now and then with soft edges."""
    if drawn.uniform() < 0.5:
        slab = slab ** drawn.factor(0.3)
    if drawn.uniform() < 0.3:
        half = drawn.whole(1, 2)
        slab = functional.avg_pool2d(slab[None], (1, 2 * half + 1), 1, (0, half))[0]
    return slab


def _fade(bone: torch.Tensor, drawn: _Numbers) -> torch.Tensor:
    """Return how much fainter than the spine bone beside it is, (row, column).

    Ribs of phantoms are denser than those of people: how bright they are shall tell nothing.
    """
    rows, columns = bone.shape
    along = FADE_MEAN + _wandering(drawn, FADE_SD, torch.arange(rows) / max(rows - 1, 1))
    x = (2 * torch.arange(columns) + 1) / columns - 1
    away = ((x - _spine_of(bone)).abs() / SPINE_HALF - 1).clamp(0, 1)
    return torch.exp(along[:, None] * away[None, :]).to(bone.device)


def _spine_of(bone: torch.Tensor) -> float:
    """Return where most bone is, as ``x`` of a sampling grid."""
    return (2 * int(bone.sum(dim=0).argmax()) + 1) / bone.shape[1] - 1


def _wandering(drawn: _Numbers, sd: float, share: torch.Tensor) -> torch.Tensor:
    """Return values that change smoothly along the body; ``share`` is 0 to 1 of its length."""
    values = torch.tensor([drawn.normal(sd) for _ in range(TURNS)])
    place = (share * (TURNS - 1)).clamp(0, TURNS - 1)
    low = place.floor().clamp(max=TURNS - 2).long()
    return values[low] * (low + 1 - place) + values[low + 1] * (place - low)


def _clutter(image: torch.Tensor, drawn: _Numbers) -> torch.Tensor:
    """Return a blob as bowel with contrast agent or metal leaves, at one height in all views.

    A slab holds more of it, or nothing where it lies beside the spine.
    """
    rows = image.shape[1]
    value = -0.25 * math.log(max(drawn.uniform(), 1e-6))
    along = value * _bump(rows, drawn.uniform(-10, rows), drawn.uniform(1, 15))
    blob = torch.zeros_like(image)
    for view, (low, high) in enumerate(((0.2, 0.8), (0.1, 0.6), (0.2, 0.95), (0.1, 0.95))):
        middle, width = drawn.uniform(low, high) * COLUMNS, drawn.uniform(1, 0.2 * COLUMNS)
        gain = 1.0 if view < WHOLE else drawn.whole(0, 1) * 2.0
        blob[view] = (gain * along[:, None] * _bump(COLUMNS, middle, width)).to(image.device)
    return blob


def _bump(count: int, middle: float, width: float) -> torch.Tensor:
    return torch.exp(-0.5 * ((torch.arange(count) - middle) / width) ** 2)
