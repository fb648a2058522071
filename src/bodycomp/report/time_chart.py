"""One quantity over time as a picture in SVG: values, how well they repeat, corrected values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 380.0, 190.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 370.0, 12.0, 150.0


@dataclass(frozen=True, slots=True)
class TimePoint:
    """A value at a time, with half the width of its interval, 0 for none, and its name."""

    months: float
    value: float
    half: float = 0.0
    words: str = ""
    is_corrected: bool = False


@dataclass(frozen=True)
class TimeChart:
    """A chart ready to be drawn.

    Attributes:
        ticks_x, ticks_y: (place, words).
        line: Points of the line through the measured values.
        dots: (x, y, y of the interval's ends, words, whether corrected).
    """

    title: str
    unit: str
    label: str
    ticks_x: tuple[tuple[float, str], ...]
    ticks_y: tuple[tuple[float, str], ...]
    line: str
    dots: tuple[tuple[float, float, float, float, str, bool], ...]


def draw_time_chart(title: str, unit: str, points: Sequence[TimePoint]) -> TimeChart:
    """Return a chart of points in order of time; there must be one."""
    most = max(point.months for point in points) or 1.0
    low = min(point.value - point.half for point in points)
    high = max(point.value + point.half for point in points)
    margin = 0.08 * (high - low) or max(abs(high) * 0.05, 1.0)
    low, high = low - margin, high + margin

    def x(months: float) -> float:
        return round(_LEFT + 8 + months / most * (_RIGHT - _LEFT - 16), 1)

    def y(value: float) -> float:
        return round(_BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP), 1)

    raw = [point for point in points if not point.is_corrected]
    said = ", then ".join(f"{p.value:.1f} {unit} at month {p.months:.1f}" for p in raw)
    return TimeChart(
        title,
        unit,
        f"{title} over time: {said}",
        tuple((x(tick), f"{tick:g}") for tick in _ticks(0.0, most)),
        tuple((y(tick), f"{tick:g}".replace("-", "\N{MINUS SIGN}")) for tick in _ticks(low, high)),
        " ".join(f"{x(p.months)},{y(p.value)}" for p in raw),
        tuple(
            (
                *(x(p.months), y(p.value), y(p.value - p.half), y(p.value + p.half)),
                *(p.words, p.is_corrected),
            )
            for p in points
        ),
    )


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two others, four or so.

    >>> _ticks(0.0, 13.0), _ticks(101.0, 118.0)
    ([0.0, 5.0, 10.0], [105.0, 110.0, 115.0])
    """
    rough = (high - low) / 4
    power = 10.0 ** int(f"{rough:e}".partition("e")[2])
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    first = -int(-low // step)
    return [round(n * step, 6) for n in range(first, int(high // step) + 1)]
