"""A picture of suggested slices: the outline to start from, and where segmentations disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import Tissue
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.volume import Volume
from bodycomp.report.overlay import color_mask, hex_color
from bodycomp.report.sheet import Box, Sheet
from bodycomp.report.volume_views import SlicePicture

MOST_SHOWN: Final = 40
"""Suggestions of a picture; more of them would make it too large to open."""
COLUMNS: Final = 2
WIDTH_IN, HEIGHT_IN, MARGIN_IN, TITLE_IN, FOOT_IN = 3.4, 2.7, 0.25, 0.32, 0.5
LEGEND_IN: Final = 1.9
DOUBT_COLOR: Final = (255, 45, 85)


@dataclass(frozen=True, eq=False)
class SuggestedSlice:
    """One slice of the picture.

    Attributes:
        title: Which it is and why it was chosen; nothing identifying.
        volume: It alone.
        labels, doubt: (row, column) outline, and share of segmentations that differ from it.
    """

    title: str
    volume: Volume = field(repr=False)
    labels: NDArray[np.uint8] = field(repr=False)
    doubt: NDArray[np.float32] = field(repr=False)


def write_suggestion_sheet(
    path: Path, slices: Sequence[SuggestedSlice], tissues: Sequence[Tissue]
) -> None:
    """Write the first ``MOST_SHOWN`` slices as a PNG: the outline, and beside it the doubt."""
    shown = slices[:MOST_SHOWN]
    rows = -(-len(shown) // COLUMNS)
    step_in = HEIGHT_IN + TITLE_IN
    block_in = 2 * WIDTH_IN + MARGIN_IN
    across = COLUMNS * block_in + MARGIN_IN
    up = rows * step_in + FOOT_IN + MARGIN_IN
    sheet = Sheet(across, up)
    for number, each in enumerate(shown):
        row, column = divmod(number, COLUMNS)
        left = MARGIN_IN + column * block_in
        bottom = up - MARGIN_IN - (row + 1) * step_in
        turn = OrientationTransform.from_orientation(each.volume.orientation)
        picture = SlicePicture.from_volume(each.volume, 0, each.labels)
        overlays = (color_mask(turn.apply(each.labels), tissues), _doubts(turn.apply(each.doubt)))
        for place, (overlay, title) in enumerate(zip(overlays, (each.title, ""), strict=True)):
            box = Box(left + place * WIDTH_IN, bottom, WIDTH_IN - 0.06, HEIGHT_IN)
            picture.draw(sheet, box, title, overlay)
    legend = [(tissue.title, tissue.color) for tissue in tissues]
    legend.append(("Copies or models disagree", DOUBT_COLOR))
    left = across / 2 - LEGEND_IN * len(legend) / 2
    for number, (words, color) in enumerate(legend):
        x = left + number * LEGEND_IN
        sheet.rectangle(Box(x, 0.2, 0.25, 0.09), hex_color(color))
        sheet.text((x + 0.32, 0.2), words, size=9)
    sheet.save(path)


def _doubts(doubt: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return RGBA of how many segmentations differ."""
    picture = np.zeros((*doubt.shape, 4), np.uint8)
    picture[..., :3] = DOUBT_COLOR
    picture[..., 3] = np.rint(255 * np.clip(doubt, 0, 1)).astype(np.uint8)
    return picture
