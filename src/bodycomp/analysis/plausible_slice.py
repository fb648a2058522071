"""Whether what was labelled on a level's slice can be a trunk, whatever the scores say.

A network for slice selection knows the bodies that it was trained on. A neck between two arms can
score like an abdomen; its labels then lie on several pieces of body, which no slice through the
trunk has.
"""

from __future__ import annotations

from typing import Final

from bodycomp.analysis.level_slices import LevelSlices

MOST_OUTSIDE: Final = 1 / 3
"""Largest share of labels outside the trunk. Both forearms beside the trunk, labelled whole, are
about a fifth; two upper arms beside a neck are 0.6 of the labels on a real scan."""


def why_no_trunk(slices: LevelSlices) -> str:
    """Return why the level's own slice cannot be one through the trunk; empty if it can."""
    labelled = slices.labels[slices.middle] > 0
    if not labelled.any():
        return ""
    share = float((labelled & ~slices.trunk).sum() / labelled.sum())
    if share <= MOST_OUTSIDE:
        return ""
    return (
        f"{share:.0%} of what is labelled there lies outside the trunk (at most "
        f"{MOST_OUTSIDE:.0%} expected), as on arms beside a neck"
    )
