"""Pages of pictures, words and curves, drawn by Pillow.

Most of such a page is images. Matplotlib takes ten times as long for it, and half a second to load.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from bodycomp.report.canvas import DPI, FAINT, INK, QUIET
from bodycomp.storage import atomic_file

COMPRESSION: Final = 3
"""Of PNG. The default, 6, takes more than twice as long, for files no smaller."""

TITLE_GAP_IN: Final = 0.055
_FINER: Final = 4
"""Curves are drawn on pixels so much finer and averaged, which smooths their edges."""
_PX: Final = DPI / 72
"""Pixels of a point."""
_DASHES_PT: Final = {"-": (), "--": (3.7, 1.6), ":": (1.0, 1.65)}
"""On and off, for a line of one point."""


class Box(NamedTuple):
    """A place on a sheet in inches, from its lower left corner."""

    left: float
    bottom: float
    width: float
    height: float


@lru_cache(maxsize=32)
def _font(size_pt: float, *, bold: bool) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which matplotlib brings along; it is not loaded for that."""
    found = importlib.util.find_spec("matplotlib")
    places = list(found.submodule_search_locations or ()) if found else []
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(places[0]) / "mpl-data" / "fonts" / "ttf" / name if places else Path(name)
    return ImageFont.truetype(str(path), size_pt * _PX)


class Sheet:
    """A white page; places are in inches from its lower left corner, sizes in points."""

    def __init__(self, width_in: float, height_in: float) -> None:
        self._height_in = height_in
        self._image = Image.new("RGB", (round(width_in * DPI), round(height_in * DPI)), "white")
        self._draw = ImageDraw.Draw(self._image)

    def save(self, path: Path) -> None:
        """Write it as a PNG that appears whole or not at all."""
        with atomic_file(path) as temporary:
            self._image.save(temporary, "PNG", compress_level=COMPRESSION, dpi=(DPI, DPI))

    def pixel(self, x_in: float, y_in: float) -> tuple[float, float]:
        """Return column and row of a place."""
        return x_in * DPI, (self._height_in - y_in) * DPI

    def text(
        self,
        place_in: tuple[float, float],
        words: str,
        *,
        size: float = 8.5,
        color: str = INK,
        bold: bool = False,
        anchor: str = "ls",
    ) -> None:
        """Write words; ``anchor`` is as Pillow's: left, middle or right; ascender or baseline."""
        place, font = self.pixel(*place_in), _font(size, bold=bold)
        if "\n" in words:
            align = {"l": "left", "m": "center", "r": "right"}[anchor[0]]
            options = {"anchor": anchor[0] + "a", "align": align, "spacing": 0.45 * size * _PX}
            self._draw.multiline_text(place, words, color, font, **options)  # type: ignore[arg-type]
        else:
            self._draw.text(place, words, color, font, anchor=anchor)

    def text_upwards(self, x_in: float, y_in: float, words: str, *, size: float) -> None:
        """Write grey words from bottom to top, with the middle of their right edge at a place."""
        font = _font(size, bold=False)
        left, top, right, bottom = (round(edge) for edge in font.getbbox(words))
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).text((-left, -top), words, 255, font)
        turned = mask.transpose(Image.Transpose.ROTATE_90)
        x, y = self.pixel(x_in, y_in)
        self._image.paste(QUIET, (round(x) - turned.width, round(y - turned.height / 2)), turned)

    def rectangle(self, box: Box, color: str) -> None:
        """Fill a rectangle."""
        self._draw.rectangle(
            (*self.pixel(box[0], box[1] + box[3]), *self.pixel(box[0] + box[2], box[1])), color
        )

    def rule(
        self, x_in: tuple[float, float], y_in: float, color: str, size: float, dash: str = "-"
    ) -> None:
        """Draw a horizontal line of that many points."""
        (left, row), (right, _) = (self.pixel(x, y_in) for x in x_in)
        high = max(round(size * _PX), 1)
        top = round(row - high / 2)
        on, off = (each * size * _PX for each in _DASHES_PT[dash] or (np.inf, 0.0))
        while left < right:
            end = min(left + on, right)
            self._draw.rectangle(
                (round(left), top, max(round(end), round(left) + 1) - 1, top + high - 1), color
            )
            left = end + off

    def paste(self, image: Image.Image, box: Box, title: str = "") -> None:
        """Put an image, made for it, at the upper left of a box, and a title above."""
        x, y = self.pixel(box.left, box.bottom + box.height)
        self._image.paste(image, (round(x), round(y)))
        if title:
            self.text((box.left, box.bottom + box.height + TITLE_GAP_IN), title, size=9)


def pixels_of(box: Box) -> tuple[int, int]:
    """Return columns and rows of an image that fills a box."""
    return round(box.width * DPI), round(box.height * DPI)


def view_of(
    image: Image.Image,
    size_mm: tuple[float, float],
    frame_mm: tuple[float, float, float, float],
    pixels: tuple[int, int],
    *,
    smooth: bool = True,
) -> Image.Image:
    """Return the part of an image that a frame shows; black, or transparent, beyond its edges.

    Args:
        image: Of any mode.
        size_mm: Its width and height.
        frame_mm: Left, right, top and bottom, from the image's upper left corner.
        pixels: Columns and rows to be returned, in the frame's proportions.
        smooth: Interpolate; labels are taken from the nearest pixel instead.
    """
    left, right, top, _ = frame_mm
    scale = pixels[0] / (right - left)
    whole = (max(round(size_mm[0] * scale), 1), max(round(size_mm[1] * scale), 1))
    kind = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    x, y = round(left * scale), round(top * scale)
    return image.resize(whole, kind).crop((x, y, x + pixels[0], y + pixels[1]))


