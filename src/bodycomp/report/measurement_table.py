"""The table of measurements beside the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from bodycomp.anatomy import Tissue
from bodycomp.report.canvas import ALERT, FAINT, INK, QUIET
from bodycomp.report.overlay import hex_colour
from bodycomp.results import LevelResult, Measurement

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
    for number, (note, colour) in enumerate(_notes(tissues, level)):
        axes.text(0, bottom - number * 0.075, note, size=8.5, color=colour)


def _draw_row(axes: Axes, height: float, tissue: Tissue, measurement: Measurement) -> None:
    axes.add_patch(Rectangle((0, height - 0.005), 0.03, 0.04, color=hex_colour(tissue.colour)))
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
