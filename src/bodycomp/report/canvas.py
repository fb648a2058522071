"""Figures made through matplotlib's object interface: no global state, no window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from bodycomp.storage import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI: Final = 110
INK: Final = "#1c2530"
QUIET: Final = "#6b7785"
FAINT: Final = "#d5dae0"
ACCENT: Final = "#0b7a75"
ALERT: Final = "#b3261e"
SERIES_COLORS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Line colours that stay apart for colour-blind readers (Okabe and Ito)."""


def new_figure(width_in: float, height_in: float, *, constrained: bool = False) -> Figure:
    """Return an empty figure of that size in inches."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second; sheets need colors alone

    return Figure(
        figsize=(width_in, height_in),
        dpi=DPI,
        facecolor="white",
        layout="constrained" if constrained else None,
    )


def plain_style(axes: Axes) -> None:
    """Give axes thin grey lines and small labels."""
    axes.tick_params(which="both", labelsize=8, color=QUIET, labelcolor=QUIET, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.xaxis.label.set(size=8, color=QUIET)
    axes.yaxis.label.set(size=8, color=QUIET)


def picture_style(axes: Axes, title: str = "") -> None:
    """Strip axes down to a picture with a title."""
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(title, size=9, color=INK, loc="left", pad=4)


def save_figure(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG that appears whole or not at all."""
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI)
