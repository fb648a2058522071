"""One picture per level of a series: where it is, what was labelled there, what was measured."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bodycomp.anatomy import Tissue
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.volume import Volume
from bodycomp.report.canvas import ACCENT, ALERT, FAINT, INK, QUIET
from bodycomp.report.overlay import color_mask, hex_color
from bodycomp.report.sheet import Box, Plot, Sheet, pixels_of, view_of
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
MARK = "#35e0d4"
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
    sheet = Sheet(WIDTH_IN, HEIGHT_IN)
    _draw_header(sheet, volume, level, text or PreviewText())
    z_mm = volume.slice_z_mm
    _draw_top_row(sheet, views or coronal_and_sagittal(volume), z_mm, result, level)
    shown = level.choice.slice_index
    if level.choice.status is LevelStatus.FOUND and shown is not None:
        _draw_slices(sheet, volume, result, level, shown)
        left = MARGIN_IN + 2 * (SLICE_WIDTH_IN + GAP_IN) + 0.15
        table = Box(left, BOTTOM_ROW[0], WIDTH_IN - left - MARGIN_IN, BOTTOM_ROW[1])
        _draw_measurements(sheet, table, result.tissues, level)
    else:
        _draw_reason(sheet, volume, level)
    sheet.save(path)


def _draw_header(sheet: Sheet, volume: Volume, level: LevelResult, text: PreviewText) -> None:
    choice = level.choice
    found = choice.status is LevelStatus.FOUND
    headline = f"{choice.level}  {choice.status.value}"
    if found and choice.z_mm is not None and choice.slice_index is not None:
        headline += f" at z = {choice.z_mm:.1f} mm, slice {choice.slice_index + 1} of {len(volume)}"
    color, top = INK if found else ALERT, HEIGHT_IN - 0.17
    sheet.text((MARGIN_IN, top), headline, size=14, bold=True, color=color, anchor="la")
    words = "    ".join(part for part in (text.title, text.details) if part)
    sheet.text((MARGIN_IN, top - 0.34), words, color=QUIET, anchor="la")
    cautions = (flag.message for flag in level.flags if flag.key == MODEL_CAUTION_KEY)
    said = textwrap.fill("; ".join(cautions), CAUTION_WIDTH, max_lines=2, placeholder=" ...")
    sheet.text((WIDTH_IN - MARGIN_IN, top), said, size=9, color=ALERT, anchor="ra")


def _draw_top_row(
    sheet: Sheet,
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
    curve = Box(0.8, bottom, curve_width, height)
    _draw_score_curve(sheet, curve, level.choice, z_mm, z_limits)
    left = 0.8 + curve_width + 0.2
    names = ("Coronal, maximum", "Sagittal, through the spine")
    for view, width, window, name in zip(
        views, widths, (CORONAL_WINDOW, SAGITTAL_WINDOW), names, strict=True
    ):
        box = Box(left, bottom, width, height)
        low, high = float(view.z_edges_mm[0]), float(view.z_edges_mm[-1])
        head_up = Image.fromarray(window.to_gray(view.even_rows()[::-1]))
        frame_mm = (0.0, view.width_mm, high - z_limits[1], high - z_limits[0])
        picture = view_of(head_up, (view.width_mm, high - low), frame_mm, pixels_of(box))
        sheet.paste(picture, box, name)
        _draw_levels(sheet, box, z_limits, result, level)
        left += width + GAP_IN


def _draw_levels(
    sheet: Sheet,
    box: Box,
    z_limits: tuple[float, float],
    result: SeriesResult,
    shown: LevelResult,
) -> None:
    right, mm_per_in = box.left + box.width, (z_limits[1] - z_limits[0]) / box.height
    for other in result.levels:
        if other.choice.z_mm is None:
            continue
        is_shown, name = other is shown, other.choice.level
        color, size, dash = (MARK, 1.3, "-") if is_shown else ("white", 0.7, ":")
        y = box.bottom + (other.choice.z_mm - z_limits[0]) / mm_per_in
        sheet.rule((box.left, right), y, color, size, dash)
        place = (right - 0.042, y + 0.03)
        sheet.text(place, name, size=8, color=color, bold=is_shown, anchor="rs")


def _draw_slices(
    sheet: Sheet, volume: Volume, result: SeriesResult, level: LevelResult, shown: int
) -> None:
    turn = OrientationTransform.from_orientation(volume.orientation)
    picture = SlicePicture.from_volume(volume, shown, level.masks[shown])
    colors = color_mask(turn.apply(level.masks[shown]), result.tissues)
    titles = (f"Slice {shown + 1}, window 40 / 400 HU", "The same with labels")
    for number, (title, overlay) in enumerate(zip(titles, (None, colors), strict=True)):
        left = MARGIN_IN + number * (SLICE_WIDTH_IN + GAP_IN)
        picture.draw(sheet, Box(left, BOTTOM_ROW[0], SLICE_WIDTH_IN, BOTTOM_ROW[1]), title, overlay)


def _draw_reason(sheet: Sheet, volume: Volume, level: LevelResult) -> None:
    """Say why nothing was measured, beside slices that show what the series covers."""
    bottom, height = BOTTOM_ROW
    choice = level.choice
    verdict = {
        LevelStatus.ABSENT: f"{choice.level} is not in this series",
        LevelStatus.UNCERTAIN: f"{choice.level} could not be placed with certainty",
        LevelStatus.FOUND: f"{choice.level} was found",
    }[choice.status]
    said = textwrap.wrap(verdict, 32)
    for number, line in enumerate(reversed(said)):
        y = bottom + 0.72 * height + 0.25 * number
        sheet.text((MARGIN_IN, y), line, size=14, color=ALERT, bold=True)
    reason = textwrap.fill(choice.reason[:1].upper() + choice.reason[1:] + ".", 46)
    words = f"{reason}\n\nNothing was measured."
    sheet.text((MARGIN_IN, bottom + 0.66 * height), words, size=11, anchor="la")
    width = (WIDTH_IN - 4.2 - 2 * MARGIN_IN - 2 * GAP_IN) / 3
    shown = (("Lowest", 0), ("Middle", len(volume) // 2), ("Highest", len(volume) - 1))
    for number, (name, index) in enumerate(shown):
        left = MARGIN_IN + 4.2 + number * (width + GAP_IN)
        title = f"{name} slice, z = {volume.slice_z_mm[index]:.0f} mm"
        SlicePicture.from_volume(volume, index).draw(sheet, Box(left, bottom, width, height), title)


BORDER_WARNING: Final = 0.01
"""Above this share of border pixels the tissue is probably cut off by the field of view."""

COLUMNS: Final = (
    *(("Tissue", 0.0), ("cm²", 0.54), ("mean", 0.67), ("median", 0.8), ("SD", 0.9), ("IQR", 1.0)),
)


def _draw_measurements(
    sheet: Sheet, box: Box, tissues: Sequence[Tissue], level: LevelResult
) -> None:
    """Draw area and HU statistics per tissue, and what to keep in mind."""

    def at(x: float, y: float) -> tuple[float, float]:
        return box.left + x * box.width, box.bottom + y * box.height

    def rule(first: float, y: float) -> None:
        sheet.rule((at(first, y)[0], box.left + box.width), at(0, y)[1], FAINT, 1)

    top, step = 0.88, 0.11
    sheet.text(at(0.8, top + 0.075), "HU", color=QUIET, anchor="ms")
    rule(0.59, top + 0.06)
    for name, place in COLUMNS:
        sheet.text(at(place, top), name, color=QUIET, anchor="rs" if place else "ls")
    rule(0, top - 0.025)
    for number, tissue in enumerate(tissues):
        found = level.measurements.get(tissue.key)
        if found is None:
            continue
        y = top - (number + 1) * step
        mark = Box(*at(0, y - 0.005), 0.03 * box.width, 0.04 * box.height)
        sheet.rectangle(mark, hex_color(tissue.color))
        sheet.text(at(0.05, y), tissue.title, size=9)
        numbers = (found.mean_hu, found.median_hu, found.sd_hu, found.iqr_hu)
        words = ("" if x is None else f"{x:.0f}".replace("-", "\N{MINUS SIGN}") for x in numbers)
        values = (f"{found.area_cm2:.1f}", *words)
        for (_name, place), value in zip(COLUMNS[1:], values, strict=True):
            sheet.text(at(place, y), value, size=9, anchor="rs")
    bottom = top - (len(tissues) + 1) * step - 0.03
    for number, (note, color) in enumerate(_notes(tissues, level)):
        sheet.text(at(0, bottom - number * 0.075), note, color=color)


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


def _draw_score_curve(
    sheet: Sheet,
    box: Box,
    choice: SliceChoice,
    z_mm: NDArray[np.float64],
    z_limits: tuple[float, float],
) -> None:
    """Draw scores, their smoothing, the curve that the level would give, and the level."""
    limit_mm = max(float(np.abs(choice.offset_mm).max()), 1.0) * 1.1
    plot = Plot(sheet, box, (-limit_mm, limit_mm), z_limits)
    plot.line([0, 0], z_limits, FAINT, 1)
    plot.dots(choice.offset_mm, z_mm, QUIET, 2.4, label="slice")
    plot.line(choice.smoothed_offset_mm, z_mm, INK, 1.2, label="smoothed")
    if choice.z_mm is not None:
        reach_mm = float(np.abs(choice.offset_mm).max())
        expected = np.clip(z_mm - choice.z_mm, -reach_mm, reach_mm)
        plot.line(expected, z_mm, ACCENT, 1, "--", label="expected")
        plot.line([-limit_mm, limit_mm], [choice.z_mm] * 2, ACCENT, 1.2)
    crossings = zero_crossings_mm(choice.smoothed_offset_mm.astype(np.float64), z_mm)
    if crossings.size:
        color = ACCENT if choice.z_mm is not None else ALERT
        plot.dots(0 * crossings, crossings, color, 7, ring=1, label="rises through 0")
    plot.close(
        "Slice selection",
        f"estimated offset above {choice.level} (mm)",
        "z (mm, towards the head)",
    )
