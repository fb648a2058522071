"""Two frames that differ, in words: both of them, and what tells them apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import SeriesError
from bodycomp.imaging.grid import RAS_TO_LPS, Grid
from bodycomp.imaging.volume import Volume


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
