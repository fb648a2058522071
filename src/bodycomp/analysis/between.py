"""What lies between two levels, as one more place to measure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bodycomp.errors import UsageError
from bodycomp.imaging.volume import Volume
from bodycomp.level_names import head_to_feet
from bodycomp.results import LevelStatus, SliceChoice


def check_between(pair: tuple[str, str], known: Sequence[str]) -> None:
    """Check that two levels can bound what is measured.

    Raises:
        UsageError: The model does not find one of them, or both are the same.
    """
    if pair[0] == pair[1] or not {*pair} <= {*known}:
        raise UsageError(
            f"expected two of the levels {', '.join(known)}, which the model finds, found "
            f"{' and '.join(pair)}",
            hint="Name the upper and the lower one, such as --between L1 L5.",
        )


def between_levels(
    choices: Sequence[SliceChoice], pair: tuple[str, str], volume: Volume
) -> SliceChoice:
    """Return what lies between two levels as a place of its own, named after both.

    It reaches from one level's position to the other's and is found if both are. Its confidence is
    the smaller of theirs, its slice the nearest to its middle, its offsets the
    distances from there; if it is not found, the mean of both levels' own.
    """
    upper, lower = (_level(choices, name) for name in head_to_feet(pair))
    ends = (upper, lower)
    places_mm = [end.z_mm for end in ends if end.z_mm is not None]
    found = len(places_mm) == len(ends)
    middle_mm = float(np.mean(places_mm)) if found else None
    missing = [end for end in ends if end.z_mm is None]
    absent = any(end.status is LevelStatus.ABSENT for end in missing)
    status = LevelStatus.ABSENT if absent else LevelStatus.UNCERTAIN
    weaker = min(ends, key=lambda end: 1.0 if end.confidence is None else end.confidence)
    away_mm = np.float32(0.5) * (upper.smoothed_offset_mm + lower.smoothed_offset_mm)
    if middle_mm is not None:
        away_mm = (volume.slice_z_mm - middle_mm).astype(np.float32)
    return SliceChoice(
        level=f"{upper.level}-{lower.level}",
        status=LevelStatus.FOUND if found else status,
        reason="; ".join(f"{end.level} is {end.status}: {end.reason}" for end in missing),
        slice_index=None if middle_mm is None else _nearest(volume, middle_mm),
        z_mm=middle_mm,
        offset_mm=away_mm,
        smoothed_offset_mm=away_mm,
        crossings=int(found),
        confidence=weaker.confidence if found else None,
        confidence_basis=weaker.confidence_basis if found else "",
        height_mm=abs(places_mm[0] - places_mm[1]) if found else 0.0,
    )


def _level(choices: Sequence[SliceChoice], name: str) -> SliceChoice:
    return next(choice for choice in choices if choice.level == name)


def _nearest(volume: Volume, z_mm: float) -> int:
    return int(np.abs(volume.slice_z_mm - z_mm).argmin())
