"""Label masks as translucent colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, NOT_ANNOTATED_LABEL, Tissue
from bodycomp.imaging.window import SOFT_TISSUE

FILL_ALPHA = 0.5
UNKNOWN_COLOR = (150, 150, 150)
"""Of pixels that are not annotated."""


def color_mask(
    labels: NDArray[np.uint8],
    tissues: Sequence[Tissue] = ABDOMINAL_TISSUES,
    alpha: float = FILL_ALPHA,
) -> NDArray[np.uint8]:
    """Return (row, column, 4) sRGB + alpha of a (row, column) mask; background is transparent."""
    table = np.zeros((256, 4), dtype=np.uint8)
    table[NOT_ANNOTATED_LABEL] = (*UNKNOWN_COLOR, round(255 * alpha))
    for tissue in tissues:
        table[tissue.label] = (*tissue.color, round(255 * alpha))
    return table[labels]


def blended(
    hu: NDArray[np.generic], mask: NDArray[np.uint8], tissues: Sequence[Tissue]
) -> NDArray[np.uint8]:
    """Return (row, column, 3): a slice in grey under its tissues in color."""
    gray = SOFT_TISSUE.to_gray(hu)[:, :, None].astype(np.float32)
    colors = color_mask(mask, tissues)
    alpha = colors[:, :, 3:] / np.float32(255)
    picture: NDArray[np.uint8] = np.rint(gray * (1 - alpha) + colors[:, :, :3] * alpha).astype(
        np.uint8
    )
    return picture


def hex_color(color: tuple[int, int, int]) -> str:
    """Return a colour as matplotlib and CSS take it.

    >>> from bodycomp.anatomy import MUSCLE
    >>> hex_color(MUSCLE.color)
    '#d55e00'
    """
    return "#{:02x}{:02x}{:02x}".format(*color)


def on_white(tissue: Tissue) -> str:
    """Return the tissue's colour for lines on white, where bright ones are dimmed.

    >>> from bodycomp.anatomy import VISCERAL_FAT
    >>> on_white(VISCERAL_FAT)
    '#b8af32'
    """
    brightness = max(sum(tissue.color[:2]) / 2, 1)
    factor = min(1.0, 180 / brightness)
    return "#{:02x}{:02x}{:02x}".format(*(int(factor * channel) for channel in tissue.color))
