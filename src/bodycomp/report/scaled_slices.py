"""Slices of several cases at one scale, as SVG with the outlines of their labels."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bodycomp.anatomy import tissue_by_key
from bodycomp.report.case_pictures import labels_in
from bodycomp.report.case_view import CaseView
from bodycomp.report.overlay import hex_color


@dataclass(frozen=True)
class ScaledSlice:
    """The slice of a case's level.

    Attributes:
        uri: Its picture.
        size_mm: Width and height.
        is_estimated: Whether the scale follows from areas, as of cases of earlier versions.
        outlines: (title, colour, SVG path in pixels) of each tissue.
        pixel_mm: Width and height of a pixel.
    """

    uri: str
    size_mm: tuple[float, float]
    pixel_mm: tuple[float, float]
    is_estimated: bool
    outlines: tuple[tuple[str, str, str], ...]


def scaled_slice(case: CaseView) -> ScaledSlice | None:
    """Return the slice of a case's level; None of a case without one, or without a scale."""
    image = case["slices"][case["shown"]]
    if "mask" not in image:
        return None
    labels = labels_in(_pixels(image["mask"]), image)
    tissues = [tissue_by_key(key) for key in case["tissues"]]
    known = image.get("pixel_mm")
    pixel_mm = known
    if pixel_mm is None:
        areas = [case["cells"].get(f"{tissue.key}_area_cm2") for tissue in tissues]
        area_cm2 = sum(area for area in areas if isinstance(area, int | float))
        if not (area_cm2 and labels.any()):
            return None
        pixel_mm = 10 * sqrt(area_cm2 / np.count_nonzero(labels))
    height, width = labels.shape
    grid = image.get("grid")  # pixels of the scan need be no squares
    wide_mm, high_mm = (grid["column_mm"], grid["row_mm"]) if grid else (pixel_mm, pixel_mm)
    return ScaledSlice(
        f"data:image/webp;base64,{image['picture']}",
        (width * wide_mm, height * high_mm),
        (wide_mm, high_mm),
        known is None,
        tuple(
            (tissue.title, hex_color(tissue.color), outline_path(tissue.of(labels)))
            for tissue in tissues
        ),
    )


def largest_mm(slices: Sequence[ScaledSlice]) -> tuple[float, float]:
    """Return width and height that hold every slice."""
    return max(s.size_mm[0] for s in slices), max(s.size_mm[1] for s in slices)


def outline_path(inside: NDArray[np.bool_]) -> str:
    """Return the edges of a (row, column) mask along its pixels, as an SVG path.

    >>> outline_path(np.array([[True, True]]))
    'M0 0h2M0 1h2M0 0v1M2 0v1'
    """
    padded = np.pad(inside, 1)
    across = padded[1:, 1:-1] != padded[:-1, 1:-1]
    down = (padded[1:-1, 1:] != padded[1:-1, :-1]).T
    level = [f"M{start} {row}h{length}" for row, start, length in _runs(across)]
    upright = [f"M{column} {start}v{length}" for column, start, length in _runs(down)]
    return "".join((*level, *upright))


def _runs(edges: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Return line, start and length of the runs of True in every line."""
    steps = np.diff(np.pad(edges, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    lines, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    return list(zip(lines.tolist(), starts.tolist(), (ends - starts).tolist(), strict=True))


def _pixels(webp: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(base64.b64decode(webp))) as image:
        return np.asarray(image.convert("L"))
