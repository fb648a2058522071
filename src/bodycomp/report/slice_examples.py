"""Examples of a slice-selection training, and all validation slices at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from bodycomp.report.canvas import (
    ACCENT,
    FAINT,
    INK,
    QUIET,
    new_figure,
    picture_style,
    plain_style,
    save_figure,
)
from bodycomp.report.segmentation_examples import draw_image

TRUE_COLOUR: Final = "#35e0d4"
PREDICTED_COLOUR: Final = "#ffb000"

SHOWN_MM: Final = 60.0
"""Offsets beyond are drawn at the edge: farther slices all look alike to a network."""

CLOSE_MM: Final = 10.0
"""A level located within this distance counts as found."""

COLUMNS: Final = 4


@dataclass(frozen=True, eq=False)
class SliceCase:
    """One slice with its true and its predicted offset from a level.

    Attributes:
        title: Which case it is; nothing identifying.
        image: (row, column), windowed to 0..1.
        level: The level.
        true_offset_mm, predicted_offset_mm: Offset above the level.
    """

    title: str
    image: NDArray[np.floating]
    level: str
    true_offset_mm: float
    predicted_offset_mm: float


@dataclass(frozen=True, eq=False)
class LevelEstimates:
    """All validation slices that are annotated for a level.

    Attributes:
        level: The level.
        true_offsets_mm: (slice,) offsets above the level.
        predicted_offsets_mm: (slice,) the same by the network.
    """

    level: str
    true_offsets_mm: NDArray[np.floating]
    predicted_offsets_mm: NDArray[np.floating]


def write_slice_examples(
    path: Path, cases: Sequence[SliceCase], estimates: Sequence[LevelEstimates] = ()
) -> None:
    """Write a chart of all slices per level, and one picture per case with its offsets on a scale.

    Args:
        path: The PNG file.
        cases: At least one.
        estimates: One per level; the first four are drawn.
    """
    charts = estimates[:COLUMNS]
    rows = -(-len(cases) // COLUMNS) + (1 if charts else 0)
    figure = new_figure(2.8 * COLUMNS, 3.3 * rows + 0.3, constrained=True)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    places = list(grid.flat)
    for axes, level in zip(places, charts, strict=False):
        _draw_estimates(axes, level)
    first = COLUMNS if charts else 0
    for axes in [*places[len(charts) : first], *places[first + len(cases) :]]:
        axes.set_axis_off()
    for axes, case in zip(places[first:], cases, strict=False):
        draw_image(axes, case.image, None)
        _draw_offset_scale(axes, case)
        picture_style(axes, case.title)
        axes.set_xlabel(
            f"{case.level}: true {case.true_offset_mm:+.0f} mm, "
            f"predicted {case.predicted_offset_mm:+.0f} mm",
            size=7.5,
            color=INK,
        )
    legend = [
        Line2D([], [], marker="<", linestyle="", color=colour, label=label)
        for colour, label in ((TRUE_COLOUR, "true offset"), (PREDICTED_COLOUR, "predicted offset"))
    ]
    figure.legend(
        handles=legend,
        loc="outside lower left",
        ncols=2,
        fontsize=8,
        frameon=False,
        labelcolor=QUIET,
    )
    save_figure(figure, path)


def _draw_estimates(axes: Axes, level: LevelEstimates) -> None:
    """Draw predicted over true offsets; a perfect network's lie on the diagonal."""
    ends = np.array([-SHOWN_MM, SHOWN_MM])
    axes.fill_between(ends, ends - CLOSE_MM, ends + CLOSE_MM, color="#e3f1f0", linewidth=0)
    axes.plot(ends, ends, color=ACCENT, linewidth=1)
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    true_mm, predicted_mm = (
        np.clip(values, -SHOWN_MM, SHOWN_MM)
        for values in (level.true_offsets_mm, level.predicted_offsets_mm)
    )
    axes.plot(true_mm, predicted_mm, ".", color=INK, alpha=0.45, markersize=4)
    axes.set_xlim(*(1.05 * ends))
    axes.set_ylim(*(1.05 * ends))
    axes.set_aspect("equal")
    axes.set_xlabel(f"true offset from {level.level} (mm)")
    axes.set_ylabel("predicted (mm)")
    axes.set_title(f"{level.level}: {true_mm.size} slices, band ±{CLOSE_MM:.0f} mm", size=9,
                   color=INK, loc="left")  # fmt: skip
    plain_style(axes)


def _draw_offset_scale(axes: Axes, case: SliceCase) -> None:
    """Draw a ruler from -50 to +50 mm along the right edge; farther offsets stick to its ends."""
    rows, columns = case.image.shape
    low, high, place = 0.9 * rows, 0.1 * rows, 0.95 * columns
    axes.plot([place, place], [low, high], color="white", linewidth=1)
    for offset_mm in (-50.0, 0.0, 50.0):
        height = low + (offset_mm + 50) / 100 * (high - low)
        axes.plot([place - 0.015 * columns, place], [height, height], color="white", linewidth=1)
    for offset_mm, colour in (
        (case.true_offset_mm, TRUE_COLOUR),
        (case.predicted_offset_mm, PREDICTED_COLOUR),
    ):
        height = low + (float(np.clip(offset_mm, -50, 50)) + 50) / 100 * (high - low)
        axes.plot(place + 0.02 * columns, height, "<", color=colour, markersize=6)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
