"""The learning curves of a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from bodycomp.anatomy import ALL_TISSUES
from bodycomp.report.canvas import (
    ACCENT,
    INK,
    QUIET,
    SERIES_COLORS,
    new_figure,
    plain_style,
    save_figure,
)
from bodycomp.report.overlay import on_white

Row = Mapping[str, object]
"""Column of ``metrics.csv`` -> value: a number, its text, or empty / None where not measured."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One kind of curve: its columns start with one of ``prefixes``.

    Attributes:
        scale: ``log`` if the first numbers are far above the last.
        decades: A logarithmic axis ends so many decades below the largest number.
    """

    title: str
    unit: str
    prefixes: tuple[str, ...]
    scale: Literal["linear", "log"] = "linear"
    decades: float = 4.0


PANELS: Final = (
    Panel("Loss", "loss", ("train_loss", "val_loss"), "log"),
    Panel("Overlap with the truth, validation", "Dice", ("val_dice_",)),
    Panel(
        "Error, validation", "mm", ("val_error_mm", "val_mae_mm_", "val_located_error_mm_"), "log"
    ),
    Panel("Located within 10 mm, validation", "share of series", ("val_found_",)),
    Panel("Learning rate", "per step", ("learning_rate",), "log", 3.0),
    Panel("Speed of training", "images / s", ("images_per_s",)),
)
COLUMNS: Final = 3
NAMED_COLORS: Final = {"mean": INK, "val_error_mm": INK} | {
    tissue.key: on_white(tissue) for tissue in ALL_TISSUES
}
_KNOWN: Final = {
    "train_loss": "training",
    "val_loss": "validation",
    "val_error_mm": "mean, what decides",
}
_ENDINGS: Final = {
    "val_mae_mm_": ", single slices near it",
    "val_located_error_mm_": ", located in a series",
}
LINE_STYLES: Final = {"val_located_error_mm_": "--"}


def write_learning_curves(
    path: Path, rows: Sequence[Row], *, best_epoch: int | None = None, title: str = ""
) -> None:
    """Write a PNG of the panels that have a value, with a row per epoch and the best one marked."""
    shown = shown_panels(rows)
    lines = max(1, -(-len(shown) // COLUMNS))
    figure = new_figure(4.2 * min(max(len(shown), 1), COLUMNS), 3.3 * lines, constrained=True)
    for number, (panel, columns) in enumerate(shown):
        axes = figure.add_subplot(lines, min(len(shown), COLUMNS), number + 1)
        for index, column in enumerate(columns):
            _draw_curve(axes, rows, column, index)
        _draw_axes(axes, panel)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=ACCENT, linewidth=1, linestyle=":")
        if len(columns) > 1:
            axes.legend(fontsize=7.5, frameon=False, labelcolor=QUIET)
    if best_epoch is not None and shown:
        figure.axes[0].text(
            best_epoch, 0.98, " best", color=ACCENT, size=8, va="top",
            transform=figure.axes[0].get_xaxis_transform(),
        )  # fmt: skip
    if title:
        figure.suptitle(title, size=10, color=INK, x=0.01, ha="left")
    save_figure(figure, path)


def shown_panels(rows: Sequence[Row]) -> list[tuple[Panel, list[str]]]:
    """Return the panels that have a value, each with its columns."""
    return [(panel, columns) for panel in PANELS if (columns := _columns(panel, rows))]


def curve_of(rows: Sequence[Row], column: str) -> list[tuple[float, float]]:
    """Return (epoch, value) of a column, without what was not measured."""
    points = [
        (number(row.get("epoch")), number(row.get(column)), place) for place, row in enumerate(rows)
    ]
    # A run without a readable epoch column still shows its course.
    return [(place if epoch is None else epoch, y) for epoch, y, place in points if y is not None]


def curve_label(column: str) -> str:
    """Return a column's name for people.

    >>> curve_label("val_mae_mm_L3")
    'L3, single slices near it'
    """
    prefix = _prefix(column)
    return _label(prefix, column.removeprefix(prefix) or column)


def _prefix(column: str) -> str:
    return next((p for panel in PANELS for p in panel.prefixes if column.startswith(p)), "")


def _draw_axes(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title, size=10, color=INK, loc="left")
    axes.set_xlabel("epoch")
    axes.set_ylabel(panel.unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if panel.scale == "log":
        _make_logarithmic(axes, panel.decades)
    axes.grid(visible=True, which="both", color="#eceff2", linewidth=0.8)
    plain_style(axes)


def _make_logarithmic(axes: Axes, decades: float) -> None:
    """Use a logarithmic scale where the numbers allow it; an annealed rate near 0 is cut off."""
    numbers = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.lines])
    if numbers.size == 0 or numbers.max() <= 0:
        return
    axes.set_yscale("log")
    low = max(numbers[numbers > 0].min(), numbers.max() * 10**-decades)
    axes.set_ylim(low / 1.25, numbers.max() * 1.25)
    if low > 1e-2:  # powers of ten are for rates
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _columns(panel: Panel, rows: Sequence[Row]) -> list[str]:
    """Return the panel's columns that hold at least one number, in their order."""
    names = dict.fromkeys(name for row in rows for name in row if name.startswith(panel.prefixes))
    return [name for name in names if any(number(row.get(name)) is not None for row in rows)]


def _draw_curve(axes: Axes, rows: Sequence[Row], column: str, index: int) -> None:
    curve = curve_of(rows, column)
    prefix = _prefix(column)
    name = column.removeprefix(prefix) or column
    axes.plot(
        [x for x, _ in curve],
        [y for _, y in curve],
        LINE_STYLES.get(prefix, "-"),
        color=NAMED_COLORS.get(name, SERIES_COLORS[index % len(SERIES_COLORS)]),
        linewidth=1.6,
        marker="o" if len(curve) < 12 else None,
        markersize=3,
        label=_label(prefix, name),
    )


def _label(prefix: str, name: str) -> str:
    return _KNOWN.get(name, name.replace("_", " ")) + _ENDINGS.get(prefix, "")


def number(value: object) -> float | None:
    """Return a finite number from a cell, None for an empty, textual or infinite one.

    >>> number("0.5"), number(""), number("nan")
    (0.5, None, None)
    """
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if math.isfinite(found) else None
