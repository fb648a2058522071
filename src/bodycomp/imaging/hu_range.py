"""Whether numbers can be the HU of a CT scan of a torso: the one rule, for scans of any format.

By definition water is 0 HU and air -1000 HU. Files state the numbers with an offset, most often
-1024. Where it was applied twice or not at all every value is 1024 off, in an image like any other.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BLANK_HU: Final = -1000
"""Of volumes without a scan: air."""
LOWEST_AIR_HU: Final = -1100.0
"""Air with some noise. What is lower is padding, or undershoot beside metal."""
_LOWEST_BODY_HU: Final = -200.0
"""Nothing in the body but gas and lung is below this, and a slice shows air around the body."""
TISSUE_HU: Final = (-200.0, 200.0)
"""Fat, water, muscle and organs, with their noise."""
LEAST_TISSUE: Final = 0.03
"""Share of pixels with values of tissue. Torsos and heads have 8 to 35 %; the bone of a scan that
is 1024 HU too low falls on these values as well, and makes at most 2 % (real scans of a chest, an
abdomen and a head)."""
_SMALL_BODY: Final = 0.005
"""The same in a small body, as an infant's in a field of view of 50 cm, most of which is tissue."""
_MOST_MATTER: Final = 0.5
"""Share of matter with values of tissue: 75 % or more in real scans, 28 % or less in the same
1024 HU too low, where dense bone alone is matter."""
OFFSET_HU: Final = 1024.0
_MOST_BONE: Final = 0.05
"""Share of pixels within ``TISSUE_HU`` on top of the offset: real scans have at most 2 %."""
_LEAST_AIR: Final = 0.005
"""Share of pixels of air that differ from its commonest value; scans with noise have 1 % or more
at the skin alone."""
GAS_HU: Final = -700.0
"""Air around the body and gas in it are below this, within noise; what is above is matter."""
_CUT_OFF: Final = 0.01
"""Share of pixels with the lowest value of all where that is the end of a window."""
_LEAST_LEVELS: Final = 32
"""Images of fewer values were computed from a few materials, not measured."""
_SAMPLE: Final = 1 << 20
_SLICE_SIDE: Final = 64
"""Rows and columns of a slice that are looked at where slices are judged one by one."""
_FEWEST_PIXELS: Final = 1024
"""Slices of fewer are too small to tell what is in them."""

HU_HINT: Final = (
    "Store the CT values themselves: rescale slope and intercept applied once, nothing windowed, "
    "scaled or shifted."
)


def hu_sample(hu: NDArray[Any]) -> NDArray[Any]:
    """Return about a million evenly spread pixels of (slice, row, column) values, or all of fewer.

    >>> hu_sample(np.zeros((300, 512, 512), np.int16)).shape
    (60, 103, 103)
    """
    step = max(int(np.ceil((hu.size / _SAMPLE) ** (1 / hu.ndim))), 1)
    return hu[(slice(None, None, step),) * hu.ndim]


def lacks_tissue(tissue_share: float, matter_share: float) -> bool:
    """Whether too little is soft tissue or fat for a scan in HU, of any body in any field of view.

    Args:
        tissue_share: Share of pixels within ``TISSUE_HU``.
        matter_share: Share of pixels above ``GAS_HU``.

    >>> lacks_tissue(0.2, 0.25), lacks_tissue(0.02, 0.023), lacks_tissue(0.02, 0.06)
    (False, False, True)
    """
    small = tissue_share >= _SMALL_BODY and tissue_share >= _MOST_MATTER * matter_share
    return tissue_share < LEAST_TISSUE and not small


