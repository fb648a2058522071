"""When a level counts as found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bodycomp.errors import UsageError
from bodycomp.networks.confidence_calibration import LevelCalibration
from bodycomp.networks.targets import DEFAULT_SCALE_MM

SATURATION_SCALES = 5.0
"""A slice farther away than this many scales scores within 0.7 % of 0 or 1: it says no more."""


@dataclass(frozen=True, slots=True)
class ChoiceOptions:
    """When a level counts as found.

    Attributes:
        scale_mm: Scale of the target that the network was trained on (its model card).
        smoothing_mm: Standard deviation of the smoothing along z; 0 for none.
        max_misfit: Largest mean difference between the scores and the expected curve, over the
            series and around the level; 0.22 lets a step pass, 0.29 would let noise pass.
        margin_mm: By how much a second position, farther than two scales away, must fit worse.
        calibrations: Level -> calibration of its confidence (the model card); levels that are
            missing have the confidence of the curve's signs alone.

    Raises:
        UsageError: A value is out of range.
    """

    scale_mm: float = DEFAULT_SCALE_MM
    smoothing_mm: float = 4.0
    max_misfit: float = 0.25
    margin_mm: float = 10.0
    calibrations: Mapping[str, LevelCalibration] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.scale_mm > 0 and self.smoothing_mm >= 0 and self.margin_mm >= 0):
            raise UsageError("expected a positive scale, smoothing and margin of at least 0 mm")
        if not 0 < self.max_misfit < 1:
            raise UsageError(f"expected a misfit within 0..1, found {self.max_misfit}")
