"""One picture per level of a series: where it is, what was labelled there, what was measured."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bodycomp.anatomy import Tissue
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.volume import Volume
from bodycomp.imaging.window import Window
from bodycomp.report.canvas import (
    ACCENT,
    ALERT,
    FAINT,
    INK,
    QUIET,
    new_figure,
    picture_style,
    place_axes,
    plain_style,
    save_figure,
)
from bodycomp.report.overlay import color_mask, hex_color
from bodycomp.report.volume_views import (
    CORONAL_WINDOW,
    SAGITTAL_WINDOW,
    Reformat,
    SlicePicture,
    coronal_and_sagittal,
)
from bodycomp.results import (
    MODEL_CAUTION_KEY,
    LevelResult,
    LevelStatus,
    Measurement,
    SeriesResult,
    SliceChoice,
    zero_crossings_mm,
)

WIDTH_IN, HEIGHT_IN = 13.6, 9.2
MARGIN_IN, GAP_IN = 0.3, 0.15
TOP_ROW = (4.6, 3.65)
"""Bottom and height in inches of the row that shares the z axis."""
BOTTOM_ROW = (0.3, 3.45)
SLICE_WIDTH_IN = 4.45
CAUTION_WIDTH: Final = 84
"""Characters of a line beside the headline."""


@dataclass(frozen=True, slots=True)
class PreviewText:
    """Words of a preview; nothing identifying unless the user asked for it."""

    title: str = ""
    details: str = ""


def write_preview(
    path: Path,
    volume: Volume,
    result: SeriesResult,
    level: LevelResult,
    text: PreviewText | None = None,
    views: tuple[Reformat, Reformat] | None = None,
) -> None:
    """Write the preview of one level of a result as a PNG; others that were found are marked too.

    A level that was not found is shown with the curve and the reason. ``views`` are those of
    ``coronal_and_sagittal``, if they are there already.
    """
    figure = new_figure(WIDTH_IN, HEIGHT_IN)
    _draw_header(figure, volume, level, text or PreviewText())
    z_mm = volume.slice_z_mm
    _draw_top_row(figure, views or coronal_and_sagittal(volume), z_mm, result, level)
    bottom, height = BOTTOM_ROW
    shown = level.choice.slice_index
    if level.choice.status is LevelStatus.FOUND and shown is not None:
        _draw_slices(figure, volume, result, level, shown)
        left = MARGIN_IN + 2 * (SLICE_WIDTH_IN + GAP_IN) + 0.15
        table = place_axes(figure, left, bottom, WIDTH_IN - left - MARGIN_IN, height)
        draw_measurements(table, result.tissues, level)
    else:
        _draw_reason(figure, volume, level)
    save_figure(figure, path)


def _draw_header(figure: Figure, volume: Volume, level: LevelResult, text: PreviewText) -> None:
    choice = level.choice
    found = choice.status is LevelStatus.FOUND
    headline = f"{choice.level}  {choice.status.value}"
    if found and choice.z_mm is not None and choice.slice_index is not None:
        headline += f" at z = {choice.z_mm:.1f} mm, slice {choice.slice_index + 1} of {len(volume)}"
    left, top = MARGIN_IN / WIDTH_IN, 1 - 0.2 / HEIGHT_IN
    color = INK if found else ALERT
    figure.text(left, top, headline, size=14, weight="bold", color=color, va="top")
    words = "    ".join(part for part in (text.title, text.details) if part)
    figure.text(left, top - 0.32 / HEIGHT_IN, words, size=8.5, color=QUIET, va="top")
    cautions = (flag.message for flag in level.flags if flag.key == MODEL_CAUTION_KEY)
    said = textwrap.fill("; ".join(cautions), CAUTION_WIDTH, max_lines=2, placeholder=" ...")
    figure.text(1 - left, top, said, size=9, color=ALERT, va="top", ha="right")


def _draw_top_row(
    figure: Figure,
    views: tuple[Reformat, Reformat],
    z_mm: NDArray[np.float64],
    result: SeriesResult,
    level: LevelResult,
) -> None:
    """Draw curve, coronal and sagittal view with one z axis and true proportions."""
    bottom, height = TOP_ROW
    extent_mm = float(np.ptp(views[0].z_edges_mm))
    room_in = WIDTH_IN - 5.3  # what the curve and the margins leave for both views
    mm_per_in = max(extent_mm / height, sum(view.width_mm for view in views) / room_in)
    middle_mm = float(views[0].z_edges_mm[[0, -1]].mean())
    z_limits = (middle_mm - mm_per_in * height / 2, middle_mm + mm_per_in * height / 2)
    widths = [view.width_mm / mm_per_in for view in views]
    curve_width = WIDTH_IN - sum(widths) - 0.8 - 0.2 - GAP_IN - MARGIN_IN
    curve = place_axes(figure, 0.8, bottom, curve_width, height)
    draw_score_curve(curve, level.choice, z_mm, z_limits)
    left = 0.8 + curve_width + 0.2
    names = ("Coronal, maximum", "Sagittal, through the spine")
    for view, width, window, name in zip(
        views, widths, (CORONAL_WINDOW, SAGITTAL_WINDOW), names, strict=True
    ):
        axes = place_axes(figure, left, bottom, width, height)
        _draw_reformat(axes, view, window, z_limits)
        picture_style(axes, name)
        _draw_levels(axes, result, level)
        left += width + GAP_IN


def _draw_reformat(
    axes: Axes, view: Reformat, window: Window, z_limits: tuple[float, float]
) -> None:
    low, high = float(view.z_edges_mm[0]), float(view.z_edges_mm[-1])
    axes.imshow(
        window(view.even_rows()),
        cmap="gray",
        vmin=0,
        vmax=1,
        origin="lower",
        extent=(0, view.width_mm, low, high),
        aspect="auto",
        interpolation="bilinear",
    )
    axes.set_xlim(0, view.width_mm)
    axes.set_ylim(*z_limits)


def _draw_levels(axes: Axes, result: SeriesResult, shown: LevelResult) -> None:
    for other in result.levels:
        if other.choice.z_mm is None:
            continue
        is_shown = other is shown
        color, width, style = ("#35e0d4", 1.3, "-") if is_shown else ("white", 0.7, ":")
        axes.axhline(other.choice.z_mm, color=color, linewidth=width, linestyle=style)
        axes.annotate(
            other.choice.level,
            (1, other.choice.z_mm),
            xycoords=("axes fraction", "data"),
            xytext=(-3, 2),
            textcoords="offset points",
            ha="right",
            size=8,
            color=color,
            weight="bold" if is_shown else "normal",
        )


def _draw_slices(
    figure: Figure, volume: Volume, result: SeriesResult, level: LevelResult, shown: int
) -> None:
    bottom, height = BOTTOM_ROW
    turn = OrientationTransform.from_orientation(volume.orientation)
    picture = SlicePicture.from_volume(volume, shown, level.masks[shown])
    colors = color_mask(turn.apply(level.masks[shown]), result.tissues)
    titles = (f"Slice {shown + 1}, window 40 / 400 HU", "The same with labels")
    for number, (title, overlay) in enumerate(zip(titles, (None, colors), strict=True)):
        left = MARGIN_IN + number * (SLICE_WIDTH_IN + GAP_IN)
        axes = place_axes(figure, left, bottom, SLICE_WIDTH_IN, height)
        picture.draw(axes, overlay)
        picture_style(axes, title)


def _draw_reason(figure: Figure, volume: Volume, level: LevelResult) -> None:
    """Say why nothing was measured, beside slices that show what the series covers."""
    bottom, height = BOTTOM_ROW
    choice = level.choice
    verdict = {
        LevelStatus.ABSENT: f"{choice.level} is not in this series",
        LevelStatus.UNCERTAIN: f"{choice.level} could not be placed with certainty",
        LevelStatus.FOUND: f"{choice.level} was found",
    }[choice.status]
    words = place_axes(figure, MARGIN_IN, bottom, 4.0, height)
    words.set_axis_off()
    words.text(0, 0.72, textwrap.fill(verdict, 32), size=14, color=ALERT, weight="bold")
    reason = textwrap.fill(choice.reason[:1].upper() + choice.reason[1:] + ".", 46)
    words.text(0, 0.66, f"{reason}\n\nNothing was measured.", va="top", size=11, color=INK)
    width = (WIDTH_IN - 4.2 - 2 * MARGIN_IN - 2 * GAP_IN) / 3
    shown = (("Lowest", 0), ("Middle", len(volume) // 2), ("Highest", len(volume) - 1))
    for number, (name, index) in enumerate(shown):
        left = MARGIN_IN + 4.2 + number * (width + GAP_IN)
        axes = place_axes(figure, left, bottom, width, height)
        SlicePicture.from_volume(volume, index).draw(axes)
        picture_style(axes, f"{name} slice, z = {volume.slice_z_mm[index]:.0f} mm")


BORDER_WARNING: Final = 0.01
"""Above this share of border pixels the tissue is probably cut off by the field of view."""

COLUMNS: Final = (
    *(("Tissue", 0.0), ("cm²", 0.54), ("mean", 0.67), ("median", 0.8), ("SD", 0.9), ("IQR", 1.0)),
)


def draw_measurements(axes: Axes, tissues: Sequence[Tissue], level: LevelResult) -> None:
    """Draw area and HU statistics per tissue, and what to keep in mind."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    top, step = 0.88, 0.11
    axes.text(0.8, top + 0.075, "HU", size=8.5, color=QUIET, ha="center")
    axes.plot([0.59, 1], [top + 0.06] * 2, color=FAINT, linewidth=1)
    for name, place in COLUMNS:
        axes.text(place, top, name, size=8.5, color=QUIET, ha="right" if place else "left")
    axes.plot([0, 1], [top - 0.025] * 2, color=FAINT, linewidth=1)
    for number, tissue in enumerate(tissues):
        measurement = level.measurements.get(tissue.key)
        if measurement is not None:
            _draw_row(axes, top - (number + 1) * step, tissue, measurement)
    bottom = top - (len(tissues) + 1) * step - 0.03
    for number, (note, color) in enumerate(_notes(tissues, level)):
        axes.text(0, bottom - number * 0.075, note, size=8.5, color=color)


