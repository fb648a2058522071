"""The learning curves of a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.report.canvas import INK, QUIET, SERIES_COLOURS, new_figure, plain_style, save_figure
from bodycomp.report.overlay import hex_colour

Row = Mapping[str, object]
"""Column of ``metrics.csv`` -> value: a number, its text, or empty / None where not measured."""


@dataclass(frozen=True, slots=True)
class _Panel:
    """One kind of curve: its columns start with one of ``prefixes``."""

    title: str
    prefixes: tuple[str, ...]
    logarithmic: bool = False


PANELS: Final = (
    _Panel("Loss", ("train_loss", "val_loss")),
    _Panel("Validation Dice", ("val_dice_",)),
    _Panel("Validation error (mm)", ("val_mae_mm_", "val_located_error_mm_")),
    _Panel("Learning rate", ("learning_rate",), logarithmic=True),
)
NAMED_COLOURS: Final = {"mean": INK} | {
    tissue.key: hex_colour(tissue) for tissue in ABDOMINAL_TISSUES
}
LINE_STYLES: Final = {"val_located_error_mm_": "--"}


def write_learning_curves(path: Path, rows: Sequence[Row]) -> None:
    """Write the learning curves as a PNG.

    Args:
        path: The PNG file.
        rows: One per epoch, with ``epoch`` and any of ``train_loss``, ``val_loss``,
            ``learning_rate``, ``val_dice_<tissue>``, ``val_dice_mean``, ``val_mae_mm_<level>`` and
            ``val_located_error_mm_<level>``; other columns are left out. Panels without a value
            are left out too.
    """
    shown = [(panel, columns) for panel in PANELS if (columns := _columns(panel, rows))]
    figure = new_figure(4.2 * max(len(shown), 1), 3.6, constrained=True)
    for number, (panel, columns) in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), number + 1)
        for index, column in enumerate(columns):
            _draw_curve(axes, rows, column, index)
        if panel.logarithmic:
            axes.set_yscale("log")
        axes.set_title(panel.title, size=10, color=INK, loc="left")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=True, color="#eceff2", linewidth=0.8)
        plain_style(axes)
        if len(columns) > 1:
            axes.legend(fontsize=7.5, frameon=False, labelcolor=QUIET)
    save_figure(figure, path)


def _columns(panel: _Panel, rows: Sequence[Row]) -> list[str]:
    """Return the panel's columns that hold at least one number, in their order."""
    names = dict.fromkeys(name for row in rows for name in row if name.startswith(panel.prefixes))
    return [name for name in names if any(number(row.get(name)) is not None for row in rows)]


def _draw_curve(axes: Axes, rows: Sequence[Row], column: str, index: int) -> None:
    points = [
        (number(row.get("epoch")), number(row.get(column)), place) for place, row in enumerate(rows)
    ]
    # A run without a readable epoch column still shows its course.
    curve = [(place if epoch is None else epoch, y) for epoch, y, place in points if y is not None]
    prefix = next((p for panel in PANELS for p in panel.prefixes if column.startswith(p)), "")
    name = column.removeprefix(prefix) or column
    axes.plot(
        [x for x, _ in curve],
        [y for _, y in curve],
        LINE_STYLES.get(prefix, "-"),
        color=NAMED_COLOURS.get(name, SERIES_COLOURS[index % len(SERIES_COLOURS)]),
        linewidth=1.6,
        marker="o" if len(curve) < 12 else None,
        markersize=3,
        label=_label(prefix, name),
    )


def _label(prefix: str, name: str) -> str:
    words = {"train_loss": "training", "val_loss": "validation"}.get(name, name.replace("_", " "))
    ending = {
        "val_mae_mm_": ", single slices near it",
        "val_located_error_mm_": ", located in a series",
    }
    return words + ending.get(prefix, "")


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
