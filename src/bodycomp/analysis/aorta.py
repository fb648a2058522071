"""Attenuation (HU) of the aorta on one slice, found by its shape before the spine, by no network.

The vertebral body is the largest disc of bone near the middle of the back; the aorta is the round,
even region in front of it, on its left or in the middle, that is denser than muscle. Where blood
is no denser than muscle, as without contrast agent, nothing stands out and nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bodycomp.analysis.skin_line import closed, grown
from bodycomp.anatomy import VERTEBRAE

GRID_MM: Final = 1.25
SQUARE_MM: Final = (GRID_MM, GRID_MM)
_SMOOTHING_MM: Final = 1.2
_BONE_HU: Final = 150.0
_MARROW_ABOVE_MUSCLE_HU: Final = 8.0
_GAPS_IN_BONE_MM: Final = 5.0
_SMALLEST_BODY_MM: Final = 11.0
"""Half depth; aortas that are as dense as bone are thinner."""
_FARTHEST_BODY_MM: Final = 30.0
"""From the middle of the trunk, towards either side."""

Mask = NDArray[np.bool_]
Millimeters = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Disc:
    """A disc on the grid of the search: row and column of its middle, and its radius."""

    row: int
    column: int
    radius_mm: float


def resampled(
    hu: NDArray[Any],
    first_px: NDArray[np.float64],
    size: NDArray[np.int_],
    spacing_mm: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return a smoothed part of a slice on square pixels of 1.25 mm; air where it has none."""
    step_px = GRID_MM / spacing_mm
    margin = 8
    low = np.clip(np.floor(first_px).astype(int) - margin, 0, None)
    high = np.ceil(first_px + size * step_px).astype(int) + margin
    part = hu[low[0] : high[0], low[1] : high[1]].astype(np.float32)
    smooth = ndimage.gaussian_filter(part, _SMOOTHING_MM / spacing_mm, truncate=3.0)
    grid: NDArray[np.float32] = ndimage.affine_transform(
        smooth, step_px, first_px - low, tuple(size), order=1, cval=-1000.0
    )
    return grid


