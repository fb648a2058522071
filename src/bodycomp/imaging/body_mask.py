"""Where the body is on an axial slice: the largest piece of matter, its cavities filled."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

STEP: Final = 4
"""The body is looked for on every fourth row and column: 128 x 128 of 512 x 512 pixels."""

MATTER_ABOVE_HU: Final = -300.0
"""Half-way between air, -1000 HU, and fat with some blur; clothes and cushions lie below."""


def body_mask(coarse: NDArray[Any], matter_above: float) -> NDArray[np.bool_]:
    """Return the largest connected matter of a (row, column) image, with all that it encloses.

    What is brighter than ``matter_above`` is matter. All is False if there is none. A table that
    touches the body counts as body, an arm that does not touch it does not.
    """
    pieces, count = ndimage.label(coarse > matter_above)
    if count == 0:
        return np.zeros(coarse.shape, np.bool_)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    around, _ = ndimage.label(pieces != sizes.argmax())
    border = np.concatenate([around[0], around[-1], around[:, 0], around[:, -1]])
    outside = np.zeros(around.max() + 1, np.bool_)
    outside[border[border > 0]] = True
    body: NDArray[np.bool_] = ~outside[around]
    return body


def body_box(body: NDArray[np.bool_], step: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return first and last row and column of a body mask in pixels of the whole image."""
    rows, columns = (np.flatnonzero(body.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return 0, 0, 0, 0
    return (
        *(int(rows[0]) * step[0], (int(rows[-1]) + 1) * step[0] - 1),
        *(int(columns[0]) * step[1], (int(columns[-1]) + 1) * step[1] - 1),
    )
