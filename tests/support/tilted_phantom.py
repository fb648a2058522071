"""A phantom as a tilted gantry sees it: slices that lean, stacked along the table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from bodycomp.imaging.volume import Volume


def tilted_orientation(degrees: float) -> tuple[float, float, float, float, float, float]:
    """Direction cosines of slices that are turned about the patient's left-right axis."""
    angle = np.radians(degrees)
    return (1.0, 0.0, 0.0, 0.0, float(np.cos(angle).round(6)), float(np.sin(angle).round(6)))


def tilted(
    volume: Volume, labels: NDArray[np.uint8], degrees: float, slices: int, feed_mm: float
) -> tuple[Volume, NDArray[np.uint8]]:
    """Sample an upright volume on tilted slices about its middle; beyond it is air.

    HU are interpolated, labels are those of the nearest voxel.
    """
    orientation = tilted_orientation(degrees)
    rows, columns = volume.slice_shape
    row_mm, _ = volume.pixel_spacing_mm
    x, y, z = volume.first_pixels_mm[0]
    down = np.array(orientation[3:])
    middle = np.array([x, y + rows / 2 * row_mm, volume.slice_z_mm.mean()])
    first = middle - down * rows / 2 * row_mm
    first_z = first[2] + feed_mm * (np.arange(slices) - (slices - 1) / 2)
    r, c = np.mgrid[:rows, :columns].astype(float)
    spacing_mm = float(np.diff(volume.slice_z_mm).mean())
    hu = np.full((slices, rows, columns), -1000, np.int16)
    found = np.zeros(hu.shape, np.uint8)
    for index, z_mm in enumerate(first_z):
        points = np.stack(
            [
                (z_mm + r * row_mm * down[2] - z) / spacing_mm,
                (first[1] + r * row_mm * down[1] - y) / row_mm,
                c,
            ]
        )
        hu[index] = map_coordinates(volume.hu, points, order=1, mode="constant", cval=-1000)
        found[index] = map_coordinates(labels, points, order=0, mode="constant", cval=0)
    leaning = Volume(
        hu,
        volume.pixel_spacing_mm,
        first_z,
        orientation,
        (x, first[1], first_z[0]),
        stack_direction=(0.0, 0.0, 1.0),
    )
    return leaning, found
