"""Attenuation (HU) of the trabecular bone of a lumbar vertebra.

The vertebral body is found by its shape, by no network. The region is the front of the largest disc
in it, away from its cortex; behind, the basivertebral vein enters the body.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bodycomp.analysis.aorta import (
    GRID_MM,
    SQUARE_MM,
    Mask,
    bone_of,
    depths_mm,
    offsets_mm,
    spine_window,
    vertebral_body,
)
from bodycomp.analysis.skin_line import grown
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.volume import Volume

LEVELS: Final = ("L1", "L2", "L3", "L4")
AROUND_MM: Final = 5.0
"""How far from the level slices are looked at, of which the more even half counts: bodies are
25 mm high, and an endplate or the vein's sinus crosses some slices."""
MOST_SLICES: Final = 5
ABOVE_MUSCLE_HU: Final = (40.0, 70.0, 105.0, 160.0, 230.0)
"""What counts as bone: cortex and most marrow. The first that shows a body decides; next to bowel
or vessels with contrast agent that is a higher one."""
FROM_CORTEX_MM: Final = 5.0
"""Cortex is 1 mm thick and, blurred by the scanner, 3 mm wide."""
BEHIND_SHARE: Final = 0.25
"""How far behind the disc's middle the region ends, in radii: the vein's sinus lies behind that."""
CORE_SHARE: Final = 0.75
"""What touches a body but holds no disc of this share of its largest is bowel, vessel, pedicle."""
LARGEST_CANAL_MM2: Final = 450.0
"""Larger holes in bone than the spinal canal are bodies whose marrow is as thin as muscle."""
LARGEST_RADIUS_MM: Final = 24.0
LEAST_MM2: Final = 120.0
CORTEX_MM: Final = 3.0
DENSER_CORTEX_HU: Final = 10.0
"""By how much a quarter of the outermost millimeters is denser than the region, however thin and
blurred the cortex; liver and bowel have none."""
UNEVEN_HU: Final = 35.0
"""Standard deviation of a smoothed region from which on it holds more than trabecular bone."""


@dataclass(frozen=True, slots=True, eq=False)
class TrabecularRegion:
    """A region on a slice in the standard view.

    Attributes:
        mask: (row, column).
        mean_hu: Mean of its pixels.
        uneven_hu: Standard deviation of the smoothed slice within.
        slice_index: The slice of a volume.
    """

    mask: Mask
    mean_hu: float
    uneven_hu: float
    slice_index: int = 0


def trabecular_hu(
    volume: Volume, z_mm: float, trunk: Mask, muscle_hu: float
) -> tuple[float | None, str]:
    """Return the mean HU of trabecular bone about a level, or None with the reason.

    At most five slices within 5 mm of ``z_mm`` are looked at; the mean is that of the more even
    half of the regions there. ``trunk`` (row, column) is that of the level's slice.
    """
    regions = regions_about(volume, z_mm, trunk, muscle_hu)
    if not regions:
        return None, "no vertebral body with even bone inside is seen"
    return float(np.mean([region.mean_hu for region in regions])), ""


def regions_about(
    volume: Volume, z_mm: float, trunk: Mask, muscle_hu: float
) -> Sequence[TrabecularRegion]:
    """Return the regions that count, the most even first; see ``trabecular_hu``."""
    found = sorted(_regions(volume, z_mm, trunk, muscle_hu), key=lambda each: each.uneven_hu)
    return found[: (len(found) + 1) // 2]


def _regions(
    volume: Volume, z_mm: float, trunk: Mask, muscle_hu: float
) -> Iterator[TrabecularRegion]:
    turn = OrientationTransform.from_orientation(volume.orientation)
    row_mm, column_mm = volume.pixel_spacing_mm
    spacing_mm = (column_mm, row_mm) if turn.transpose else (row_mm, column_mm)
    near = np.flatnonzero(np.abs(volume.slice_z_mm - z_mm) < AROUND_MM + 0.01)
    places = np.linspace(0, near.size - 1, MOST_SLICES).round().astype(int)
    for index in near[np.unique(places)] if near.size else ():
        hu = turn.apply(volume.hu[index])
        region = trabecular_region(hu, turn.apply(trunk), spacing_mm, muscle_hu)
        if region is not None:
            yield replace(region, slice_index=int(index))


def trabecular_region(
    hu: NDArray[Any], trunk: Mask, pixel_spacing_mm: tuple[float, float], muscle_hu: float
) -> TrabecularRegion | None:
    """Return the region on an axial slice through a vertebral body; None where none is seen.

    ``hu`` (row, column) and ``trunk`` are in the standard view, front on top and left on the right.
    """
    window = spine_window(hu, trunk, pixel_spacing_mm)
    if window is None:
        return None
    grid, first_px = window
    found = (_inside_body(grid, muscle_hu, muscle_hu + more) for more in ABOVE_MUSCLE_HU)
    inside = next((each for each in found if each is not None), None)
    if inside is None:
        return None
    step_px = np.array(pixel_spacing_mm) / GRID_MM
    share = inside.astype(np.float32)
    mask = ndimage.affine_transform(share, step_px, -first_px * step_px, hu.shape, order=1) > 0.5
    return TrabecularRegion(mask, float(hu[mask].mean()), float(grid[inside].std()))


def _inside_body(grid: NDArray[np.float32], muscle_hu: float, above_hu: float) -> Mask | None:
    depth_mm = depths_mm(bone_of(grid, muscle_hu, above_hu, LARGEST_CANAL_MM2))
    body = vertebral_body(grid, depth_mm)
    if body is None or body.radius_mm > LARGEST_RADIUS_MM:
        return None
    cores, _ = ndimage.label(depth_mm > CORE_SHARE * body.radius_mm)
    core = cores == cores[body.row, body.column]
    whole = grown(core, CORE_SHARE * body.radius_mm, SQUARE_MM)
    rows, columns = offsets_mm(grid.shape, (body.row, body.column), SQUARE_MM)
    depth_mm = depths_mm(whole)
    inside: Mask = (depth_mm > FROM_CORTEX_MM) & (rows <= BEHIND_SHARE * body.radius_mm)
    inside &= np.abs(columns) <= body.radius_mm
    if inside.sum() * GRID_MM**2 < LEAST_MM2 or float(grid[inside].std()) > UNEVEN_HU:
        return None
    cortex = grid[(depth_mm > 0) & (depth_mm <= CORTEX_MM)]
    is_bone = np.percentile(cortex, 75) >= grid[inside].mean() + DENSER_CORTEX_HU
    return inside if is_bone else None
