"""The pictures of one case, small enough that hundreds of cases fit into one page.

Slices are kept over a window wider than the one they are shown with, so that the reader can change
it; measurements are never made on them. WebP, because every browser of the last five years shows
it, and AVIF of the same error was no smaller and took three times as long to encode. Masks are
WebP without loss, a fifth smaller than PNG and three times as quick.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NotRequired, Self, TypedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.resize import resize_gray, resize_image, resize_labels
from bodycomp.imaging.volume import Volume
from bodycomp.imaging.window import Window
from bodycomp.report.volume_views import CORONAL_WINDOW, SAGITTAL_WINDOW, Reformat, SlicePicture

PICTURE_WINDOW: Final = Window(50.0, 600.0)
"""What slices are kept over: muscle, fat and contrast-filled vessels, not the inside of bones."""

MASK_STEP: Final = 80
"""Grey of label 1 in the picture of a mask; label 2 has twice as much. Three labels fit."""

LARGE, SMALL, VIEW = 384, 208, 320
"""Longest side in pixels of the chosen slice, of its neighbours, and of the views along z."""

LARGE_QUALITY, SMALL_QUALITY, VIEW_QUALITY = 76, 50, 60

METHOD: Final = 2
"""Effort of WebP, 0 to 6. The default, 4, takes twice as long for files a twentieth smaller."""


class SliceImage(TypedDict):
    """One slice in the standard view, cut to the body.

    ``picture`` is WebP in base64, gray 0..255 over ``PICTURE_WINDOW``; ``mask``, and ``truth`` that
    a person annotated, are labels times ``MASK_STEP`` without loss. Cases of earlier versions lack
    ``pixel_mm``, the side of a pixel.
    """

    index: int
    z_mm: float
    pixel_mm: NotRequired[float]
    picture: str
    mask: NotRequired[str]
    truth: NotRequired[str]


class ViewImage(TypedDict):
    """A view along z, head up: WebP in base64, its extent across, and z of its edges."""

    picture: str
    width_mm: float
    low_mm: float
    high_mm: float


@dataclass(frozen=True, slots=True)
class Framing:
    """The part of every slice that is shown, in pixels of the standard view.

    Attributes:
        rows, columns: First and one past the last.
        size_mm: Height and width of the part.
        pixel_mm: The finer of both pixel spacings.
    """

    turn: OrientationTransform
    rows: tuple[int, int]
    columns: tuple[int, int]
    size_mm: tuple[float, float]
    pixel_mm: float

    @classmethod
    def around_body(cls, volume: Volume, index: int, mask: NDArray[np.uint8] | None) -> Self:
        """Frame the body, and every label, on one slice."""
        picture = SlicePicture.from_volume(volume, index, mask)
        left, right, top, bottom = picture.frame_mm
        height, width = picture.gray.shape
        rows = _inside(top / picture.row_mm, bottom / picture.row_mm, height)
        columns = _inside(left / picture.column_mm, right / picture.column_mm, width)
        size_mm = (
            (rows[1] - rows[0]) * picture.row_mm,
            (columns[1] - columns[0]) * picture.column_mm,
        )
        turn = OrientationTransform.from_orientation(volume.orientation)
        return cls(turn, rows, columns, size_mm, min(picture.row_mm, picture.column_mm))

    def cut(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return the part of a (row, column) image on the source grid."""
        return self.turn.apply(image)[slice(*self.rows), slice(*self.columns)]

    def size(self, side: int) -> tuple[int, int]:
        """Return rows and columns of a picture with square pixels and no side above ``side``."""
        step_mm = max(max(self.size_mm) / side, self.pixel_mm)
        height, width = (max(round(extent / step_mm), 1) for extent in self.size_mm)
        return height, width


def slice_image(
    volume: Volume,
    index: int,
    framing: Framing,
    mask: NDArray[np.uint8] | None,
    truth: NDArray[np.uint8] | None,
    *,
    large: bool,
) -> SliceImage:
    """Return one slice with the (row, column) labels that there are of it, on the source grid."""
    size = framing.size(LARGE if large else SMALL)
    gray = PICTURE_WINDOW.to_gray(resize_image(framing.cut(volume.hu[index]), size))
    image = SliceImage(
        index=index,
        z_mm=float(volume.slice_z_mm[index]),
        pixel_mm=round(framing.size_mm[0] / size[0], 4),
        picture=_webp(gray, quality=LARGE_QUALITY if large else SMALL_QUALITY),
    )
    if mask is not None:
        image["mask"] = _mask(mask, framing, size)
    if truth is not None:
        image["truth"] = _mask(truth, framing, size)
    return image


def view_images(views: Sequence[Reformat]) -> tuple[ViewImage, ViewImage]:
    """Return coronal and sagittal view as pictures with square pixels."""
    coronal, sagittal = views
    return _view(coronal, CORONAL_WINDOW), _view(sagittal, SAGITTAL_WINDOW)


def _view(view: Reformat, window: Window) -> ViewImage:
    low, high = float(view.z_edges_mm[0]), float(view.z_edges_mm[-1])
    gray = window.to_gray(view.even_rows()[::-1])
    step_mm = max(high - low, view.width_mm) / VIEW
    size = (max(round((high - low) / step_mm), 1), max(round(view.width_mm / step_mm), 1))
    picture = _webp(resize_gray(gray, size), quality=VIEW_QUALITY)
    return ViewImage(picture=picture, width_mm=view.width_mm, low_mm=low, high_mm=high)


def _inside(low: float, high: float, count: int) -> tuple[int, int]:
    first = min(max(int(low), 0), count - 1)
    return first, max(min(int(np.ceil(high)), count), first + 1)


def _mask(mask: NDArray[np.uint8], framing: Framing, size: tuple[int, int]) -> str:
    labels = resize_labels(framing.cut(mask).astype(np.uint8), size)
    return _webp(labels * np.uint8(MASK_STEP), lossless=True, quality=60)


def _webp(gray: NDArray[np.uint8], **options: int) -> str:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(gray)).save(stream, "WEBP", method=METHOD, **options)
    return base64.b64encode(stream.getvalue()).decode("ascii")
