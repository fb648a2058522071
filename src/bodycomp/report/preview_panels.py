"""What a preview shows beside its pictures: the curve of scores, and the table of measurements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bodycomp.anatomy import Tissue
from bodycomp.report.canvas import ACCENT, ALERT, FAINT, INK, QUIET, plain_style
from bodycomp.report.overlay import hex_color
from bodycomp.results import LevelResult, Measurement, SliceChoice, zero_crossings_mm

BORDER_WARNING: Final = 0.01
"""Above this share of border pixels the tissue is probably cut off by the field of view."""

COLUMNS: Final = (
    ("Tissue", 0.0),
    ("cm²", 0.54),
    ("mean", 0.67),
    ("median", 0.8),
    ("SD", 0.9),
    ("IQR", 1.0),
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
    values = (
        f"{measurement.area_cm2:.1f}",
        *(
            "" if value is None else f"{value:.0f}".replace("-", "\N{MINUS SIGN}")
            for value in (
                measurement.mean_hu,
                measurement.median_hu,
                measurement.sd_hu,
                measurement.iqr_hu,
            )
        ),
    )
    for (_name, place), value in zip(COLUMNS[1:], values, strict=True):
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