def _draw_row(axes: Axes, height: float, tissue: Tissue, measurement: Measurement) -> None:
    axes.add_patch(Rectangle((0, height - 0.005), 0.03, 0.04, color=hex_color(tissue.color)))
    axes.text(0.05, height, tissue.title, size=9, color=INK)
    found = measurement
    numbers = (found.mean_hu, found.median_hu, found.sd_hu, found.iqr_hu)
    words = ("" if x is None else f"{x:.0f}".replace("-", "\N{MINUS SIGN}") for x in numbers)
    for (_name, place), value in zip(COLUMNS[1:], (f"{found.area_cm2:.1f}", *words), strict=True):
        axes.text(place, height, value, size=9, color=INK, ha="right")


def _notes(tissues: Sequence[Tissue], level: LevelResult) -> list[tuple[str, str]]:
    count = len(level.slice_indices)
    notes = [(f"Averaged over {count} slices" if count > 1 else "Measured on one slice", QUIET)]
    if level.correction is not None:
        what = " and ".join(level.correction.what)
        notes.append((f"Corrected by {level.correction.by}: {what}", ALERT))
    if level.choice.crossings > 1:
        notes.append((f"{level.choice.crossings} places rise through 0", QUIET))
    for tissue in tissues:
        measurement = level.measurements.get(tissue.key)
        share = measurement.border_fraction if measurement else None
        if share is not None and share > BORDER_WARNING:
            notes.append((f"{tissue.title}: {share:.0%} at the edge of the field of view", ALERT))
    return notes


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
    crossings = zero_crossings_mm(choice.smoothed_offset_mm.astype(np.float64), z_mm)
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
