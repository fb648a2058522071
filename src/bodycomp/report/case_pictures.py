"""The pictures of one case, small enough that hundreds of cases fit into one page.

Slices are kept over a window wider than the one they are shown with, so that the reader can change
it; the command's measurements are never made on them. A slice with a mask keeps the pixels of the
scan, so that people can correct the mask in the page. WebP, because every browser of the last five
years shows it, and AVIF of the same error was no smaller and took three times as long to encode.
Masks are WebP without loss, a fifth smaller than PNG and three times as quick.
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

MASK_STEP: Final = 25
"""Grey of label 1 in the picture of a mask; label 2 has twice as much. Ten labels fit."""

EARLIER_MASK_STEP: Final = 80
"""In cases of earlier versions, which do not say it."""

MOST_LABELS: Final = 255 // MASK_STEP
"""A slice with a label above has no grid: its mask cannot be corrected on a page."""

LARGE, SMALL, VIEW = 384, 208, 320
"""Longest side in pixels of the chosen slice, of its neighbours, and of the views along z."""

LARGE_QUALITY, SMALL_QUALITY, VIEW_QUALITY = 76, 50, 60
_LOSSLESS: Final = {"lossless": True, "quality": 60}

SOURCE_QUALITIES: Final = (85, 60)
SOURCE_BYTES: Final = 32_000
"""Of slices with the scan's own pixels; the lower quality is for matrices of 1,024 and more."""

COMPRESSED_HU: Final = 7
"""By how much a pixel of such a slice is off at the first quality: root mean square over the body
in two scans of the abdomen, 140 kVp, soft kernel. Without loss it is 0.7, half of a gray's width
at most."""


class PixelGrid(TypedDict):
    """Where the pixels of a picture lie in their slice of the scan, and how large they are.

    A pixel is number ``origin`` + row x ``down`` + column x ``across`` of the slice, counted row by
    row from 0, whichever way the patient is turned.
    """

    origin: int
    down: int
    across: int
    row_mm: float
    column_mm: float


METHOD: Final = 2
"""Effort of WebP, 0 to 6. The default, 4, takes twice as long for files a twentieth smaller."""


class SliceImage(TypedDict):
    """One slice in the standard view, cut to the body.

    ``picture`` is WebP in base64, gray 0..255 over ``PICTURE_WINDOW``; ``mask``, and ``truth`` that
    a person annotated, are labels times ``MASK_STEP`` without loss. A slice with a mask has the
    scan's own pixels, their ``grid``, and the picture without loss as ``exact``. Cases of earlier
    versions lack ``pixel_mm``, the side of a pixel, and ``mask_step``.
    """

    index: int
    z_mm: float
    pixel_mm: NotRequired[float]
    picture: str
    exact: NotRequired[str]
    grid: NotRequired[PixelGrid]
    mask_step: NotRequired[int]
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
        spacing_mm: Between rows and between columns of the standard view.
    """

    turn: OrientationTransform
    rows: tuple[int, int]
    columns: tuple[int, int]
    size_mm: tuple[float, float]
    spacing_mm: tuple[float, float]

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
        return cls(turn, rows, columns, size_mm, (picture.row_mm, picture.column_mm))

    def cut(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return the part of a (row, column) image on the source grid."""
        return self.turn.apply(image)[slice(*self.rows), slice(*self.columns)]

    def size(self, side: int) -> tuple[int, int]:
        """Return rows and columns of a picture with square pixels and no side above ``side``."""
        step_mm = max(max(self.size_mm) / side, min(self.spacing_mm))
        height, width = (max(round(extent / step_mm), 1) for extent in self.size_mm)
        return height, width

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the part in pixels of the scan."""
        return self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]

    def grid(self, slice_shape: tuple[int, int]) -> PixelGrid:
        """Return where the part's pixels lie in slices of this shape on the source grid."""
        numbers = self.turn.apply(np.arange(slice_shape[0] * slice_shape[1]).reshape(slice_shape))
        (top, _), (left, _) = self.rows, self.columns
        origin, down, across = int(numbers[top, left]), 0, 0
        if len(numbers) > 1:
            down = int(numbers[1, 0] - numbers[0, 0])
        if numbers.shape[1] > 1:
            across = int(numbers[0, 1] - numbers[0, 0])
        row_mm, column_mm = self.spacing_mm
        return PixelGrid(
            origin=origin, down=down, across=across, row_mm=row_mm, column_mm=column_mm
        )


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
    size = framing.size(LARGE if large else SMALL) if mask is None else framing.shape
    gray = PICTURE_WINDOW.to_gray(resize_image(framing.cut(volume.hu[index]), size))
    own = (LARGE_QUALITY if large else SMALL_QUALITY,)
    image = SliceImage(
        index=index,
        z_mm=float(volume.slice_z_mm[index]),
        pixel_mm=round(framing.size_mm[0] / size[0], 4),
        mask_step=MASK_STEP,
        picture=_within(SOURCE_BYTES, gray, own if mask is None else SOURCE_QUALITIES),
    )
    if mask is not None:
        image["exact"] = _webp(gray, **_LOSSLESS)
        if mask.max() <= MOST_LABELS:
            image["grid"] = framing.grid(volume.slice_shape)
        image["mask"] = _mask(mask, framing, size)
    if truth is not None:
        image["truth"] = _mask(truth, framing, size)
    return image


def labels_in(gray: NDArray[np.uint8], image: SliceImage) -> NDArray[np.uint8]:
    """Return the labels of the grays of ``image``'s mask."""
    step = image.get("mask_step", EARLIER_MASK_STEP)
    return np.rint(gray / step).astype(np.uint8)


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
    return _webp(labels * np.uint8(MASK_STEP), **_LOSSLESS)


def _within(size: int, gray: NDArray[np.uint8], qualities: Sequence[int]) -> str:
    """Return a picture of the first quality whose picture is no larger, or else of the last."""
    for quality in qualities[:-1]:
        picture = _webp(gray, quality=quality)
        if len(picture) * 3 // 4 <= size:
            return picture
    return _webp(gray, quality=qualities[-1])


def _webp(gray: NDArray[np.uint8], **options: int) -> str:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(gray)).save(stream, "WEBP", method=METHOD, **options)
    return base64.b64encode(stream.getvalue()).decode("ascii")
