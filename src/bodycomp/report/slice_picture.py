"""One axial slice in the standard view, windowed for soft tissue, with or without its labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import ndimage

from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.volume import Volume
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.report.reformat import BODY_HU

MARGIN_MM = 15.0


@dataclass(frozen=True, eq=False)
class SlicePicture:
    """A slice ready to be drawn.

    Attributes:
        grey: (row, column), 0..1, patient's right on the left, front on top.
        row_mm, column_mm: Distance between rows and between columns.
        frame_mm: Left, right, top and bottom of what is worth showing.
    """

    grey: NDArray[np.float32]
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
        return cls(SOFT_TISSUE(hu), row_mm, column_mm, frame)

    def draw(self, axes: Axes, overlay: NDArray[np.uint8] | None = None) -> None:
        """Draw it in true proportions, filling the axes; ``overlay`` is RGBA in the same view."""
        rows, columns = self.grey.shape
        extent = (0.0, columns * self.column_mm, rows * self.row_mm, 0.0)
        axes.imshow(
            self.grey,
            cmap="gray",
            vmin=0,
            vmax=1,
            extent=extent,
            aspect="auto",
            interpolation="bilinear",
        )
        if overlay is not None:
            axes.imshow(overlay, extent=extent, aspect="auto", interpolation="nearest")
        self._fit(axes)
        for place, side in ((0.015, "R"), (0.965, "L")):
            axes.text(place, 0.95, side, transform=axes.transAxes, size=8, color="white")

    def _fit(self, axes: Axes) -> None:
        """Widen the frame to the shape of the axes, so that a circle stays a circle."""
        figure = axes.figure
        box = axes.get_position()
        across, up = figure.get_size_inches() * (box.width, box.height)  # type: ignore[union-attr]
        left, right, top, bottom = self.frame_mm
        mm_per_in = max((right - left) / across, (bottom - top) / up)
        x, y = (left + right) / 2, (top + bottom) / 2
        axes.set_xlim(x - mm_per_in * across / 2, x + mm_per_in * across / 2)
        axes.set_ylim(y + mm_per_in * up / 2, y - mm_per_in * up / 2)


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