def spine_window(
    hu: NDArray[Any], trunk: Mask, pixel_spacing_mm: tuple[float, float]
) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
    """Return the part of a slice where the spine is, resampled, and the pixel of its first one.

    None without a trunk.
    """
    rows = np.flatnonzero(trunk.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(trunk.any(axis=0))
    spacing_mm = np.array(pixel_spacing_mm)
    middle, half_px = (columns[0] + columns[-1]) / 2, _HALF_WIDTH_MM / spacing_mm[1]
    # The spine lies in the rear three fifths of the trunk, the aorta not far ahead of it.
    first_px = np.array([rows[0] + (rows[-1] - rows[0]) / 4, middle - half_px])
    last_px = np.array([rows[-1], middle + half_px])
    size = np.ceil((last_px - first_px) * spacing_mm / GRID_MM).astype(int) + 1
    return resampled(hu, first_px, size, spacing_mm), first_px


def bone_of(
    grid: NDArray[np.float32],
    muscle_hu: float,
    above_hu: float = _BONE_HU,
    largest_canal_mm2: float = np.inf,
) -> Mask:
    """Return bone with the marrow that it encloses, but neither canal nor muscle between ribs.

    Marrow is denser than muscle, or fills more than the largest canal would.
    """
    bone = closed(grid > above_hu, _GAPS_IN_BONE_MM / 2, SQUARE_MM)
    holes, count = ndimage.label(ndimage.binary_fill_holes(bone) & ~bone)
    if count:
        density = ndimage.mean(grid, holes, np.arange(1, count + 1))
        large = np.bincount(holes.ravel())[1:] * GRID_MM**2 > largest_canal_mm2
        marrow = np.flatnonzero((density > muscle_hu + _MARROW_ABOVE_MUSCLE_HU) | large) + 1
        bone |= np.isin(holes, marrow)
    return bone


def vertebral_body(grid: NDArray[np.float32], depth_mm: Millimeters) -> Disc | None:
    """Return the largest disc that fits into bone, rather behind than ahead."""
    rows, columns = offsets_mm(grid.shape, (len(grid), (grid.shape[1] - 1) / 2), SQUARE_MM)
    candidate = (np.abs(columns) <= _FARTHEST_BODY_MM) & (depth_mm >= _SMALLEST_BODY_MM)
    # Rows are negative: the farther ahead of the back, the larger a disc must be.
    rank = np.where(candidate, depth_mm + 0.2 * rows, -np.inf)
    row, column = np.unravel_index(int(np.argmax(rank)), rank.shape)
    if not candidate[row, column]:
        return None
    return Disc(int(row), int(column), float(depth_mm[row, column]))


def depths_mm(mask: Mask) -> Millimeters:
    """Return how deep each pixel of the grid lies inside a mask."""
    depth: Millimeters = ndimage.distance_transform_edt(mask, sampling=GRID_MM)
    return depth


def offsets_mm(
    shape: tuple[int, ...], center_px: Any, spacing_mm: Any
) -> tuple[Millimeters, Millimeters]:
    """Return (row, 1) and (1, column) distances from a point; towards back and left > 0."""
    rows, columns = (
        (np.arange(count) - middle) * mm
        for count, middle, mm in zip(shape, center_px, spacing_mm, strict=True)
    )
    return rows[:, None], columns[None, :]


DIAMETER_MM: Final = (12.0, 30.0)
"""Inner diameters of abdominal aortas that are neither narrowed nor aneurysms; 30 mm is where an
aneurysm begins (Johnston et al., J Vasc Surg 13:452, 1991)."""

DENSER_THAN_MUSCLE_HU: Final = 20.0
FARTHEST_FROM_BONE_MM: Final = 8.0
"""The aorta lies on the spine; bowel with oral contrast agent lies farther ahead."""
FARTHEST_RIGHT_MM: Final = 8.0
"""Of the vertebra's middle; farther to the right lies the vena cava."""
FARTHEST_LEFT_MM: Final = {"chest": 30.0, "loin": 16.0}
"""In the chest the aorta runs beside the spine, from L1 on before it and beside bowel."""

_HALF_WIDTH_MM: Final = 60.0
_LEAST_AHEAD_MM: Final = 5.0
_RAYS: Final = 24
_STEP_MM: Final = 0.5
_ROUND_SHARE: Final = 0.6
_INNER_SHARE: Final = 0.7
_WALL_HU: Final = 200.0
_WALLED_SHARE: Final = 0.6
_UNEVEN_HU: Final = 25.0
_UNEVEN_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Vessel:
    """A round vessel on a slice: median HU to 0.7 of its radius, and the median radius."""

    hu: float
    center_px: tuple[float, float]
    radius_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class _Surroundings:
    """The grid of the search, the vertebral body on it, and how far left an aorta may be."""

    grid: NDArray[np.float32]
    body: Disc
    depth_in_bone_mm: Millimeters
    muscle_hu: float
    left_mm: float


def find_aorta(
    hu: NDArray[Any],
    trunk: Mask,
    pixel_spacing_mm: tuple[float, float],
    muscle_hu: float,
    level: str,
) -> tuple[Vessel | None, str]:
    """Return the aorta of an axial slice, or None with the reason.

    ``hu`` (row, column) and ``trunk`` are in the standard view, front on top and left on the right.
    At a level that is no vertebra the loin's narrower search is made.
    """
    window = spine_window(hu, trunk, pixel_spacing_mm)
    if window is None:
        return None, "no body is seen"
    grid, first_px = window
    depth_in_bone_mm = depths_mm(bone_of(grid, muscle_hu))
    body = vertebral_body(grid, depth_in_bone_mm)
    if body is None:
        return None, "no vertebral body is seen"
    region = "chest" if level in VERTEBRAE[: VERTEBRAE.index("L1")] else "loin"
    around = _Surroundings(grid, body, depth_in_bone_mm, muscle_hu, FARTHEST_LEFT_MM[region])
    found = _round_region_before(around)
    if found is None:
        return None, "no round vessel in front of the spine is denser than muscle"
    row, column = first_px + np.array([found.row, found.column]) * GRID_MM / pixel_spacing_mm
    density = _median_hu(hu, (row, column), _INNER_SHARE * found.radius_mm, pixel_spacing_mm)
    return Vessel(density, (float(row), float(column)), found.radius_mm), ""


def _median_hu(
    hu: NDArray[Any],
    center_px: tuple[float, float],
    radius_mm: float,
    spacing_mm: tuple[float, float],
) -> float:
    """Return the median of a disc."""
    rows, columns = offsets_mm(hu.shape, center_px, spacing_mm)
    near = np.ix_(np.abs(rows[:, 0]) <= radius_mm, np.abs(columns[0]) <= radius_mm)
    inside = np.hypot(rows[near[0][:, 0]], columns[:, near[1][0]]) <= radius_mm
    return float(np.median(hu[near][inside]))


def _round_region_before(around: _Surroundings) -> Disc | None:
    """Return the round region nearest to the front of the vertebral body, if there is one."""
    grid, body = around.grid, around.body
    # An artery that touches the body is no part of it: no disc of this size fits into the joint.
    core_mm = 0.75 * body.radius_mm
    cores, _ = ndimage.label(around.depth_in_bone_mm > core_mm)
    bone = grown(cores == cores[body.row, body.column], core_mm + 1.0, SQUARE_MM)
    depth_mm = depths_mm((grid > around.muscle_hu + DENSER_THAN_MUSCLE_HU) & ~bone)
    low, high = (diameter / 2 for diameter in DIAMETER_MM)
    window = 2 * round(low / GRID_MM / 2) + 1
    peaks = (depth_mm == ndimage.maximum_filter(depth_mm, window)) & (depth_mm > low / 2)
    rows, columns = offsets_mm(grid.shape, (body.row, body.column), SQUARE_MM)
    peaks &= (rows < -_LEAST_AHEAD_MM) & (columns >= -FARTHEST_RIGHT_MM)
    peaks &= columns <= around.left_mm
    from_bone_mm = depths_mm(~bone)
    found: list[tuple[float, Disc]] = []
    for row, column in np.argwhere(peaks).tolist():
        radius_mm = _radius_mm(grid, row, column, around.muscle_hu)
        if radius_mm is None or not low <= radius_mm <= high:
            continue
        gap_mm = float(from_bone_mm[row, column]) - radius_mm
        if gap_mm <= FARTHEST_FROM_BONE_MM:
            found.append((gap_mm, Disc(row, column, radius_mm)))
    return min(found, key=lambda item: item[0])[1] if found else None


def _radius_mm(grid: NDArray[np.float32], row: int, column: int, muscle_hu: float) -> float | None:
    """Return where most rays from a point meet an edge, None unless round and even inside."""
    near_mm = np.hypot(*offsets_mm(grid.shape, (row, column), SQUARE_MM))
    inside = float(np.median(grid[near_mm <= DIAMETER_MM[0] / 3]))
    steps_mm = np.arange(_STEP_MM, DIAMETER_MM[1] * 0.75, _STEP_MM)
    angles = np.linspace(0.0, 2 * np.pi, _RAYS, endpoint=False)
    along = [
        row + np.outer(np.sin(angles), steps_mm) / GRID_MM,
        column + np.outer(np.cos(angles), steps_mm) / GRID_MM,
    ]
    rays = ndimage.map_coordinates(grid, along, order=1, mode="nearest")
    # Fat, muscle and other vessels are less dense; plaque, bone and bowel may be denser.
    step_hu = min(max(20.0, 0.2 * inside), (inside - muscle_hu) / 2)
    edge = np.abs(rays - inside) > step_hu
    reach_mm = np.where(edge.any(axis=1), steps_mm[edge.argmax(axis=1)], np.inf)
    radius_mm = float(np.median(reach_mm))
    if not np.isfinite(radius_mm):
        return None
    alike = np.abs(reach_mm - radius_mm) <= max(0.25 * radius_mm, 1.5)
    low, middle, high = np.percentile(grid[near_mm <= _INNER_SHARE * radius_mm], (10, 50, 90))
    even = high - low <= max(_UNEVEN_HU, _UNEVEN_SHARE * middle)
    # A vertebra is round, too, but has bone all around.
    wall = rays[:, steps_mm <= 1.4 * radius_mm] > max(_WALL_HU, inside + step_hu)
    walled = wall.any(axis=1).mean() > _WALLED_SHARE
    return radius_mm if alike.mean() >= _ROUND_SHARE and even and not walled else None
