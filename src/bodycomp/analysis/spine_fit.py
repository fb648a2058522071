"""All levels of a series at once: an average spine, moved and stretched to fit all scores.

One level's scores may rise at two places, or nowhere clearly; nine levels together leave little
doubt. The fit is good to a vertebra's half, so that it decides which rise is meant and never where
exactly a level lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.expected_curve import ExpectedCurve, slice_extents_mm
from bodycomp.anatomy import VERTEBRAE
from bodycomp.level_names import vertebra_rank

# From the middle of each vertebra to the next one below, C1 to S1, in mm: adults of 170 cm
# (Busscher et al., Eur Spine J 19, 2010; cervical: Gilad & Nissan, Spine 11, 1986).
_PITCH_MM: Final = (
    *(17.0, 17.5, 17.5, 17.5, 17.5, 18.0, 18.5),
    *(19.5, 20.5, 21.2, 21.8, 22.2, 22.8, 23.2, 23.8, 24.6, 26.0, 27.5, 29.8),
    *(32.5, 34.5, 35.5, 35.5, 32.5),
)
_DEPTH_MM: Final = dict(
    zip(VERTEBRAE, np.concatenate([[0.0], np.cumsum(_PITCH_MM)]).tolist(), strict=True)
)

FEWEST_LEVELS: Final = 3
"""Fewer vertebrae are not fitted together."""

STRETCHES: Final = np.linspace(0.72, 1.32, 25)
"""Spines relative to the average: from small persons with worn discs to tall ones."""

_STEP_MM: Final = 2.0
_BEYOND_MM: Final = 350.0


@dataclass(frozen=True)
class SpineFit:
    """Where vertebrae lie if a spine is to explain the scores of all of them.

    Attributes:
        z_mm: Level -> its expected position, inside the series or outside of it.
        misfit: Mean difference of all scores from what they should be, 0..1.
    """

    z_mm: dict[str, float]
    misfit: float


def fit_spine(
    scores: NDArray[np.floating],
    z_mm: NDArray[np.float64],
    levels: Sequence[str],
    scale_mm: float,
) -> SpineFit | None:
    """Fit an average spine to the scores of a series.

    Args:
        scores: (slice, level) in 0..1.
        z_mm: (slice,), positions, ascending; at least two.
        levels: Levels, one per column.
        scale_mm: Scale of the target.

    Returns:
        The fit; None with fewer than ``FEWEST_LEVELS`` vertebrae or with a single slice.
    """
    columns = [i for i, level in enumerate(levels) if vertebra_rank(level) is not None]
    if len(columns) < FEWEST_LEVELS or len(z_mm) < 2:
        return None
    names = [levels[column] for column in columns]
    depths_mm = np.array([_DEPTH_MM[name] for name in names])
    middle_mm = float(depths_mm.mean())
    places = np.arange(z_mm[0] - _BEYOND_MM, z_mm[-1] + _BEYOND_MM, _STEP_MM)
    misfits = np.stack(
        [
            ExpectedCurve(scores[:, i].astype(np.float64), z_mm, scale_mm).misfit_mm(places)
            for i in columns
        ]
    )
    best, best_at = np.inf, (0.0, 1.0)
    for stretch in STRETCHES.tolist():
        moved = places[None, :] - (depths_mm[:, None] - middle_mm) * stretch
        total = sum(np.interp(moved[k], places, misfits[k]) for k in range(len(names)))
        total = np.asarray(total) + 0.02 * abs(stretch - 1.0) * float(z_mm[-1] - z_mm[0])
        at = int(np.argmin(total))
        if total[at] < best:
            best, best_at = float(total[at]), (float(places[at]), stretch)
    place_mm, stretch = best_at
    fitted = place_mm - (depths_mm - middle_mm) * stretch
    length_mm = float(slice_extents_mm(z_mm).sum())
    return SpineFit(dict(zip(names, fitted.tolist(), strict=True)), best / length_mm / len(names))
