"""How well a result agrees with a truth: overlap of masks, agreement of areas and positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def dice(mask: NDArray[np.uint8], truth: NDArray[np.uint8], label: int) -> float | None:
    """Return the Dice overlap of one label, 0..1; None where neither mask has it.

    >>> dice(np.array([[1, 1, 0]], np.uint8), np.array([[1, 0, 0]], np.uint8), 1)
    0.6666666666666666
    """
    found, real = mask == label, truth == label
    total = int(found.sum()) + int(real.sum())
    return 2 * int((found & real).sum()) / total if total else None


def pearson(measured: Sequence[float], truth: Sequence[float]) -> float | None:
    """Return Pearson's correlation; None for fewer than three pairs or a constant series."""
    if len(measured) != len(truth) or len(measured) < 3:
        return None
    x, y = np.asarray(measured, np.float64), np.asarray(truth, np.float64)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])
