"""Coronal and sagittal views of a volume, to show where on the spine a level lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.volume import Volume
from bodycomp.imaging.window import Window

BODY_HU = -300.0
"""Above this a pixel belongs to the body or the table."""

BONE_HU = 180.0
SLAB_MM = 12.0
CORONAL_WINDOW = Window(250.0, 900.0)
"""For a maximum projection, in which bone covers all else."""

SAGITTAL_WINDOW = Window(90.0, 500.0)
"""For a slab through the spine, where discs and vertebral bodies must stay apart."""


@dataclass(frozen=True, eq=False)
class Reformat:
    """A view along the patient's z axis.

    Attributes:
        hu: (z, across), feet first, one row per slice.
        width_mm: Extent of a row.
        z_edges_mm: (slice + 1,), where one row ends and the next begins.
    """

    hu: NDArray[np.float32]
    width_mm: float
    z_edges_mm: NDArray[np.float64]

    def even_rows(self) -> NDArray[np.float32]:
        """Return the picture with rows of equal height, as pictures need it.

        Each row shows the slice that covers its place; nothing is interpolated.
        """
        edges = self.z_edges_mm
        finest_mm = max(float(np.diff(edges).min()), (edges[-1] - edges[0]) / 4000)
        count = max(round(float(edges[-1] - edges[0]) / finest_mm), len(self.hu))
        centres = edges[0] + (np.arange(count) + 0.5) * (edges[-1] - edges[0]) / count
        rows = np.clip(np.searchsorted(edges, centres) - 1, 0, len(self.hu) - 1)
        even: NDArray[np.float32] = self.hu[rows]
        return even


def coronal_and_sagittal(volume: Volume) -> tuple[Reformat, Reformat]:
    """Return a coronal maximum projection and a thin sagittal slab through the spine.

    Coronal has the patient's right on the left of the picture; sagittal has the front on the left.
    """
    turn = OrientationTransform.from_orientation(volume.orientation)
    row_mm, column_mm = volume.pixel_spacing_mm
    if turn.transpose:
        row_mm, column_mm = column_mm, row_mm
    middle = _spine_column(volume, turn)
    half = max(round(SLAB_MM / 2 / column_mm), 1)
    coronal, sagittal = [], []
    for image in volume.hu:  # one slice at a time: the volume may be large
        view = turn.apply(image)
        coronal.append(view.max(axis=0))
        slab = view[:, max(middle - half, 0) : middle + half]
        sagittal.append(np.maximum(slab, -1024).mean(axis=1))
    edges = _z_edges_mm(volume)
    rows, columns = turn.apply(volume.hu[0]).shape
    return (
        Reformat(np.array(coronal, dtype=np.float32), columns * column_mm, edges),
        Reformat(np.array(sagittal, dtype=np.float32), rows * row_mm, edges),
    )


def _spine_column(volume: Volume, turn: OrientationTransform) -> int:
    """Return the column with most bone near the body's middle, standard view."""
    columns = int(turn.apply(volume.hu[0]).shape[1])
    bone = np.zeros(columns)
    body = np.zeros(columns)
    for image in volume.hu[:: max(len(volume) // 60, 1)]:
        view = turn.apply(image)
        bone += (view > BONE_HU).sum(axis=0)
        body += (view > BODY_HU).sum(axis=0)
    if not body.any():
        return columns // 2
    place = np.arange(columns)
    centre = float(np.average(place, weights=body))
    width = 0.1 * columns
    weight = (bone + 1e-3) * np.exp(-0.5 * ((place - centre) / width) ** 2)
    return round(float(np.average(place, weights=weight)))


def _z_edges_mm(volume: Volume) -> NDArray[np.float64]:
    z = volume.slice_z_mm
    if len(z) == 1:
        return np.array([z[0] - 0.5, z[0] + 0.5])
    middles = (z[:-1] + z[1:]) / 2
    first, last = z[0] - (middles[0] - z[0]), z[-1] + (z[-1] - middles[-1])
    return np.concatenate([[first], middles, [last]])
