"""One slice in the making: HU and labels on the scanner's grid, painted shape over shape.

Positions are in the patient's body frame in mm: x to the left, y to the back. A shape covers a
pixel by ``clip(0.5 - distance / softness)``, so edges carry the in-plane partial volume; the
softness also holds the sharpness of the kernel and, for shapes that change along z, the slice
thickness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodycomp.phantom.shapes import Floats, angle_index

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Ink:
    """What a shape is filled with.

    Attributes:
        hu: Attenuation.
        label: Value in the label mask; 0 for all that is not a measured tissue.
        grain_hu: Amplitude of the fine texture.
    """

    hu: float
    label: int = 0
    grain_hu: float = 0.0


@dataclass(frozen=True)
class Ellipse:
    """An ellipse at (x, y) with half axes in mm, turned by ``angle_deg`` (left end to the back)."""

    x: float
    y: float
    half_width: float
    half_depth: float
    angle_deg: float = 0.0


@dataclass(frozen=True)
class Capsule:
    """A line from (x0, y0) to (x1, y1) mm, thickened to radius r0 at its start, r1 at its end."""

    x0: float
    y0: float
    x1: float
    y1: float
    r0: float
    r1: float


class Canvas:
    """HU (float32) and labels (uint8) of one slice, with the body-frame position of each pixel.

    Args:
        x: (row, column), mm to the patient's left.
        y: (row, column), mm to the patient's back.
        pixel_mm: Pixel spacing.
        edge_mm: Width of a sharp edge in the image.

    Attributes:
        grain: (row, column), fine texture (3 mm) of unit variance, 0 where it is not set.
        blotch: (row, column), coarse texture (10 mm), likewise.
    """

    def __init__(self, x: Floats, y: Floats, pixel_mm: float, edge_mm: float) -> None:
        self.x, self.y = x, y
        self.pixel_mm, self.edge_mm = pixel_mm, edge_mm
        self.grain: Floats = np.zeros(x.shape, dtype=np.float32)
        self.blotch: Floats = np.zeros(x.shape, dtype=np.float32)
        self.hu: Floats = np.full(x.shape, -1000.0, dtype=np.float32)
        self.labels: NDArray[np.uint8] = np.zeros(x.shape, dtype=np.uint8)
        columns, rows = x.shape[1], x.shape[0]
        mid = (rows // 2, columns // 2)
        self._origin = (float(x[mid]), float(y[mid]), mid)
        self._slack_mm = 0.0
        self._cos = float(x[0, -1] - x[0, 0]) / (columns - 1)
        self._sin = float(y[0, -1] - y[0, 0]) / (columns - 1)

    def turned(self, x: float, y: float, angle_deg: float) -> Canvas:
        """Return the same slice in a frame turned about (x, y); both share their pixels.

        What is painted there appears turned by ``angle_deg``, its left end towards the back.
        """
        angle = math.radians(angle_deg)
        cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
        away_x, away_y = self.x - np.float32(x), self.y - np.float32(y)
        turned_x = np.float32(x) + away_x * cos + away_y * sin
        turned_y = np.float32(y) + away_y * cos - away_x * sin
        turned = Canvas(turned_x, turned_y, self.pixel_mm, self.edge_mm)
        turned.hu, turned.labels = self.hu, self.labels
        turned.grain, turned.blotch = self.grain, self.blotch
        turned._slack_mm = 2 * self._slack_mm
        return turned

    def warp(self, window: Window, shift_x: Floats, shift_y: Floats, most_mm: float) -> None:
        """Bend all that will be painted: move each pixel's position by up to ``most_mm``."""
        self.x[window] += shift_x
        self.y[window] += shift_y
        self._slack_mm = most_mm

    def window(self, x: float, y: float, reach_x: float, reach_y: float) -> Window | None:
        """Return the pixels within ``reach`` of (x, y), or None if outside of the image."""
        x0, y0, (row0, column0) = self._origin
        squared = self.pixel_mm * self.pixel_mm
        dx, dy = x - x0, y - y0
        column = column0 + (dx * self._cos + dy * self._sin) / squared
        row = row0 + (dy * self._cos - dx * self._sin) / squared
        cos, sin = abs(self._cos) / squared, abs(self._sin) / squared
        reach_x, reach_y = reach_x + self._slack_mm, reach_y + self._slack_mm
        wide = reach_x * cos + reach_y * sin + 2
        high = reach_y * cos + reach_x * sin + 2
        rows = slice(max(int(row - high), 0), max(min(int(row + high) + 2, self.x.shape[0]), 0))
        cols = slice(
            max(int(column - wide), 0), max(min(int(column + wide) + 2, self.x.shape[1]), 0)
        )
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return None
        return rows, cols

    def fill(self, window: Window, cover: Floats, ink: Ink, hu: Floats | None = None) -> None:
        """Blend ``ink`` (or the per-pixel ``hu``) into the window by its coverage (0..1)."""
        target = self.hu[window]
        if hu is None:
            change = ink.hu - target
            if ink.grain_hu:
                change += ink.grain_hu * self.grain[window]
        else:
            change = hu - target
        change *= cover
        target += change
        solid = (cover >= 0.5).view(np.uint8)
        labels = self.labels[window]
        labels *= 1 - solid
        if ink.label:
            labels += solid * np.uint8(ink.label)

    def fill_flat(self, pixels: NDArray[np.intp], cover: Floats, ink: Ink) -> None:
        """Blend ``ink`` into single pixels, given by their flat index in the slice."""
        hu = self.hu.reshape(-1)
        change = np.float32(ink.hu) - hu.take(pixels)
        if ink.grain_hu:
            change += ink.grain_hu * self.grain.reshape(-1).take(pixels)
        change *= cover
        hu[pixels] += change
        self.labels.reshape(-1)[pixels[cover >= 0.5]] = ink.label

    def tint_flat(self, pixels: NDArray[np.intp], cover: Floats, target_hu: float) -> None:
        """Blend a value into single pixels and leave the labels alone."""
        hu = self.hu.reshape(-1)
        hu[pixels] += cover * (np.float32(target_hu) - hu.take(pixels))

    def cover(self, distance: Floats, soft_mm: float = 0.0) -> Floats:
        """Return the covered part of each pixel from the signed distance (negative inside)."""
        width = math.hypot(self.edge_mm, soft_mm)
        cover = distance * np.float32(-1.0 / width)
        cover += np.float32(0.5)
        np.maximum(cover, np.float32(0.0), out=cover)
        np.minimum(cover, np.float32(1.0), out=cover)
        return cover

    def ellipse_cover(self, shape: Ellipse, soft_mm: float = 0.0) -> tuple[Window, Floats] | None:
        """Return the window of an ellipse and its coverage there, None if outside of the image."""
        angle = math.radians(shape.angle_deg)
        cos, sin = math.cos(angle), math.sin(angle)
        margin = self.edge_mm + soft_mm
        reach_x = math.hypot(shape.half_width * cos, shape.half_depth * sin) + margin
        reach_y = math.hypot(shape.half_width * sin, shape.half_depth * cos) + margin
        window = self.window(shape.x, shape.y, reach_x, reach_y)
        if window is None or min(shape.half_width, shape.half_depth) < 0.3:
            return None
        dx = self.x[window] - np.float32(shape.x)
        dy = self.y[window] - np.float32(shape.y)
        along = (dx * np.float32(cos) + dy * np.float32(sin)) * np.float32(1 / shape.half_width)
        across = (dy * np.float32(cos) - dx * np.float32(sin)) * np.float32(1 / shape.half_depth)
        squared = along * along + across * across
        along *= np.float32(1 / shape.half_width)
        across *= np.float32(1 / shape.half_depth)
        slope = np.sqrt(along * along + across * across) + np.float32(1e-6)
        distance = np.sqrt(squared)
        distance *= (distance - 1.0) / slope
        return window, self.cover(distance, soft_mm)

    def ellipse(
        self, shape: Ellipse, ink: Ink, soft_mm: float = 0.0, part: float | Floats = 1.0
    ) -> None:
        """Paint an ellipse; ``part`` scales its coverage (number, or map of the slice)."""
        if isinstance(part, np.ndarray) or part > 0.01:
            self._paint(self.ellipse_cover(shape, soft_mm), ink, part)

    def capsule(self, shape: Capsule, ink: Ink, part: float | Floats = 1.0) -> None:
        """Paint a capsule; ``part`` as in :meth:`ellipse`."""
        found = None
        if isinstance(part, np.ndarray) or part > 0.01:
            found = self.capsule_distance(shape)
        if found is not None:
            self._paint((found[0], self.cover(found[1])), ink, part)

    def _paint(self, found: tuple[Window, Floats] | None, ink: Ink, part: float | Floats) -> None:
        if found is not None:
            window, cover = found
            cover *= part[window] if isinstance(part, np.ndarray) else np.float32(part)
            self.fill(window, cover, ink)

    def capsule_distance(self, shape: Capsule) -> tuple[Window, Floats] | None:
        """Return the window of a capsule and the signed distance to it, None if out of view."""
        thick = max(shape.r0, shape.r1) + 1.5 * self.edge_mm
        mid_x, mid_y = (shape.x0 + shape.x1) / 2, (shape.y0 + shape.y1) / 2
        run_x, run_y = shape.x1 - shape.x0, shape.y1 - shape.y0
        window = self.window(mid_x, mid_y, abs(run_x) / 2 + thick, abs(run_y) / 2 + thick)
        if window is None or max(shape.r0, shape.r1) < 0.3:
            return None
        dx = self.x[window] - np.float32(shape.x0)
        dy = self.y[window] - np.float32(shape.y0)
        length = max(run_x * run_x + run_y * run_y, 1e-6)
        along = dx * np.float32(run_x / length)
        along += dy * np.float32(run_y / length)
        np.maximum(along, np.float32(0.0), out=along)
        np.minimum(along, np.float32(1.0), out=along)
        dx -= along * np.float32(run_x)
        dy -= along * np.float32(run_y)
        dx *= dx
        dy *= dy
        dx += dy
        distance = np.sqrt(dx, out=dx)
        along *= np.float32(shape.r1 - shape.r0)
        along += np.float32(shape.r0)
        distance -= along
        return window, distance

    def curve(
        self, x: float, y: float, radii: Floats, ink: Ink, part: float | Floats = 1.0
    ) -> None:
        """Paint the inside of a star-shaped curve around (x, y), given as a table of radii."""
        reach = float(radii.max()) + self.edge_mm
        window = self.window(x, y, reach, reach)
        if window is None:
            return
        dx = self.x[window] - np.float32(x)
        dy = self.y[window] - np.float32(y)
        distance = np.sqrt(dx * dx + dy * dy) - radii.take(angle_index(dx, dy))
        self._paint((window, self.cover(distance)), ink, part)
