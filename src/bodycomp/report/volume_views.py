"""Views of a volume for pictures: an axial slice, a coronal projection, a sagittal slab."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.volume import Volume
from bodycomp.imaging.window import SOFT_TISSUE, Window
from bodycomp.report.sheet import Box, Sheet, pixels_of, view_of

MARGIN_MM = 15.0
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
        """Return rows of equal height, each of the slice that covers it, without interpolation."""
        edges = self.z_edges_mm
        finest_mm = max(float(np.diff(edges).min()), (edges[-1] - edges[0]) / 4000)
        count = max(round(float(edges[-1] - edges[0]) / finest_mm), len(self.hu))
        centers = edges[0] + (np.arange(count) + 0.5) * (edges[-1] - edges[0]) / count
        rows = np.clip(np.searchsorted(edges, centers) - 1, 0, len(self.hu) - 1)
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
    center = float(np.average(place, weights=body))
    width = 0.1 * columns
    weight = (bone + 1e-3) * np.exp(-0.5 * ((place - center) / width) ** 2)
    return round(float(np.average(place, weights=weight)))


def _z_edges_mm(volume: Volume) -> NDArray[np.float64]:
    z = volume.slice_z_mm
    if len(z) == 1:
        return np.array([z[0] - 0.5, z[0] + 0.5])
    middles = (z[:-1] + z[1:]) / 2
    first, last = z[0] - (middles[0] - z[0]), z[-1] + (z[-1] - middles[-1])
    return np.concatenate([[first], middles, [last]])


@dataclass(frozen=True, eq=False)
class SlicePicture:
    """A slice ready to be drawn.

    Attributes:
        gray: (row, column), soft tissue, patient's right on the left, front on top.
        frame_mm: Left, right, top and bottom of what is worth showing.
    """

    gray: NDArray[np.uint8]
    row_mm: float
    column_mm: float
    frame_mm: tuple[float, float, float, float]

    @classmethod
    def from_volume(
        cls, volume: Volume, index: int, mask: NDArray[np.uint8] | None = None
    ) -> SlicePicture:
        """Take one slice; the frame holds the body and every label of ``mask``, source grid."""
        turn = OrientationTransform.from_orientation(volume.orientation)
        hu = turn.apply(volume.hu[index])
        row_mm, column_mm = volume.pixel_spacing_mm
        if turn.transpose:
            row_mm, column_mm = column_mm, row_mm
        content = _largest_part(hu > BODY_HU)
        if mask is not None:
            content |= turn.apply(mask) > 0
        frame = _frame_mm(content, row_mm, column_mm)
        return cls(SOFT_TISSUE.to_gray(hu), row_mm, column_mm, frame)

    def draw(
        self, sheet: Sheet, box: Box, title: str, overlay: NDArray[np.uint8] | None = None
    ) -> None:
        """Draw it in true proportions, filling a box; ``overlay`` is RGBA in the same view."""
        rows, columns = self.gray.shape
        size_mm, pixels = (columns * self.column_mm, rows * self.row_mm), pixels_of(box)
        frame_mm = self._widened(pixels)
        picture = view_of(Image.fromarray(self.gray), size_mm, frame_mm, pixels).convert("RGB")
        if overlay is not None:
            over = view_of(Image.fromarray(overlay), size_mm, frame_mm, pixels, smooth=False)
            picture.paste(over, mask=over)
        sheet.paste(picture, box, title)
        top = box.bottom + 0.95 * box.height
        sheet.text((box.left + 0.015 * box.width, top), "R", size=8, color="white")
        sheet.text((box.left + 0.965 * box.width, top), "L", size=8, color="white")

    def _widened(self, pixels: tuple[int, int]) -> tuple[float, float, float, float]:
        """Return the frame in the proportions of a picture, so that a circle stays a circle."""
        left, right, top, bottom = self.frame_mm
        mm = max((right - left) / pixels[0], (bottom - top) / pixels[1]) / 2
        x, y = (left + right) / 2, (top + bottom) / 2
        across, down = mm * pixels[0], mm * pixels[1]
        return x - across, x + across, y - down, y + down


def _largest_part(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected part, which leaves the table out."""
    # Opening cuts the thin bridge where the back lies on the table.
    parts, count = ndimage.label(ndimage.binary_opening(body, iterations=3))
    if count == 0:
        return np.zeros_like(body)
    largest: NDArray[np.bool_] = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    return largest


def _frame_mm(
    content: NDArray[np.bool_], row_mm: float, column_mm: float
) -> tuple[float, float, float, float]:
    rows, columns = (np.flatnonzero(content.any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        return 0.0, content.shape[1] * column_mm, 0.0, content.shape[0] * row_mm
    return (
        float(columns[0] * column_mm - MARGIN_MM),
        float((columns[-1] + 1) * column_mm + MARGIN_MM),
        float(rows[0] * row_mm - MARGIN_MM),
        float((rows[-1] + 1) * row_mm + MARGIN_MM),
    )
