"""Whether an annotation lies on a scan's grid, and the change of axes that puts it there.

Axes may come in any order and direction; nothing is ever resampled. What does not land on the
scan's own pixels is refused, with both frames printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import SeriesError
from bodycomp.imaging.grid import RAS_TO_LPS, Grid
from bodycomp.imaging.label_map import LabelMap, LabelValues
from bodycomp.imaging.volume import Volume, slice_normal

Label = TypeVar("Label", bound=np.generic)

TOLERANCE_VOXELS: Final = 0.1
"""How far a voxel's centre may lie from a pixel's. Headers round positions to some hundredths of a
mm, and single slices of a series jitter by as much as a tenth of their distance."""

_PARALLEL: Final = 0.99
_GAP_FACTOR: Final = 1.5


@dataclass(frozen=True, eq=False)
class GridAlignment:
    """How an array on a grid becomes pixels of a scan.

    Attributes:
        order: Array axes that serve as slice, row and column.
        flips: Whether slice, row and column run the other way.
        slices: (plane,) slice of the scan for every plane of the turned array, -1 for none.
        first_row, first_column: Pixel of the scan at which the turned array begins.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    slices: NDArray[np.intp]
    first_row: int
    first_column: int
    shape: tuple[int, int, int]
    where: str

    def add(self, values: NDArray[Label], target: NDArray[Label]) -> None:
        """Put non-zero ``values`` into ``target``, an array of the scan's shape."""
        turned = values.transpose(self.order)
        turned = turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]
        rows, row_part = _overlap(self.first_row, turned.shape[1], self.shape[1])
        columns, column_part = _overlap(self.first_column, turned.shape[2], self.shape[2])
        labeled = outside = 0
        for plane, index in zip(turned, self.slices, strict=True):
            found = int(np.count_nonzero(plane))
            labeled += found
            if index < 0:
                outside += found
                continue
            part = plane[row_part, column_part]
            outside += found - int(np.count_nonzero(part)) if part.size < plane.size else 0
            np.maximum(target[index, rows, columns], part, out=target[index, rows, columns])
        if outside:
            raise SeriesError(
                f"{self.where}: {outside} of {labeled} labelled voxels lie outside the slices of "
                "the scan",
                hint="Was it drawn on a longer series, or has the scan lost slices?",
            )


def place_label_map(labels: LabelMap, volume: Volume, where: str, *, cropped: bool) -> LabelValues:
    """Return the (slice, row, column) labels of a map on the scan's grid.

    ``cropped`` says whether the map may cover another extent of that grid than the scan itself.
    """
    place = align_grid(labels.grid, volume, where, cropped=cropped)
    target = np.zeros(volume.hu.shape, labels.values.dtype)
    place.add(labels.values, target)
    return target


def align_grid(grid: Grid, volume: Volume, where: str, *, cropped: bool) -> GridAlignment:
    """Return how arrays on ``grid`` lie on the scan.

    Raises:
        SeriesError: A voxel's centre is further than ``TOLERANCE_VOXELS`` from every pixel's, the
            spacing differs, or the extent does while ``cropped`` is off.
    """
    axes = *np.reshape(volume.orientation, (2, 3)), slice_normal(volume.orientation)
    cosines = np.array(axes) @ grid.directions  # (column, row, normal) x axis
    order = tuple(int(axis) for axis in np.argmax(np.abs(cosines), axis=1))[::-1]
    # Slices of a tilted gantry are not stacked along their normal; heights and pixels tell.
    if len(set(order)) < 3 or np.abs(cosines[[1, 0], order[1:]]).min() < _PARALLEL:
        raise other_frame(grid, volume, where, "their axes point in different directions")
    slice_flip, row_flip, column_flip = (bool(c < 0) for c in cosines[[2, 1, 0], order])
    flips = (slice_flip, row_flip, column_flip)
    slice_axis, row_axis, column_axis = order
    turned = _turned(grid, (slice_axis, row_axis, column_axis), flips)
    problem, slices, first_row, first_column = _match(turned, volume)
    _, rows, columns = turned.shape
    if not problem and not cropped:
        whole = bool(slices[0] == 0 and slices[-1] == len(volume) - 1)
        same = (first_row, first_column, rows, columns) == (0, 0, *volume.slice_shape)
        if not (whole and same):
            problem = "one covers more than the other"
    if not problem and (slices < 0).all():
        problem = "they have no slice in common"
    if problem:
        raise other_frame(grid, volume, where, problem)
    return GridAlignment(
        order=(slice_axis, row_axis, column_axis),
        flips=flips,
        slices=slices,
        first_row=first_row,
        first_column=first_column,
        shape=(len(volume), *volume.slice_shape),
        where=where,
    )


def slice_heights_mm(volume: Volume) -> NDArray[np.float64]:
    """Return (slice,) positions of the slices along their normal, which points headwards."""
    heights: NDArray[np.float64] = volume.first_pixels_mm @ slice_normal(volume.orientation)
    return heights