class Plot:
    """Curves in a box of a sheet, drawn by ``close``; x and y are linear, y points up."""

    def __init__(
        self, sheet: Sheet, box: Box, x_limits: tuple[float, float], y_limits: tuple[float, float]
    ) -> None:
        self._sheet, self._box = sheet, box
        self._limits = (x_limits, y_limits)
        columns, rows = pixels_of(box)
        self._image = Image.new("RGB", (_FINER * columns, _FINER * rows), "white")
        self._draw = ImageDraw.Draw(self._image)
        self._legend: list[tuple[str, str, str, float]] = []

    def line(
        self, x: ArrayLike, y: ArrayLike, color: str, size: float, dash: str = "-", label: str = ""
    ) -> None:
        """Draw a line of that many points through places."""
        places, width = self._places(x, y), max(round(size * _PX * _FINER), 1)
        for part in _dashed(places, [each * width for each in _DASHES_PT[dash]]):
            self._draw.line([tuple(place) for place in part.tolist()], color, width, "curve")
        self._noted(label, color, dash, size)

    def dots(
        self, x: ArrayLike, y: ArrayLike, color: str, size: float, ring: float = 0, label: str = ""
    ) -> None:
        """Draw dots of that diameter, or rings of that line."""
        radius, line = size * _PX * _FINER / 2, round(ring * _PX * _FINER)
        for column, row in self._places(x, y).tolist():
            edge = (column - radius, row - radius, column + radius, row + radius)
            self._draw.ellipse(edge, None if ring else color, color, max(line, 1))
        self._noted(label, color, "o" if ring else ".", size)

    def close(self, title: str, x_label: str, y_label: str) -> None:
        """Put the plot on the sheet, with its axes and its legend."""
        sheet, box = self._sheet, self._box
        sheet.paste(self._image.reduce(_FINER), box, title)
        right = box.left + box.width
        sheet.rectangle(Box(box.left, box.bottom, 0, box.height), FAINT)
        sheet.rectangle(Box(box.left, box.bottom, box.width, 0), FAINT)
        mark = 3 / 72
        for value in _ticks(self._limits[0], box.width):
            x = box.left + box.width * float(_share(value, self._limits[0]))
            sheet.rectangle(Box(x, box.bottom - mark, 0, mark), QUIET)
            sheet.text((x, box.bottom - 0.19), _number(value), size=8, color=QUIET, anchor="ms")
        for value in _ticks(self._limits[1], box.height):
            y = box.bottom + box.height * float(_share(value, self._limits[1]))
            sheet.rectangle(Box(box.left - mark, y, mark, 0), QUIET)
            place = (box.left - 0.09, y - 0.04)
            sheet.text(place, _number(value), size=8, color=QUIET, anchor="rs")
        middle, center = box.left + box.width / 2, box.bottom + box.height / 2
        sheet.text((middle, box.bottom - 0.37), x_label, size=8, color=QUIET, anchor="ms")
        sheet.text_upwards(box.left - 0.37, center, y_label, size=8)
        for number, (label, color, how, size) in enumerate(reversed(self._legend)):
            y = box.bottom + 0.15 + 0.157 * number
            self._key(Box(right - 1.18, y, 0.2, 0), color, how, size)
            sheet.text((right - 0.9, y - 0.03), label, size=7, color=QUIET)

    def _noted(self, label: str, color: str, how: str, size: float) -> None:
        if label:
            self._legend.append((label, color, how, size))

    def _key(self, place: Box, color: str, how: str, size: float) -> None:
        left, bottom, width, _ = place
        if how in _DASHES_PT:
            self._sheet.rule((left, left + width), bottom, color, size, how)
            return
        own = Plot(self._sheet, Box(left, bottom - 0.08, width, 0.16), (0, 2), (0, 2))
        own.dots([1], [1], color, size, 1.0 if how == "o" else 0)
        self._sheet.paste(own._image.reduce(_FINER), own._box)

    def _places(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Return (place, 2) columns and rows of the finer pixels."""
        across, up = (
            _share(np.atleast_1d(np.asarray(each, np.float64)), limits)
            for each, limits in zip((x, y), self._limits, strict=True)
        )
        places: NDArray[np.float64] = np.stack([across, 1 - up], 1) * self._image.size
        return places


def _share(value: ArrayLike, limits: tuple[float, float]) -> NDArray[np.float64]:
    share: NDArray[np.float64] = (np.asarray(value) - limits[0]) / (limits[1] - limits[0])
    return share


def _dashed(places: NDArray[np.float64], dash: Sequence[float]) -> list[NDArray[np.float64]]:
    """Return the parts of a line that are drawn, given how much is drawn and left out in turns."""
    if not dash:
        return [places]
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(places, axis=0).T))])
    parts = []
    for start in np.arange(0.0, along[-1], sum(dash)):
        end = min(start + dash[0], along[-1])
        inside = places[(along > start) & (along < end)]
        first, last = (
            [np.interp(each, along, column) for column in places.T] for each in (start, end)
        )
        parts.append(np.concatenate([[first], inside, [last]]))
    return parts


def _ticks(limits: tuple[float, float], length_in: float) -> list[float]:
    """Return round numbers in a range, about half an inch apart and at least three."""
    rough = (limits[1] - limits[0]) / max(2.6 * length_in, 3)
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(each for each in (1, 2, 5, 10) if each * power >= rough)
    first = np.ceil(limits[0] / step) * step
    return [float(value) for value in np.arange(first, limits[1] + 1e-9 * step, step)]


def _number(value: float) -> str:
    return f"{value + 0.0:g}".replace("-", "\N{MINUS SIGN}")
