"""Examples of a training: what was asked, what was right, and what the network said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    NOT_ANNOTATED_LABEL,
    OPEN_ABOVE,
    Tissue,
    may_be,
)
from bodycomp.report.canvas import (
    ACCENT,
    ALERT,
    FAINT,
    INK,
    new_figure,
    picture_style,
    plain_style,
    save_figure,
)
from bodycomp.report.overlay import UNKNOWN_COLOR, color_mask, hex_color

DIFFERENCES: Final = {"Missed": "#1f6fff", "Added": ALERT, "Another tissue": "#ff4fd8"}
"""What a pixel can have wrong, and its colour."""

BODY_GRAY: Final = 0.05
"""Greys of 0..1 above this are not air; the table's thin lines may count."""

MARGIN: Final = 6

TRUE_COLOR: Final = "#35e0d4"
PREDICTED_COLOR: Final = "#ffb000"

SHOWN_MM: Final = 60.0
"""Offsets beyond are drawn at the edge: farther slices all look alike to a network."""

CLOSE_MM: Final = 10.0
"""A level located within this distance counts as found."""

COLUMNS: Final = 4


@dataclass(frozen=True, eq=False)
class SegmentationCase:
    """One slice with its true and its predicted mask.

    Attributes:
        title: Which case it is, e.g. "best"; nothing identifying.
        image: (row, column), windowed to 0..1.
        truth, prediction: (row, column) labels; what the truth leaves open, as ``background_or``
            does, is no difference.
        dice: Tissue key -> Dice overlap, None where neither mask has the tissue.
    """

    title: str
    image: NDArray[np.floating]
    truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    dice: Mapping[str, float | None] = field(default_factory=dict)


def write_segmentation_examples(
    path: Path, cases: Sequence[SegmentationCase], tissues: Sequence[Tissue] = ABDOMINAL_TISSUES
) -> None:
    """Write a PNG with one row per case: image, truth, prediction, and in what both differ."""
    figure = new_figure(11.2, 2.6 * len(cases) + 0.4, constrained=True)
    grid = figure.subplots(len(cases), 4, squeeze=False)
    for row, case in zip(grid, cases, strict=True):
        rows, columns = body_window(case)
        truth, prediction = case.truth[rows, columns], case.prediction[rows, columns]
        pictures = (
            (case.title, None),
            ("truth", color_mask(truth, tissues)),
            ("prediction", color_mask(prediction, tissues)),
            ("difference", _difference(truth, prediction)),
        )
        for axes, (title, overlay) in zip(row, pictures, strict=True):
            draw_image(axes, case.image[rows, columns], overlay)
            picture_style(axes, title)
        row[2].set_xlabel(_dice_words(case, tissues), size=7.5, color=INK)
        row[3].set_xlabel(_area_words(truth, prediction, tissues), size=7.5, color=INK)
    legend = [Patch(color=hex_color(tissue.color), label=tissue.title) for tissue in tissues]
    if any((case.truth == NOT_ANNOTATED_LABEL).any() for case in cases):
        legend.append(Patch(color=hex_color(UNKNOWN_COLOR), label="Not annotated"))
    legend += [Patch(color=color, label=label) for label, color in DIFFERENCES.items()]
    _save(figure, path, legend)


def body_window(case: SegmentationCase) -> tuple[slice, slice]:
    """Return the rows and columns that show the body: everything but air, with a margin."""
    drawn = (case.truth > 0) & (case.truth <= OPEN_ABOVE)
    inside = (case.image > BODY_GRAY) | drawn | (case.prediction > 0)
    spans = []
    for axis in (1, 0):
        found = np.flatnonzero(inside.any(axis=axis))
        size = inside.shape[1 - axis]
        low, high = (found[0], found[-1] + 1) if found.size else (0, size)
        spans.append(slice(max(0, int(low) - MARGIN), min(size, int(high) + MARGIN)))
    return spans[0], spans[1]


def draw_image(axes: Axes, image: NDArray[np.floating], overlay: NDArray[np.uint8] | None) -> None:
    """Draw a slice, windowed to 0..1, with RGBA on it."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
    if overlay is not None:
        axes.imshow(overlay, interpolation="nearest")


def _difference(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return RGBA in the colours of ``DIFFERENCES``."""
    known = truth <= OPEN_ABOVE
    may_be_right = np.zeros(truth.shape, np.bool_)
    for tissue in ABDOMINAL_TISSUES:
        may_be_right |= (prediction == tissue.label) & may_be(truth, tissue)
    kinds = (
        known & (truth > 0) & (prediction == 0),
        ((truth == 0) | (truth > OPEN_ABOVE)) & (prediction > 0) & ~may_be_right,
        known & (truth > 0) & (prediction > 0) & (truth != prediction),
    )
    wrong = np.zeros((*truth.shape, 4), dtype=np.uint8)
    for is_kind, color in zip(kinds, DIFFERENCES.values(), strict=True):
        wrong[is_kind] = (*bytes.fromhex(color[1:]), 255)
    return wrong


