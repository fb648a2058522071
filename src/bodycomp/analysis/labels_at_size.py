"""Probabilities of a network -> labels on the pixels of the scan, as HU permit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import MUSCLE, Tissue
from bodycomp.imaging.resize import resize_image

_MOST_OUTSIDE: Final = 0.5


def labels_at_size(
    probabilities: NDArray[np.float32],
    size: tuple[int, int],
    hu: NDArray[Any] | None = None,
    tissues: Sequence[Tissue] = (),
) -> NDArray[np.uint8]:
    """Return the most probable label of each pixel at ``size``.

    Probabilities are resized before the decision, so that borders do not follow the pixels of the
    network's grid; a thin layer between two others is not lost as it is with nearest neighbour.

    ``probabilities`` are (class, row, column); class 0 is background. With ``hu``, (row, column) at
    ``size``, no pixel has the label of a tissue whose range does not hold its HU. Muscle is asked
    for the median of 3 x 3 pixels, so that noise leaves no holes in it; fat is not, so that its
    border follows the pixels. A tissue most of which lies outside its range keeps its labels, and
    gets the flag ``unusual_density``: the HU are not what they should be, or it is another tissue.
    """
    if probabilities.shape[1:] != size:
        probabilities = np.stack([resize_image(each, size) for each in probabilities])
    if hu is not None:
        probabilities, found = probabilities.copy(), probabilities.argmax(axis=0)
        smooth = median_of_nine(hu)
        for tissue in tissues:
            (low, high), values = tissue.hu_range, smooth if MUSCLE.of(tissue.label) else hu
            outside = (values < low) | (values > high)
            own = found == tissue.label
            if (outside & own).sum() <= _MOST_OUTSIDE * own.sum():
                probabilities[tissue.label][outside] = 0
    labels: NDArray[np.uint8] = np.argmax(probabilities, axis=0).astype(np.uint8)
    return labels


def median_of_nine(image: NDArray[Any]) -> NDArray[Any]:
    """Return each pixel's median over 3 x 3 pixels, as ``scipy.ndimage.median_filter``.

    The median of nine is that of the largest of three lows, the median of their middles and the
    smallest of their highs (Smith, Xilinx XCell 23, 1996): a tenth of the time of a sort.
    """
    padded = np.pad(image, 1, mode="edge")
    low, middle, high = _sorted_three(padded[:-2], padded[1:-1], padded[2:])
    lows, middles, highs = (
        [each[:, shift : shift + image.shape[1]] for shift in range(3)]
        for each in (low, middle, high)
    )
    parts = (_sorted_three(*lows)[2], _sorted_three(*middles)[1], _sorted_three(*highs)[0])
    return _sorted_three(*parts)[1]


def _sorted_three(
    a: NDArray[Any], b: NDArray[Any], c: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return three arrays' lowest, middle and highest values, element by element."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    middle = np.maximum(low, np.minimum(high, c))
    return np.minimum(low, c), middle, np.maximum(high, c)
