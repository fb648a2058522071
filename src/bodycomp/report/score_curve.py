"""Estimated offset of every slice against its position, with the z axis upright."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from bodycomp.report.canvas import ACCENT, ALERT, FAINT, INK, QUIET, plain_style
from bodycomp.results import SliceChoice


def draw_score_curve(
    axes: Axes, choice: SliceChoice, z_mm: NDArray[np.float64], z_limits: tuple[float, float]
) -> None:
    """Draw scores, their smoothing, the curve that the level would give, and the level."""
    limit_mm = max(float(np.abs(choice.offset_mm).max()), 1.0) * 1.1
    axes.axvline(0, color=FAINT, linewidth=1)
    axes.plot(choice.offset_mm, z_mm, ".", color=QUIET, markersize=3.5, label="slice")
    axes.plot(choice.smoothed_offset_mm, z_mm, color=INK, linewidth=1.2, label="smoothed")
    if choice.z_mm is not None:
        reach_mm = float(np.abs(choice.offset_mm).max())
        expected = np.clip(z_mm - choice.z_mm, -reach_mm, reach_mm)
        axes.plot(expected, z_mm, "--", color=ACCENT, linewidth=1, label="expected")
        axes.axhline(choice.z_mm, color=ACCENT, linewidth=1.2)
    crossings = ascending_crossings_mm(choice.smoothed_offset_mm, z_mm)
    if crossings.size:
        axes.plot(
            np.zeros_like(crossings),
            crossings,
            "o",
            markerfacecolor="none",
            markeredgecolor=ACCENT if choice.z_mm is not None else ALERT,
            markersize=7,
            label="rises through 0",
        )
    axes.set_xlim(-limit_mm, limit_mm)
    axes.set_ylim(*z_limits)
    axes.set_xlabel(f"estimated offset above {choice.level} (mm)")
    axes.set_ylabel("z (mm, towards the head)")
    axes.set_title("Slice selection", size=9, color=INK, loc="left", pad=4)
    plain_style(axes)
    axes.legend(loc="lower right", fontsize=7, frameon=False, labelcolor=QUIET)


def ascending_crossings_mm(
    offset_mm: NDArray[np.float32], z_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return where the curve rises through zero.

    >>> ascending_crossings_mm(np.array([-1, 3], np.float32), np.array([0.0, 4.0]))
    array([1.])
    """
    values = offset_mm.astype(np.float64)
    below = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    share = -values[below] / (values[below + 1] - values[below])
    crossings: NDArray[np.float64] = z_mm[below] + share * np.diff(z_mm)[below]
    return crossings