def _area_words(
    truth: NDArray[np.uint8], prediction: NDArray[np.uint8], tissues: Sequence[Tissue]
) -> str:
    """Say how far areas are off, which is what measurements are made of; whole slices alone."""
    parts: list[str] = []
    if (truth == NOT_ANNOTATED_LABEL).any():
        return "Area: not annotated everywhere"
    for tissue in tissues:
        real, found = (int((mask == tissue.label).sum()) for mask in (truth, prediction))
        if real:
            parts.append(f"{tissue.title.lower()} {100 * (found - real) / real:+.1f} %")
    return "Area: " + _in_lines(parts) if parts else ""


def _dice_words(case: SegmentationCase, tissues: Sequence[Tissue]) -> str:
    parts = [
        f"{tissue.title.lower()} {'–' if value is None else f'{value:.3f}'}"
        for tissue in tissues
        if (value := case.dice.get(tissue.key)) is not None or tissue.key in case.dice
    ]
    return "Dice: " + _in_lines(parts) if parts else ""


def _in_lines(parts: Sequence[str]) -> str:
    """Join a tissue per picture's width: the first one beside the title, the others below."""
    return "\n".join(filter(None, (parts[0], ", ".join(parts[1:]))))


@dataclass(frozen=True, eq=False)
class SliceCase:
    """One slice, windowed to 0..1, with its true and its predicted offset above a level."""

    title: str
    image: NDArray[np.floating]
    level: str
    true_offset_mm: float
    predicted_offset_mm: float


@dataclass(frozen=True, eq=False)
class LevelEstimates:
    """True and predicted (slice,) offsets of all validation slices annotated for a level."""

    level: str
    true_offsets_mm: NDArray[np.floating]
    predicted_offsets_mm: NDArray[np.floating]


def write_slice_examples(
    path: Path, cases: Sequence[SliceCase], estimates: Sequence[LevelEstimates] = ()
) -> None:
    """Write a PNG: one chart of all slices per level, one picture per case with its offsets."""
    figure, places = _figure_with_charts(len(cases), estimates)
    for axes, case in zip(places, cases, strict=True):
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
        Line2D([], [], marker="<", linestyle="", color=color, label=label)
        for color, label in ((TRUE_COLOR, "true offset"), (PREDICTED_COLOR, "predicted offset"))
    ]
    _save(figure, path, legend)


@dataclass(frozen=True, eq=False)
class SeriesCase:
    """One series from the front and the side, with the rows of its levels.

    ``image`` is (channel, row, column) as of ``imaging.projection``, rows from feet to head.
    """

    title: str
    image: NDArray[np.floating]
    true_rows: Mapping[str, float]
    predicted_rows: Mapping[str, float]


def write_series_examples(
    path: Path, cases: Sequence[SeriesCase], estimates: Sequence[LevelEstimates] = ()
) -> None:
    """Write a PNG: one chart of all slices per level, one picture per case with its levels."""
    figure, places = _figure_with_charts(len(cases), estimates)
    for axes, case in zip(places, cases, strict=True):
        _draw_series(axes, case)
    legend = [
        Line2D([], [], color=color, label=label)
        for color, label in ((TRUE_COLOR, "true level"), (PREDICTED_COLOR, "predicted level"))
    ]
    _save(figure, path, legend)


def _figure_with_charts(
    count: int, estimates: Sequence[LevelEstimates]
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a row of charts, if there are estimates, and a place for each case."""
    charts = estimates[:COLUMNS]
    rows = -(-count // COLUMNS) + (1 if charts else 0)
    figure = new_figure(2.8 * COLUMNS, 3.3 * rows + 0.3, constrained=True)
    places = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for axes, level in zip(places, charts, strict=False):
        _draw_estimates(axes, level)
    first = COLUMNS if charts else 0
    for axes in [*places[len(charts) : first], *places[first + count :]]:
        axes.set_axis_off()
    return figure, places[first : first + count]


def _draw_series(axes: Axes, case: SeriesCase) -> None:
    """Draw bones from the front, beside them from the side, with a line per level."""
    bones = np.concatenate([case.image[0], case.image[1]], axis=1).astype(np.float64)
    bones = np.clip(bones / max(float(np.percentile(bones, 99.5)), 1e-6), 0, 1)
    axes.imshow(bones, cmap="gray", vmin=0, vmax=1, origin="lower", aspect="auto")
    width = case.image.shape[2]
    for lines, color, ends in (
        (case.true_rows, TRUE_COLOR, (0, width)),
        (case.predicted_rows, PREDICTED_COLOR, (width, 2 * width)),
    ):
        for level, row in lines.items():
            axes.plot(ends, (row, row), color=color, linewidth=0.8)
            place = 0 if ends[0] == 0 else 2 * width
            side = "left" if ends[0] == 0 else "right"
            axes.text(place, row, level, color=color, size=6, ha=side, va="bottom")
    picture_style(axes, case.title)


def _save(figure: Figure, path: Path, legend: Sequence[Patch | Line2D]) -> None:
    place = {"ncols": len(legend), "fontsize": 8, "frameon": False, "labelcolor": INK}
    figure.legend(handles=legend, loc="outside lower left", **place)
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
    for offset_mm, color in (
        (case.true_offset_mm, TRUE_COLOR),
        (case.predicted_offset_mm, PREDICTED_COLOR),
    ):
        height = low + (float(np.clip(offset_mm, -50, 50)) + 50) / 100 * (high - low)
        axes.plot(place + 0.02 * columns, height, "<", color=color, markersize=6)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
