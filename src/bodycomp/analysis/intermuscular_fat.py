"""Fat inside the muscle fascia: within the muscles and in the gaps between them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.measurement import within_hu
from bodycomp.analysis.skin_line import closed
from bodycomp.anatomy import BACKGROUND_LABEL, MUSCLE, SUBCUTANEOUS_FAT

GAP_RADIUS_MM: Final = 5.0
"""Gaps between muscles into which no disc of this radius fits lie inside the fascia."""


def intermuscular_fat(
    hu: NDArray[np.generic], labels: NDArray[np.uint8], pixel_spacing_mm: tuple[float, float]
) -> NDArray[np.bool_]:
    """Return the pixels of fat inside the muscle fascia of a slice.

    The rule: a pixel of -190..-30 HU counts if it is labelled muscle, or if it has no label and
    lies in a gap between muscle pixels into which no disc of 5 mm radius fits. What is labelled
    subcutaneous or visceral fat lies outside the fascia by the label.

    Args:
        hu: (row, column), Hounsfield units.
        labels: Same shape.
        pixel_spacing_mm: Distance between rows, between columns.
    """
    muscle = labels == MUSCLE.label
    gaps = closed(muscle, GAP_RADIUS_MM, pixel_spacing_mm) & (labels == BACKGROUND_LABEL)
    fat: NDArray[np.bool_] = (muscle | gaps) & within_hu(hu, SUBCUTANEOUS_FAT.hu_range)
    return fat
