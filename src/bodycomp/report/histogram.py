"""Histograms of several groups as places of a vector drawing, which follows a page's colors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

WIDTH: Final = 380
HEIGHT: Final = 172
LEFT: Final = 10
RIGHT: Final = 370
TOP: Final = 8
BASE: Final = 134
BINS: Final = 24
TICKS: Final = 6
TAIL_PERCENT: Final = 0.5
"""Of the values this share lies beyond the axis on either side; it is drawn in the last bar."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """What one chart shows: groups of values, NaN left out, and a plausible range as a band."""

    title: str
    unit: str
    groups: Mapping[str, NDArray[np.floating]]
    limits: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class HistogramDrawing:
    """A chart as places in a picture of ``WIDTH`` x ``HEIGHT``.

    Attributes:
        outlines: Group, SVG path of its curve, and its summary in words.
        ticks: Place on the axis, and what stands there.
        band: Left end and width of the plausible range.
    """

    label: str
    unit: str
    outlines: tuple[tuple[str, str, str], ...]
    ticks: tuple[tuple[float, str], ...]
    band: tuple[float, float] | None


def draw_histogram(chart: Histogram) -> HistogramDrawing | None:
    """Return the drawing, None if there is no value; each curve shows shares of its own group."""
    groups = {name: values[np.isfinite(values)] for name, values in chart.groups.items()}
    groups = {name: values for name, values in groups.items() if values.size}
    if not groups:
        return None
    edges = _edges(np.concatenate(list(groups.values())))
    shares = {
        name: np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / values.size
        for name, values in groups.items()
    }
    top = max(float(share.max()) for share in shares.values())
    band = None
    if chart.limits is not None:
        low, high = (_across(limit, edges) for limit in chart.limits)
        band = (low, round(high - low, 1))
    return HistogramDrawing(
        label=f"{chart.title}, by group",
        unit=chart.unit,
        outlines=tuple(
            (name, _path(share / top), f"{name}: {_words(groups[name], chart.unit)}")
            for name, share in shares.items()
        ),
        ticks=tuple(
            (_across(value, edges), f"{value:g}")
            for value in nice_ticks(float(edges[0]), float(edges[-1]))
        ),
        band=band,
    )


def _edges(values: NDArray[np.floating]) -> NDArray[np.float64]:
    low, high = np.percentile(values, [TAIL_PERCENT, 100 - TAIL_PERCENT])
    if high - low < 1e-9 * max(1.0, abs(float(high))):
        low, high = low - 0.5, high + 0.5
    return np.linspace(float(low), float(high), BINS + 1)


def _across(value: float, edges: NDArray[np.float64]) -> float:
    share = np.clip((value - edges[0]) / (edges[-1] - edges[0]), 0, 1)
    return round(float(LEFT + share * (RIGHT - LEFT)), 1)


def _path(heights: NDArray[np.float64]) -> str:
    step = (RIGHT - LEFT) / len(heights)
    steps = (
        f"V{BASE - height * (BASE - TOP):.1f}H{LEFT + (position + 1) * step:.1f}"
        for position, height in enumerate(heights)
    )
    return f"M{LEFT},{BASE}{''.join(steps)}V{BASE}Z"


def _words(values: NDArray[np.floating], unit: str) -> str:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"median {middle:.4g} {unit}, half of all from {low:.4g} to {high:.4g}"


def nice_ticks(low: float, high: float, count: int = TICKS) -> tuple[float, ...]:
    """Return about ``count`` round numbers between two limits.

    >>> nice_ticks(-12, 31)
    (-10.0, 0.0, 10.0, 20.0, 30.0)
    """
    rough = (high - low) / count
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first = np.ceil(low / step - 1e-9) * step
    return tuple(
        float(value) + 0.0 for value in np.arange(first, high + 1e-9 * step, step).round(12)
    )
