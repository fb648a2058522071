"""Where the members of an ensemble disagree: positions of levels, areas of tissues, flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.quality_flags import MEMBERS_DISAGREE, MEMBERS_LEVEL_MM, members_flag
from bodycomp.anatomy import Tissue
from bodycomp.imaging.volume import Volume
from bodycomp.networks.targets import target_to_offset
from bodycomp.progress import Progress, no_progress
from bodycomp.results import LevelResult, QualityFlag, SliceChoice, zero_crossings_mm

LEAST_SPREAD_CM2 = 5.0
"""Members that differ by less than this agree, however small the tissue is."""


class MemberScores:
    """Scores of one scan's slices; remembers what each member of an ensemble said of them."""

    def __init__(self, scorer: Any, volume: Volume, progress: Progress = no_progress) -> None:
        self._scorer, self._volume, self._progress = scorer, volume, progress
        self._of_members: dict[int, NDArray[np.float32]] = {}
        self._is_ensemble = getattr(scorer, "members", 1) > 1

    def __call__(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Return (slice, level) scores of the slices named, in their order."""
        if not self._is_ensemble:
            scores: NDArray[np.float32] = self._scorer(self._volume, self._progress, indices)
            return scores
        found = self._scorer.score_members(self._volume, self._progress, indices)
        for place, index in enumerate(indices):
            self._of_members[int(index)] = found[1:, place]
        together: NDArray[np.float32] = found[0]
        return together

    def placed(self, choice: SliceChoice, column: int) -> SliceChoice:
        """Return a level that was found with the place that each member gives it.

        That is where the member's own scores pass the level, nearest to where all together place
        it; None where they do not pass it.
        """
        if choice.z_mm is None or not self._of_members:
            return choice
        indices = sorted(self._of_members)
        z_mm = self._volume.slice_z_mm[indices]
        scores = np.stack([self._of_members[index][:, column] for index in indices])
        offsets_mm = target_to_offset(scores.astype(np.float64), self._scorer.scale_mm)
        crossings = [zero_crossings_mm(own, z_mm) for own in offsets_mm.T]
        near = (
            float(own[np.abs(own - choice.z_mm).argmin()]) if own.size else None
            for own in crossings
        )
        return replace(choice, members_z_mm=tuple(near))


def with_members(
    level: LevelResult,
    masks: Mapping[int, NDArray[np.uint8]],
    volume: Volume,
    tissues: Sequence[Tissue],
) -> LevelResult:
    """Return a level with the smallest and largest area by a single member, and flags.

    ``masks`` are the segmenter's, which holds the members' labels beside them.
    """
    if not level.slice_indices:
        return level
    members: Mapping[int, NDArray[np.uint8]] = getattr(masks, "members", {})
    measured = dict(level.measurements)
    if members:
        labels = np.stack([members[index] for index in level.slice_indices])
        cm2 = volume.pixel_area_mm2 / 100 / len(labels)
        for tissue in tissues:
            areas = tissue.of(labels).sum(axis=(0, 2, 3)) * cm2
            measured[tissue.key] = replace(
                measured[tissue.key],
                members_low_cm2=float(areas.min()),
                members_high_cm2=float(areas.max()),
            )
    level = replace(level, measurements=measured)
    return replace(level, flags=(*level.flags, *_flags(level, tissues)))


def _flags(level: LevelResult, tissues: Sequence[Tissue]) -> Iterator[QualityFlag]:
    places = level.choice.members_z_mm
    missed, spread_mm = places.count(None), level.choice.members_spread_mm
    if missed:
        words = f"{missed} of {len(places)} members do not find the level"
        yield members_flag(words, None, MEMBERS_LEVEL_MM)
    elif spread_mm is not None and spread_mm > MEMBERS_LEVEL_MM:
        words = f"members place the level {spread_mm:.0f} mm apart"
        yield members_flag(words, spread_mm, MEMBERS_LEVEL_MM)
    for tissue in tissues:
        found = level.measurements[tissue.key]
        if found.members_low_cm2 is None or found.members_high_cm2 is None:
            continue
        spread_cm2 = found.members_high_cm2 - found.members_low_cm2
        share = spread_cm2 / max(found.area_cm2, 1e-9)
        if spread_cm2 > LEAST_SPREAD_CM2 and share > (MEMBERS_DISAGREE.limit or 0):
            words = (
                f"by single members {tissue.title.lower()} has {found.members_low_cm2:.0f} to "
                f"{found.members_high_cm2:.0f} cm2"
            )
            yield members_flag(words, share, MEMBERS_DISAGREE.limit, (f"{tissue.key}_",))
