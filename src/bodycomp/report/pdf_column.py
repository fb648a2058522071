"""Text from the top of a page of PDF downwards, in inches and points."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bodycomp.report.canvas import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, HEIGHT_IN = 8.27, 11.69
"""A4."""

MARGIN_IN: Final = 0.6
BOTTOM_IN: Final = 0.7
_POINTS_PER_IN: Final = 72
_LINE: Final = 1.35
"""Height of a line over the size of its letters."""
_LETTER: Final = 0.52
"""Mean width of a letter of DejaVu Sans over its size; lines broken by it end before the margin."""


@dataclass
class PageColumn:
    """Text from the top of a page downwards, as far as there is room."""

    figure: Figure
    top: float

    def write(self, text: str, size: float = 7.5, color: str = INK, *, bold: bool = False) -> None:
        """Write a paragraph; what finds no room is said to be missing."""
        room = (WIDTH_IN - 2 * MARGIN_IN) * _POINTS_PER_IN
        for line in textwrap.wrap(text, int(room / (size * _LETTER))):
            if self.top < BOTTOM_IN:
                return
            self.top -= size * _LINE / _POINTS_PER_IN
            is_last = self.top < BOTTOM_IN
            shown = (
                "... (no more room: the rest is in results.json and run.json)" if is_last else line
            )
            weight = "bold" if bold else "normal"
            write_text(
                self.figure, MARGIN_IN, self.top, shown, size=size, color=color, weight=weight
            )

    def section(
        self, title: str, paragraphs: Sequence[str], color: str = INK, size: float = 7.5
    ) -> None:
        """Write a heading and paragraphs; without these there is none."""
        if paragraphs:
            self.top -= 0.09
            self.write(title, 8.5, bold=True)
            for each in paragraphs:
                self.write(each, size, color)


def write_text(figure: Figure, left: float, bottom: float, text: str, **style: Any) -> None:
    """Write at a place in inches; nothing in the text is a formula."""
    figure.text(left / WIDTH_IN, bottom / HEIGHT_IN, text, parse_math=False, **style)


def page_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return axes at a place in inches."""
    inches = (left / WIDTH_IN, bottom / HEIGHT_IN, width / WIDTH_IN, height / HEIGHT_IN)
    return figure.add_axes(inches)
