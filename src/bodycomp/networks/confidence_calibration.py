"""How sure one model's positions are: what held-out series tell about its confidence.

The signs that a curve of scores shows are the same for all models (``analysis.confidence``); how
often a model is right although all signs are good is a property of the model, kept in its card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bodycomp.errors import ModelError


@dataclass(frozen=True, slots=True)
class LevelCalibration:
    """One level's calibration: ``logit = intercept + slope * logit of the signs``.

    Attributes:
        intercept: Logit where the signs say 50 %.
        slope: How much the signs tell of this model; 0 nothing, 1 as much as of simulated curves.
        series: Held-out series in which the level was found; the calibration is made of them.
        right: Those of them in which it was found within 10 mm.

    Raises:
        ModelError: A number is not finite, the slope is negative, or the counts contradict.
    """

    intercept: float
    slope: float
    series: int
    right: int

    def __post_init__(self) -> None:
        if not np.isfinite([self.intercept, self.slope]).all() or self.slope < 0:
            raise ModelError(
                "model card: expected a finite intercept and a slope of at least 0 as the "
                f"calibration of confidence, found {self.intercept} and {self.slope}"
            )
        if not 0 <= self.right <= self.series:
            raise ModelError(
                "model card: expected at most as many right series as there are in all, "
                f"found {self.right} of {self.series}"
            )

    def apply(self, logit: float) -> float:
        """Return the calibrated logit of a position from that of its signs."""
        return self.intercept + self.slope * logit


@dataclass(frozen=True)
class ConfidenceCalibration:
    """The calibrations of a slice-selection model's levels.

    Attributes:
        source: Which series they were made of, for people.
        levels: Level -> calibration; levels of which too few series are known are missing.
    """

    source: str = ""
    levels: Mapping[str, LevelCalibration] = field(default_factory=dict)
