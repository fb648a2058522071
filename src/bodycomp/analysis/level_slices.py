"""The slices of one level with their labels, and what is derived from both more than once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.field_of_view import FieldOfView, border_pixels, field_of_view_radius_px
from bodycomp.analysis.skin_line import trunk_mask
from bodycomp.anatomy import Tissue
from bodycomp.imaging.orientation import OrientationTransform


@dataclass(frozen=True, eq=False)
class LevelSlices:
    """Slices that were measured at a level: (slice, row, column) HU and labels.

    ``middle`` is which of them is the level's own; ``turn`` leads from their grid to the standard
    view.
    """

    level: str
    hu: NDArray[np.generic]
    labels: NDArray[np.uint8]
    middle: int
    pixel_spacing_mm: tuple[float, float]
    tissues: Sequence[Tissue]
    turn: OrientationTransform = field(default_factory=OrientationTransform)

    @cached_property
    def trunk(self) -> NDArray[np.bool_]:
        """(row, column), the trunk on the level's own slice."""
        return trunk_mask(self.hu[self.middle], self.labels[self.middle], self.pixel_spacing_mm)

    @cached_property
    def field_of_view(self) -> FieldOfView:
        """The field of view of the level's own slice."""
        image = self.hu[self.middle]
        radius_px = field_of_view_radius_px(image)
        border = border_pixels((image.shape[0], image.shape[1]), radius_px)
        return FieldOfView(border, radius_px, self.pixel_spacing_mm)

    def area_cm2(self, mask: NDArray[np.bool_]) -> float:
        """Return the area of all pixels of a mask."""
        row_mm, column_mm = self.pixel_spacing_mm
        return int(np.count_nonzero(mask)) * row_mm * column_mm / 100


MOST_OUTSIDE: Final = 1 / 3
"""Largest share of labels outside the trunk. Both forearms beside the trunk, labelled whole, are
about a fifth; two upper arms beside a neck are 0.6 of the labels on a real scan."""


def why_no_trunk(slices: LevelSlices) -> str:
    """Return why the level's own slice cannot be one through the trunk; empty if it can."""
    labeled = slices.labels[slices.middle] > 0
    if not labeled.any():
        return ""
    share = float((labeled & ~slices.trunk).sum() / labeled.sum())
    if share <= MOST_OUTSIDE:
        return ""
    return (
        f"{share:.0%} of what is labelled there lies outside the trunk (at most "
        f"{MOST_OUTSIDE:.0%} expected), as on arms beside a neck"
    )