def pixel_positions(
    points_mm: NDArray[np.float64], volume: Volume
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (point,) row and column positions in pixels, and heights in mm, of LPS points.

    A pixel's centre has whole numbers; heights are those of ``slice_heights_mm``.
    """
    row_mm, column_mm = volume.pixel_spacing_mm
    heights = points_mm @ slice_normal(volume.orientation)
    rise_mm = (heights - slice_heights_mm(volume)[0]) / volume.depth_per_z
    from_first = points_mm - volume.first_pixels_mm[0] - rise_mm[:, None] * volume.step_per_z
    columns = from_first @ np.asarray(volume.orientation[:3]) / column_mm
    rows = from_first @ np.asarray(volume.orientation[3:]) / row_mm
    return rows, columns, heights


def _turned(grid: Grid, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Grid:
    """Return the grid of the array after its axes became slice, row and column."""
    affine = grid.affine[:, [*order, 3]].copy()
    shape = tuple(grid.shape[axis] for axis in order)
    for axis in np.flatnonzero(flips):
        affine[:, 3] += affine[:, axis] * (shape[axis] - 1)
        affine[:, axis] *= -1
    return Grid((shape[0], shape[1], shape[2]), affine)


def _match(turned: Grid, volume: Volume) -> tuple[str, NDArray[np.intp], int, int]:
    """Return what is wrong (empty if nothing), the slice of each plane, first row and column."""
    ends = np.stack(np.meshgrid(*((0, n - 1) for n in turned.shape), indexing="ij"), -1)
    corners = ends.reshape(-1, 3).astype(np.float64)  # (corner, axis); the first is voxel 0, 0, 0
    points = corners @ turned.affine[:3, :3].T + turned.affine[:3, 3]
    rows, columns, heights = pixel_positions(points, volume)
    first_row, first_column = round(float(rows[0])), round(float(columns[0]))
    off = (
        np.abs(rows - corners[:, 1] - first_row).max(),
        np.abs(columns - corners[:, 2] - first_column).max(),
    )
    slices, problem = _match_planes(turned, heights.reshape(2, 4), volume)
    if max(off) > TOLERANCE_VOXELS:
        problem = "their pixels do not coincide"
    return problem, slices, first_row, first_column


def _match_planes(
    turned: Grid, end_heights_mm: NDArray[np.float64], volume: Volume
) -> tuple[NDArray[np.intp], str]:
    """Return the slice of every plane, -1 for none, and what is wrong with them.

    ``end_heights_mm`` is (2, 4): heights of the corners of the first and the last plane.
    """
    heights = slice_heights_mm(volume)
    spacing = float(np.median(np.diff(heights))) if len(volume) > 1 else turned.spacing_mm[0]
    tolerance = TOLERANCE_VOXELS * spacing
    middle = end_heights_mm.mean(axis=1)
    planes = np.linspace(middle[0], middle[1], turned.shape[0])
    nearest = np.argmin(np.abs(planes[:, None] - heights[None, :]), axis=1)
    matched = np.abs(planes - heights[nearest]) <= tolerance
    slices = np.where(matched, nearest, -1).astype(np.intp)
    tilted = np.ptp(end_heights_mm, axis=1).max() > 2 * tolerance
    covered = (heights >= planes[0] - tolerance) & (heights <= planes[-1] + tolerance)
    missed = set(np.flatnonzero(covered)) - set(slices[matched])
    if tilted or missed or not _only_gaps(planes[~matched], heights, spacing):
        return slices, "their slices do not coincide"
    return slices, ""


def _only_gaps(
    planes_mm: NDArray[np.float64], heights_mm: NDArray[np.float64], spacing_mm: float
) -> bool:
    """Whether planes without a slice lie beyond the scan or where slices are missing from it."""
    above = np.searchsorted(heights_mm, planes_mm)
    inside = (above > 0) & (above < len(heights_mm))
    above = above[inside]
    return bool(np.all(heights_mm[above] - heights_mm[above - 1] > _GAP_FACTOR * spacing_mm))


def _overlap(first: int, count: int, limit: int) -> tuple[slice, slice]:
    """Return the same pixels counted in the scan and in the array that begins at ``first``."""
    start, end = max(first, 0), max(min(first + count, limit), first, 0)
    return slice(start, end), slice(start - first, end - first)


def other_frame(grid: Grid, volume: Volume, where: str, problem: str) -> SeriesError:
    """Return the refusal of an annotation that does not lie on the scan's grid."""
    scan = Grid.of_volume(volume)
    return SeriesError(
        f"{where}: expected it on the grid of the scan, found that {problem}"
        f"{_differences(grid, scan)}\n  scan: {scan}\n  {where}: {grid}",
        hint="Export the annotation on the grid of this very series; nothing is resampled here.",
    )


def _differences(grid: Grid, scan: Grid) -> str:
    """Return size, spacing and place of the corner where they differ, as the end of a sentence."""
    said = []
    if sorted(grid.shape) != sorted(scan.shape):
        said.append("the sizes differ")
    spacings = np.sort(grid.spacing_mm), np.sort(scan.spacing_mm)
    if not np.allclose(*spacings, rtol=1e-3, atol=0):
        said.append("the spacings differ")
    boxes = [_box_mm(g) for g in (grid, scan)]
    shift = boxes[0] - boxes[1]
    if not said and np.abs(shift).max() > 1e-3:
        said.append(
            "its first corner lies "
            + ", ".join(f"{x:.2f}" for x in shift + 0.0)
            + " mm to the left, back and head of the scan's"
        )
    mirrored = _box_mm(Grid(grid.shape, RAS_TO_LPS @ grid.affine))
    if np.abs(shift[:2]).max() > 1e-3 and np.allclose(mirrored, boxes[1], atol=1e-2):
        said.append("the two are mirrored as when RAS is taken for LPS")
    return "".join(f"; {text}" for text in said)


def _box_mm(grid: Grid) -> NDArray[np.float64]:
    """Return the smallest LPS coordinates of the voxels' centres."""
    ends = np.stack(np.meshgrid(*((0, n - 1) for n in grid.shape), indexing="ij"), -1)
    corners: NDArray[np.float64] = ends.reshape(-1, 3) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    smallest: NDArray[np.float64] = corners.min(axis=0)
    return smallest
