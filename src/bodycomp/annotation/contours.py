"""Closed contours -> pixels at whose centre they enclose the plane.

By convention an inner contour of a region is a hole (DICOM PS3.3 C.8.8.6.3): contours that lie
within one another are combined by the even-odd rule. By that rule contours that are stored twice,
or that overlap in part as strokes of a brush do, would cancel; the former count once, the latter
are united.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import SeriesError

_SAME_PIXELS: Final = 0.5
"""Contours that are nowhere farther apart are one: what lies between them holds hardly a pixel."""
_TOUCHING_PIXELS: Final = 0.1
"""How far a hole may reach beyond the contour that it touches, by rounding of coordinates."""
_CHUNK: Final = 256


@dataclass(frozen=True, eq=False)
class FilledRegion:
    """What the contours of a region enclose on one slice.

    Attributes:
        mask: (row, column).
        repeated: Contours that are stored once more, alone or within one, and were left out.
    """

    mask: NDArray[np.bool_] = field(repr=False)
    repeated: int = 0
    united: int = 0


def fill_region(contours: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> FilledRegion:
    """Return the pixels of a region whose inner contours are holes (CLOSED_PLANAR).

    Raises:
        SeriesError: Of some contours that overlap in part one lies within another, so that it may
            be a stroke or a hole.
    """
    single = [_one_lap(contour) for contour in contours]
    laps = sum(len(one) < len(contour) for one, contour in zip(single, contours, strict=True))
    areas = [area for area in (_Area.of(contour, shape) for contour in single) if area.mask.any()]
    repeated: set[int] = set()
    for one, other in _meeting(areas):
        if one not in repeated and areas[one].repeats(areas[other]):
            repeated.add(other)
    areas = [area for index, area in enumerate(areas) if index not in repeated]
    group = list(range(len(areas)))  # areas of one number are united
    for one, other in _meeting(areas):
        if areas[one].overlaps_in_part(areas[other]):
            group = [group[one] if number == group[other] else number for number in group]
        elif areas[one].meets(areas[other]):
            inner, outer = sorted((one, other), key=lambda index: int(areas[index].mask.sum()))
            areas[inner] = areas[inner].clipped(areas[outer])
    mask = np.zeros(shape, np.bool_)
    for number in dict.fromkeys(group):
        mask ^= _united([a for a, own in zip(areas, group, strict=True) if own == number], shape)
    united = sum(group.count(number) > 1 for number in group)
    return FilledRegion(mask, laps + len(repeated), united)


def _one_lap(contour: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a contour without further laps, where its points run along it several times."""
    if np.ptp(contour, axis=0).max() < _SAME_PIXELS:
        return contour  # hardly an area
    closed = contour[:-1] if np.allclose(contour[0], contour[-1]) else contour
    for points in (closed, contour):
        for laps in range(2, len(points) // 3 + 1):
            each, rest = divmod(len(points), laps)
            if not rest and np.allclose(points.reshape(laps, each, 2), points[:each]):
                return _one_lap(points[:each])
    return contour


def fill_contours(
    contours: Sequence[NDArray[np.float64]], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return the pixels whose centre an odd number of the contours encloses.

    Holes, islands in holes and keyholes follow from the rule. A centre that lies on a contour
    counts if the area is on its side of larger rows or columns, so that neighbours that share a
    contour share no pixel.

    Args:
        contours: Each (point, 2), row and column in pixels, whole numbers at centres; closed
            without repeating the first point, or with.
        shape: Rows and columns; what lies beyond is cut off.
    """
    rows, columns = shape
    crossings = np.zeros((rows, columns + 1), np.uint8)
    for contour in contours:
        at_row, at_column = _crossings(contour, rows)
        first = np.clip(np.ceil(at_column), 0, columns).astype(np.intp)
        np.bitwise_xor.at(crossings, (at_row, first), np.uint8(1))
    inside: NDArray[np.bool_] = np.bitwise_xor.accumulate(crossings, axis=1)[:, :columns] == 1
    return inside


def _crossings(
    contour: NDArray[np.float64], rows: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the row and the column of every crossing of the contour with a row of centres."""
    ends = np.stack([contour, np.roll(contour, -1, axis=0)], axis=1)  # (edge, end, row or column)
    # From the smaller row up, so that an edge run both ways (a keyhole) cancels exactly.
    order = np.lexsort((ends[:, :, 1], ends[:, :, 0]), axis=1)
    ends = np.take_along_axis(ends, order[:, :, None], axis=1)
    low, high = ends[:, 0], ends[:, 1]
    first = np.clip(np.ceil(low[:, 0]), 0, rows).astype(np.intp)
    last = np.clip(np.ceil(high[:, 0]), 0, rows).astype(np.intp)  # not crossed itself
    count = last - first
    edge = np.repeat(np.arange(len(ends)), count)
    start = np.repeat(np.cumsum(count) - count, count)
    at_row = first[edge] + np.arange(len(edge)) - start
    rise = high[edge] - low[edge]
    along = (at_row - low[edge, 0]) / rise[:, 0]
    return at_row, low[edge, 1] + along * rise[:, 1]


@dataclass(frozen=True, eq=False)
class _Area:
    """One contour and the pixels that it encloses.

    Attributes:
        first, stop: Row and column of the window that holds the pixels.
        mask: (row, column) of the window.
    """

    contour: NDArray[np.float64]
    first: NDArray[np.intp]
    stop: NDArray[np.intp]
    mask: NDArray[np.bool_]

    @classmethod
    def of(cls, contour: NDArray[np.float64], shape: tuple[int, int]) -> Self:
        first = np.clip(np.ceil(contour.min(axis=0)), 0, shape).astype(np.intp)
        stop = np.clip(np.ceil(contour.max(axis=0)) + 1, first, shape).astype(np.intp)
        rows, columns = (int(n) for n in stop - first)
        return cls(contour, first, stop, fill_contours([contour - first], (rows, columns)))

    def within(self, first: NDArray[np.intp], stop: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return the area's pixels in another window."""
        seen = np.zeros(stop - first, np.bool_)
        low, high = np.maximum(first, self.first), np.minimum(stop, self.stop)
        if np.all(low < high):
            there, here = (
                tuple(slice(*ends) for ends in zip(low - start, high - start, strict=True))
                for start in (first, self.first)
            )
            seen[there] = self.mask[here]
        return seen

    def meets(self, other: _Area) -> bool:
        """Whether the two have a pixel in common."""
        return bool(np.any(self.mask & other.within(self.first, self.stop)))

    def clipped(self, other: _Area) -> Self:
        """Return the area without pixels beyond the other, which it touches within rounding."""
        return replace(self, mask=self.mask & other.within(self.first, self.stop))

    def repeats(self, other: _Area) -> bool:
        """Whether the two contours are one, whatever point and direction each is stored from."""
        ends = (np.stack([c.min(axis=0), c.max(axis=0)]) for c in (self.contour, other.contour))
        if np.abs(np.subtract(*ends)).max() > _SAME_PIXELS or not self.meets(other):
            return False
        return not any(
            _has_far_one(one.contour, two.contour, _SAME_PIXELS)
            for one, two in ((self, other), (other, self))
        )

    def overlaps_in_part(self, other: _Area) -> bool:
        """Whether the two have pixels in common, and each has others beyond the other's edge."""
        return self.meets(other) and self._sticks_out_of(other) and other._sticks_out_of(self)

    def _sticks_out_of(self, other: _Area) -> bool:
        outside = np.argwhere(self.mask & ~other.within(self.first, self.stop)) + self.first
        return _has_far_one(outside.astype(np.float64), other.contour, _TOUCHING_PIXELS)


def _meeting(areas: Sequence[_Area]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of areas whose windows overlap, in order."""
    if not areas:
        return
    first, stop = (np.stack([getattr(a, name) for a in areas]) for name in ("first", "stop"))
    overlap = np.all((first[:, None] < stop) & (first < stop[:, None]), axis=2)
    yield from zip(*(index.tolist() for index in np.nonzero(np.triu(overlap, 1))), strict=True)


def _united(areas: Sequence[_Area], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels of one contour, or of some that overlap in part."""
    if any(a.meets(b) and not a.overlaps_in_part(b) for a, b in combinations(areas, 2)):
        raise SeriesError(
            "expected contours that overlap in part to be strokes of one area, found that one of "
            "them lies within another as a hole does",
            hint="Draw the region again on this slice, or export it as a mask.",
        )
    first, stop = np.zeros(2, np.intp), np.array(shape)
    mask = np.zeros(shape, np.bool_)
    for area in areas:
        mask |= area.within(first, stop)
    return mask


def _has_far_one(points: NDArray[np.float64], contour: NDArray[np.float64], pixels: float) -> bool:
    """Whether a point lies farther than this from the closed line through a contour's points."""
    start, along = contour, np.roll(contour, -1, axis=0) - contour
    squares = np.maximum((along**2).sum(axis=1), np.finfo(float).tiny)
    for chunk in range(0, len(points), _CHUNK):
        offset = points[chunk : chunk + _CHUNK, None] - start  # (point, edge, row or column)
        share = np.clip((offset * along).sum(axis=2) / squares, 0, 1)
        away = np.hypot(*np.moveaxis(offset - share[:, :, None] * along, 2, 0))
        if away.min(axis=1).max() > pixels:
            return True
    return False
