"""How long a training will still take, and times and sizes in words."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

PACE_STEPS: Final = 50


class Pace:
    """Time per step, by the latest ones."""

    def __init__(self) -> None:
        self._laps_s: deque[float] = deque(maxlen=PACE_STEPS)
        self._is_warm = False

    def add(self, seconds: float) -> None:
        """Note a step's time; the first one, which takes longer, tells nothing of the others."""
        if not self._is_warm:
            self._is_warm = True
            return
        self._laps_s.append(seconds)

    @property
    def step_s(self) -> float | None:
        """Mean time of a step; None before the second one."""
        return sum(self._laps_s) / len(self._laps_s) if self._laps_s else None


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a training.

    Attributes:
        steps: Steps.
        steps_per_epoch: An epoch's validation follows after so many.
        step_s: Time of a step.
        validation_s: Time of a validation.
    """

    steps: int
    steps_per_epoch: int
    step_s: float
    validation_s: float

    def seconds(self, *, allowed_s: float | None = None) -> float:
        """Return the time that it takes, at most ``allowed_s``.

        >>> Work(steps=250, steps_per_epoch=100, step_s=2.0, validation_s=30.0).seconds()
        590.0
        """
        epochs = math.ceil(self.steps / self.steps_per_epoch)
        whole = self.steps * self.step_s + epochs * self.validation_s
        return whole if allowed_s is None else min(whole, max(allowed_s, 0.0))


def duration(seconds: float) -> str:
    """Return a time for people.

    >>> duration(0.42), duration(48), duration(754), duration(11_100), duration(190_000)
    ('0.42 s', '48 s', '13 min', '3 h 05 min', '2 d 4 h')
    """
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def size(count: float) -> str:
    """Return a number of bytes for people.

    >>> size(0), size(2_300_000), size(2_345_678_901)
    ('0 MB', '2.3 MB', '2.35 GB')
    """
    megabytes = count / 1e6
    if megabytes >= 1000:
        return f"{megabytes / 1000:.3g} GB" if megabytes < 1e4 else f"{megabytes / 1000:.0f} GB"
    return f"{megabytes:.2g} MB" if megabytes < 10 else f"{megabytes:.0f} MB"