def implausible_hu(hu: NDArray[Any]) -> str | None:
    """Return in words why values cannot be HU of a CT scan, None if they can.

    Shares of pixels are looked at rather than extremes: dense bone reaches the values of tissue in
    a scan that is too low, and padding lies below air in one that is too high.

    Args:
        hu: Finite values of whole slices, of any shape; ``hu_sample`` of a volume will do.

    >>> implausible_hu(np.array([-1010, -1000, -990, -100, 40, 60]))
    >>> implausible_hu(np.array([0, 128, 255]))
    'expected HU with air far below -200, found values from 0 to 255'
    """
    values = np.ravel(hu)
    low, high = float(values.min()), float(values.max())
    found = f"values from {low:g} to {high:g}"
    if low < LOWEST_AIR_HU:
        values = values[values > low]  # padding has one value
    air_fault = _air_fault(values)
    if air_fault is not None:
        return f"expected HU with air far below {_LOWEST_BODY_HU:.0f}, found {found}{air_fault}"
    tissue = _share(values, *TISSUE_HU)
    if not lacks_tissue(tissue, _share(values, GAS_HU, np.inf)):
        return None
    lower = _share(values, *(x - OFFSET_HU for x in TISSUE_HU))
    known = f" and {lower:.1%} of them {OFFSET_HU:.0f} HU lower" if lower > LEAST_TISSUE else ""
    return (
        f"expected soft tissue and fat within {TISSUE_HU[0]:.0f} to {TISSUE_HU[1]:.0f} HU in at "
        f"least {LEAST_TISSUE:.0%} of the pixels, found {tissue:.1%}{known}; {found}"
    )


def why_not_hu(hu: NDArray[Any]) -> str | None:
    """Return in words why a volume cannot be HU, as a whole or in some of its slices.

    A rescale may be wrong in a part of the files alone. A slice counts as wrong if it would be
    right with the offset added or taken away, so that slices of air or of few tissues pass, and
    so do those without any air around the body.

    Args:
        hu: (slice, row, column), finite, from feet to head.
    """
    fault = implausible_hu(hu_sample(hu))
    if fault is not None:
        return fault
    down, across = (max(side // _SLICE_SIDE, 1) for side in hu.shape[1:])
    off = [index for index, plane in enumerate(hu[:, ::down, ::across]) if _is_off(plane)]
    if not off:
        return None
    return (
        f"expected HU in every slice, found values {OFFSET_HU:.0f} off in {len(off)} of {len(hu)} "
        f"slices, the first at slice {off[0]} from the feet (counted from 0)"
    )


def _is_off(plane: NDArray[Any]) -> bool:
    if plane.size < _FEWEST_PIXELS or implausible_hu(plane) is None:
        return False
    wide = plane.astype(np.float32)
    return any(implausible_hu(wide + shift) is None for shift in (OFFSET_HU, -OFFSET_HU))


def _air_fault(values: NDArray[Any]) -> str | None:
    """Return what is wrong with the air as the end of a sentence, empty if there is none at all.

    Air has noise, and skin partial volume. One value alone is air that was cut off, or padding of
    values that have no air: grey levels, or HU with a window or an offset.
    """
    gas = values[(values >= LOWEST_AIR_HU) & (values <= GAS_HU)]
    if not gas.size and not np.any(values <= _LOWEST_BODY_HU):
        return ""
    others, apart = values, ""
    if gas.size:
        kinds, counts = np.unique(gas, return_counts=True)
        if gas.size - counts.max() >= _LEAST_AIR * values.size:
            return None
        others = values[values != kinds[counts.argmax()]]
        apart = f", apart from {counts.max() / values.size:.1%} of {kinds[counts.argmax()]:g}"
    too_high = _share(values, *(x + OFFSET_HU for x in TISSUE_HU))
    if too_high > _MOST_BONE:
        return f"{apart}, {too_high:.1%} of the pixels {OFFSET_HU:.0f} HU above soft tissue"
    levels, counts = np.unique(others, return_counts=True)
    is_cut_off = len(levels) >= _LEAST_LEVELS and counts[0] >= _CUT_OFF * values.size
    return f"{apart}, cut off at {levels[0]:g}" if is_cut_off and levels[0] > GAS_HU else None


def _share(values: NDArray[Any], low: float, high: float) -> float:
    return float(np.mean((values >= low) & (values <= high))) if values.size else 0.0
