"""Which slices to score: every so many mm first, then all of them where a level can be.

The slices near a level decide alone where it is placed, so that scoring the rest changes nothing
as long as the verdict is clear. Where it is not, every slice is scored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.level_verdict import NEAR_SCALES, ChoiceOptions, choose_slice
from bodycomp.networks.targets import target_to_offset
from bodycomp.results import LevelStatus, SliceChoice

COARSE_SCALES: Final = 1.5
"""Distance of the first slices that are scored, in scales of the target."""

WORTH_SHARE: Final = 0.7
"""If the first round and one level's surroundings take more of the slices, all are scored."""

MISFIT_SHARE: Final = 0.7
MARGIN_FACTOR: Final = 2.5
"""A verdict is clear if it holds with this share of the misfit and this multiple of the margin."""

SMOOTHING_REACH: Final = 5.0
"""Slices farther away than this many standard deviations have no weight in the smoothing."""

ABSENT_SCORE: Final = 0.95
"""A level is clearly absent if every score says more than this, or less than its opposite."""

ScoreSlices = Callable[[Sequence[int]], NDArray[np.float32]]
"""Slice indices -> (slice, level) scores."""


@dataclass(frozen=True, eq=False)
class Scores:
    """(slice, level) scores of a series, interpolated where ``scored`` (slice,) says no."""

    values: NDArray[np.float32]
    scored: NDArray[np.bool_]


def score_where_needed(
    score: ScoreSlices,
    z_mm: NDArray[np.float64],
    levels: Sequence[str],
    options: ChoiceOptions,
) -> Scores:
    """Score as many slices of a series as its levels need to be placed as by all of them.

    ``z_mm`` (slice,) ascend; ``levels`` are the columns of the scores.
    """
    search = _Search(score, z_mm, levels, options)
    first = coarse_slices(z_mm, COARSE_SCALES * options.scale_mm)
    reach_mm = _reach_mm(options)
    around = int(np.ceil(2 * reach_mm / max(float(np.median(np.diff(z_mm))), 1e-3)))
    if len(first) + around * len(levels) > WORTH_SHARE * len(z_mm):
        search.add(np.arange(len(z_mm)))
    else:
        search.add(first)
        search.refine()
    return search.result()


def coarse_slices(z_mm: NDArray[np.float64], step_mm: float) -> NDArray[np.intp]:
    """Return slices at most ``step_mm`` apart where slices allow it, with the first and the last.

    >>> coarse_slices(np.arange(10) * 3.0, 10.0).tolist()
    [0, 3, 6, 9]
    """
    chosen = [0]
    for index in range(1, len(z_mm)):
        last = index == len(z_mm) - 1
        if last or z_mm[index + 1] - z_mm[chosen[-1]] > step_mm:
            chosen.append(index)
    return np.array(chosen if len(z_mm) > 1 else [0], dtype=np.intp)


def _reach_mm(options: ChoiceOptions) -> float:
    """Return how far from a crossing slices have a part in where the level is placed."""
    judged_mm = NEAR_SCALES * options.scale_mm
    # Crossings within two scales of the best position compete; their smoothing reaches farther.
    smoothed_mm = 2 * options.scale_mm + SMOOTHING_REACH * options.smoothing_mm
    return max(judged_mm, smoothed_mm) + options.scale_mm


def choose_scored_slice(
    level: str,
    score: NDArray[np.float32],
    scored: NDArray[np.bool_],
    z_mm: NDArray[np.float64],
    options: ChoiceOptions,
) -> SliceChoice:
    """Choose the slice of a level by the slices that were scored; see ``choose_slice``.

    All arrays are (slice,).
    """
    seen_mm = z_mm[scored]
    choice = choose_slice(
        level, target_to_offset(score[scored], options.scale_mm), seen_mm, options
    )
    if scored.all():
        return choice
    offset, smooth = (
        np.interp(z_mm, seen_mm, values).astype(np.float32)
        for values in (choice.offset_mm, choice.smoothed_offset_mm)
    )
    index = None if choice.z_mm is None else int(np.argmin(np.abs(z_mm - choice.z_mm)))
    return replace(
        choice, slice_index=index, offset_mm=offset, smoothed_offset_mm=smooth, scored=scored
    )


class _Search:
    """Grows the set of scored slices."""

    def __init__(
        self,
        score: ScoreSlices,
        z_mm: NDArray[np.float64],
        levels: Sequence[str],
        options: ChoiceOptions,
    ) -> None:
        self._score, self._z_mm, self._levels = score, z_mm, levels
        self._strict = replace(
            options,
            max_misfit=options.max_misfit * MISFIT_SHARE,
            margin_mm=options.margin_mm * MARGIN_FACTOR,
        )
        self._options = options
        self._values = np.zeros((len(z_mm), len(levels)), dtype=np.float32)
        self._scored = np.zeros(len(z_mm), dtype=np.bool_)

    def add(self, wanted: NDArray[np.intp]) -> bool:
        """Score those of the slices that are not yet scored; whether there were any."""
        new = wanted[~self._scored[wanted]]
        if new.size:
            self._values[new] = self._score(new.tolist())
            self._scored[new] = True
        return bool(new.size)

    def refine(self) -> None:
        """Score the surroundings of every level until they are complete, or else everything."""
        while True:
            needed = [self._needed(column) for column in range(len(self._levels))]
            if any(indices is None for indices in needed):
                self.add(np.arange(len(self._z_mm)))
                return
            together = np.unique(np.concatenate([i for i in needed if i is not None]))
            if not self.add(together):
                return

    def result(self) -> Scores:
        """Return all scores, those between scored slices interpolated."""
        values = np.stack(
            [
                np.interp(self._z_mm, self._z_mm[self._scored], column[self._scored])
                for column in self._values.T
            ],
            axis=1,
        )
        return Scores(values.astype(np.float32), self._scored)

    def _needed(self, column: int) -> NDArray[np.intp] | None:
        """Return the slices that place a level; None if that is not clear."""
        scores = self._values[self._scored, column]
        if bool(np.all(scores > ABSENT_SCORE) or np.all(scores < 1 - ABSENT_SCORE)):
            end_mm = self._z_mm[0 if scores[0] > ABSENT_SCORE else -1]
            return self._within(float(end_mm))
        choice = self._choose(column)
        if choice.status is not LevelStatus.FOUND or choice.z_mm is None:
            return None
        needed = self._within(choice.z_mm)
        complete = bool(self._scored[needed].all())
        if complete and self._rises_more_than_once(choice):
            return None
        return needed

    def _choose(self, column: int) -> SliceChoice:
        z_mm = self._z_mm[self._scored]
        offset_mm = target_to_offset(self._values[self._scored, column], self._options.scale_mm)
        return choose_slice(self._levels[column], offset_mm, z_mm, self._strict)

    def _within(self, z_mm: float) -> NDArray[np.intp]:
        near = np.abs(self._z_mm - z_mm) <= _reach_mm(self._options)
        return np.flatnonzero(near)

    def _rises_more_than_once(self, choice: SliceChoice) -> bool:
        """Whether several crossings near a level compete, so that far slices might decide."""
        smooth, z_mm = choice.smoothed_offset_mm, self._z_mm[self._scored]
        rises = np.flatnonzero((smooth[:-1] < 0) & (smooth[1:] >= 0))
        near = np.abs(z_mm[rises] - (choice.z_mm or 0.0)) <= 4 * self._options.scale_mm
        return int(np.count_nonzero(near)) != 1
