"""Example cases of a training run: what was asked, what was right, what the network said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, Tissue
from bodycomp.report.canvas import ALERT, INK, QUIET, new_figure, picture_style, save_figure
from bodycomp.report.overlay import colour_mask, hex_colour


@dataclass(frozen=True, eq=False)
class SegmentationCase:
    """One slice with its true and its predicted mask.

    Attributes:
        title: Which case it is, e.g. "best" or "worst"; nothing identifying.
        image: (row, column), windowed to 0..1.
        truth, prediction: (row, column) labels.
        dice: Tissue key -> Dice overlap, None where neither mask has the tissue.
    """

    title: str
    image: NDArray[np.floating]
    truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    dice: Mapping[str, float | None] = field(default_factory=dict)


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


def write_segmentation_examples(
    path: Path,
    cases: Sequence[SegmentationCase],
    tissues: Sequence[Tissue] = ABDOMINAL_TISSUES,
) -> None:
    """Write one row per case: image, truth, prediction, and where both differ.

    Args:
        path: The PNG file.
        cases: In the order of the rows, at least one.
        tissues: Tissues that the masks may hold.
    """
    figure = new_figure(11.2, 2.95 * len(cases) + 0.4, constrained=True)
    grid = figure.subplots(len(cases), 4, squeeze=False)
    for row, case in zip(grid, cases, strict=True):
        pictures = (
            (case.title, None),
            ("truth", colour_mask(case.truth, tissues)),
            ("prediction", colour_mask(case.prediction, tissues)),
            ("different", _difference(case.truth, case.prediction)),
        )
        for axes, (title, overlay) in zip(row, pictures, strict=True):
            _draw(axes, case.image, overlay)
            picture_style(axes, title)
        row[2].set_xlabel(_dice_words(case, tissues), size=7.5, color=INK)
    legend = [Patch(color=hex_colour(tissue), label=tissue.title) for tissue in tissues]
    legend.append(Patch(color=ALERT, label="Different"))
    figure.legend(
        handles=legend, loc="outside lower left", ncols=len(legend), fontsize=8, frameon=False
    )
    save_figure(figure, path)


def write_slice_examples(path: Path, cases: Sequence[SliceCase], columns: int = 4) -> None:
    """Write one picture per case with a scale that shows the true and the predicted offset.

    Args:
        path: The PNG file.
        cases: At least one.
        columns: Pictures side by side.
    """
    rows = -(-len(cases) // columns)
    figure = new_figure(2.8 * columns, 3.3 * rows + 0.3, constrained=True)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(cases) :]:
        axes.set_axis_off()
    for axes, case in zip(grid.flat, cases, strict=False):
        _draw(axes, case.image, None)
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
        for colour, label in (("#35e0d4", "true offset"), ("#ffb000", "predicted offset"))
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


def _draw(axes: Axes, image: NDArray[np.floating], overlay: NDArray[np.uint8] | None) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
    if overlay is not None:
        axes.imshow(overlay, interpolation="nearest")


def _difference(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return RGBA that is red where both masks differ."""
    wrong = np.zeros((*truth.shape, 4), dtype=np.uint8)
    wrong[truth != prediction] = (*bytes.fromhex(ALERT[1:]), 255)
    return wrong


def _dice_words(case: SegmentationCase, tissues: Sequence[Tissue]) -> str:
    parts = [
        f"{tissue.title.lower()} {'–' if value is None else f'{value:.3f}'}"
        for tissue in tissues
        if (value := case.dice.get(tissue.key)) is not None or tissue.key in case.dice
    ]
    return "Dice: " + ", ".join(parts) if parts else ""


def _draw_offset_scale(axes: Axes, case: SliceCase) -> None:
    """Draw a ruler from -50 to +50 mm along the right edge; farther offsets stick to its ends."""
    rows, columns = case.image.shape
    low, high, place = 0.9 * rows, 0.1 * rows, 0.95 * columns
    axes.plot([place, place], [low, high], color="white", linewidth=1)
    for offset_mm in (-50.0, 0.0, 50.0):
        height = low + (offset_mm + 50) / 100 * (high - low)
        axes.plot([place - 0.015 * columns, place], [height, height], color="white", linewidth=1)
    for offset_mm, colour in (
        (case.true_offset_mm, "#35e0d4"),
        (case.predicted_offset_mm, "#ffb000"),
    ):
        height = low + (float(np.clip(offset_mm, -50, 50)) + 50) / 100 * (high - low)
        axes.plot(place + 0.02 * columns, height, "<", color=colour, markersize=6)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
