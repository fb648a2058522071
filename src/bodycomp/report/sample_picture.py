"""Pictures of single samples of a training set, ready to be put into a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, NOT_ANNOTATED_LABEL
from bodycomp.data.png import read_grey_png
from bodycomp.data.segmentation_set import SegmentationSplit
from bodycomp.data.slice_set import SliceSplit
from bodycomp.errors import BodycompError
from bodycomp.imaging.resize import resize_grey
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.report.overlay import UNKNOWN_COLOUR
from bodycomp.report.page import photo_uri, stencil_uri

LARGEST_SIDE: Final = 512
LADDER_SIDE: Final = 128
NOT_ANNOTATED: Final = "not_annotated"


@dataclass(frozen=True, slots=True)
class SamplePicture:
    """A slice and the outlines of its tissues as data URIs.

    Attributes:
        photo: The slice in the soft-tissue window.
        stencils: Tissue key and mask of every tissue that occurs, and of what is not annotated.
    """

    photo: Markup
    stencils: tuple[tuple[str, Markup], ...] = ()


def segmentation_picture(split: SegmentationSplit, index: int) -> SamplePicture:
    """Draw one sample."""
    labels = split.masks[index, :, :, 0]
    shown = [(tissue.key, tissue.label, tissue.colour) for tissue in ABDOMINAL_TISSUES]
    shown.append((NOT_ANNOTATED, NOT_ANNOTATED_LABEL, UNKNOWN_COLOUR))
    return SamplePicture(
        photo=photo_uri(SOFT_TISSUE.to_grey(split.images[index, :, :, 0])),
        stencils=tuple(
            (key, stencil_uri(labels == label, colour))
            for key, label, colour in shown
            if (labels == label).any()
        ),
    )


def slice_picture(split: SliceSplit, index: int, side: int = LARGEST_SIDE) -> SamplePicture | None:
    """Draw one slice, made smaller if a side is longer than ``side``; None if it is unreadable."""
    try:
        grey = read_grey_png(split.png_paths[index])
    except BodycompError:
        return None  # validation has told why
    return SamplePicture(photo_uri(_shrunk(grey, side)))


def _shrunk(grey: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    factor = side / max(grey.shape)
    if factor >= 1:
        return grey
    rows, columns = (max(1, round(n * factor)) for n in grey.shape)
    return resize_grey(grey, (rows, columns))
