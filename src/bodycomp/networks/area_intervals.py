"""How far from the truth one model's areas may be: what held-out cases tell, kept in its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import Final

from bodycomp.errors import ModelError

COVERAGE: Final = 0.9
"""Share of new cases whose true area lies within the interval."""

ALL: Final = "all"
FLAGGED: Final = "flagged"
UNFLAGGED: Final = "unflagged"
GROUPS: Final = (ALL, FLAGGED, UNFLAGGED)
"""Cases whose intervals are made together: of every kind, or by whether a flag touches the area."""


def error_scale(area_cm2: float) -> float:
    """Return what an area's error is measured in.

    An error of a contour grows with its length, which grows with the root of the area. A pixel or
    two matter where there is hardly any tissue, hence the 1 cm2.
    """
    return sqrt(area_cm2 + 1.0)


@dataclass(frozen=True, slots=True)
class AreaBounds:
    """Within which bounds true minus measured area lies, in ``error_scale`` of the measured one.

    Attributes:
        patients, cases: Held-out ones that it is made of.

    Raises:
        ModelError: The bounds are no interval.
    """

    low: float
    high: float
    patients: int
    cases: int

    def __post_init__(self) -> None:
        if not (isfinite(self.low) and isfinite(self.high) and self.low <= self.high):
            raise ModelError(
                f"model card: expected an interval of areas, found {self.low} to {self.high}"
            )

    def around(self, area_cm2: float) -> tuple[float, float]:
        """Return the interval of an area, in cm2.

        >>> AreaBounds(-1.0, 0.5, 20, 20).around(99.0)
        (89.0, 104.0)
        """
        scale = error_scale(area_cm2)
        return max(area_cm2 + self.low * scale, 0.0), max(area_cm2 + self.high * scale, 0.0)


@dataclass(frozen=True)
class AreaIntervals:
    """The intervals of a segmentation model's areas.

    Attributes:
        source: Which cases they are made of, for people.
        coverage: Share of cases that they hold.
        slice_selection: Short digest of the model that placed the levels, whose errors are in them;
            empty if they are of slices that people chose.
        tissues: Tissue -> group of ``GROUPS`` -> bounds. ``all`` is always there, the others where
            there are cases enough.

    Raises:
        ModelError: A group is unknown, or ``all`` is missing.
    """

    source: str = ""
    coverage: float = COVERAGE
    slice_selection: str = ""
    tissues: Mapping[str, Mapping[str, AreaBounds]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for tissue, groups in self.tissues.items():
            if ALL not in groups or set(groups) - set(GROUPS):
                raise ModelError(
                    f"model card: expected intervals of {tissue} for {', '.join(GROUPS)}, "
                    f"found {', '.join(groups) or 'none'}"
                )

    def bounds(self, tissue: str, *, is_flagged: bool | None = None) -> AreaBounds | None:
        """Return the bounds of a tissue's area; None if there are none.

        ``is_flagged`` is None where flags are not known.
        """
        groups = self.tissues.get(tissue, {})
        group = ALL if is_flagged is None else FLAGGED if is_flagged else UNFLAGGED
        return groups.get(group, groups.get(ALL))

    def is_for(self, slice_selection: str) -> bool:
        """Whether they hold for levels that a model of this short digest finds."""
        return self.slice_selection in {"", slice_selection}
