"""Scores of a series' slices -> where its levels lie: from scans and training sets alike.

Every so many mm a slice is scored first, then all of them where a level can be. The slices near a
level decide alone where it is placed, so that scoring the rest changes nothing as long as the
verdict is clear. Where it is not, every slice is scored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.level_verdict import NEAR_SCALES, ChoiceOptions, choose_slice
from bodycomp.analysis.spine_fit import fit_spine
from bodycomp.level_names import head_to_feet, vertebra_rank
from bodycomp.networks.targets import target_to_offset
from bodycomp.results import LevelStatus, SliceChoice
from bodycomp.validation.check_offsets import STEP_MM

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

AGREE_SCALES: Final = 2.5
"""A level agrees with the others if it lies nearer than this to where an average spine has it: a
spine of other proportions than the average moves levels by less than a vertebra."""

LOOK_SCALES: Final = 5.0
"""Around where others place a level, slices within this many scales are looked at."""

FEWEST_SUPPORTS: Final = 2
"""So many other levels must agree before a level is doubted, or looked for again."""

FEWEST_SLICES: Final = 5
"""With fewer slices around a place a level is not looked for there."""

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


def locate_levels(
    score: ScoreSlices,
    z_mm: NDArray[np.float64],
    levels: Sequence[str],
    options: ChoiceOptions,
    *,
    score_all: bool = False,
) -> tuple[SliceChoice, ...]:
    """Locate the levels of one series.

    Slices at ``z_mm`` ascend; ``levels`` are the columns of the scores. With ``score_all`` every
    slice is scored, rather than some first and then those where a level can be.
    """
    if score_all:
        scores = Scores(score(range(len(z_mm))), np.ones(len(z_mm), dtype=np.bool_))
    else:
        scores = score_where_needed(score, z_mm, levels, options)
    choices = [
        choose_scored_slice(level, scores.values[:, column], scores.scored, z_mm, options)
        for column, level in enumerate(levels)
    ]
    return check_levels_together(_choose_together(choices, scores, z_mm, options))


def _choose_together(
    choices: Sequence[SliceChoice],
    scores: Scores,
    z_mm: NDArray[np.float64],
    options: ChoiceOptions,
) -> list[SliceChoice]:
    """Look once more at levels that are not where a spine through all scores has them.

    A level that is not found, though the spine has it inside the series, is looked for around
    there. One that is found elsewhere is uncertain. Both only where the spine passes through at
    least ``FEWEST_SUPPORTS`` other levels that were found.
    """
    seen_mm, seen = z_mm[scores.scored], scores.values[scores.scored]
    fit = fit_spine(seen, seen_mm, [choice.level for choice in choices], options.scale_mm)
    if fit is None:
        return list(choices)
    near_mm, checked = AGREE_SCALES * options.scale_mm, []
    agrees = {
        choice.level: choice.z_mm is not None
        and choice.level in fit.z_mm
        and abs(choice.z_mm - fit.z_mm[choice.level]) <= near_mm
        for choice in choices
    }
    for column, choice in enumerate(choices):
        supports = sum(agrees.values()) - agrees[choice.level]
        if agrees[choice.level] or choice.level not in fit.z_mm or supports < FEWEST_SUPPORTS:
            checked.append(choice)
            continue
        expected_mm = fit.z_mm[choice.level]
        again = _look_near(choice.level, scores, column, (z_mm, expected_mm), options)
        if again is not None and abs((again.z_mm or 0.0) - expected_mm) <= near_mm:
            checked.append(again)
        elif choice.z_mm is not None:
            why = f"where the other levels place it at about {expected_mm:.0f} mm"
            checked.append(choice.doubted(f"found at z = {choice.z_mm:.0f} mm, {why}"))
        else:
            checked.append(choice)
    return checked


def _look_near(
    level: str,
    scores: Scores,
    column: int,
    place: tuple[NDArray[np.float64], float],
    options: ChoiceOptions,
) -> SliceChoice | None:
    """Choose the slice of a level among those around a place; None if it is not found there."""
    z_mm, expected_mm = place
    if not z_mm[0] <= expected_mm <= z_mm[-1]:
        return None
    around = np.abs(z_mm - expected_mm) <= LOOK_SCALES * options.scale_mm
    if np.count_nonzero(around & scores.scored) < FEWEST_SLICES:
        return None
    values = scores.values[:, column]
    part = choose_scored_slice(level, values[around], scores.scored[around], z_mm[around], options)
    if part.z_mm is None:
        return None
    offset_mm = target_to_offset(values, options.scale_mm).astype(np.float32)
    smooth_mm = offset_mm.copy()
    smooth_mm[around] = part.smoothed_offset_mm
    index = int(np.argmin(np.abs(z_mm - part.z_mm)))
    return replace(
        part,
        slice_index=index,
        offset_mm=offset_mm,
        smoothed_offset_mm=smooth_mm,
        scored=None if scores.scored.all() else scores.scored,
    )


def check_levels_together(choices: Sequence[SliceChoice]) -> tuple[SliceChoice, ...]:
    """Return the choices with those that contradict each other made uncertain.

    Two vertebrae contradict each other if the one nearer to the head lies lower, or if they lie
    nearer to or farther from each other than vertebrae do (9..55 mm from one to the next). Nothing
    is known of the order of other levels, which contradict nothing.

    The level in conflict with most others is taken to be the wrong one; where several are equally
    suspicious, all of them are uncertain. The rest is looked at again until order reigns.
    """
    current = list(choices)
    while conflicts := _conflicts(current):
        before = list(current)
        most = max(len(others) for others in conflicts.values())
        for index, others in conflicts.items():
            if len(others) == most:
                current[index] = _doubt(current[index], [before[i] for i in others])
    return tuple(current)


def _conflicts(choices: Sequence[SliceChoice]) -> dict[int, list[int]]:
    """Return index -> indices of the found levels that it contradicts."""
    found = [
        (index, rank, choice.z_mm)
        for index, choice in enumerate(choices)
        if choice.z_mm is not None and (rank := vertebra_rank(choice.level)) is not None
    ]
    conflicts: dict[int, list[int]] = {}
    for (a, rank_a, z_a), (b, rank_b, z_b) in combinations(found, 2):
        steps = abs(rank_a - rank_b)
        apart_mm = z_a - z_b if rank_a < rank_b else z_b - z_a
        if not steps * STEP_MM[0] <= apart_mm <= steps * STEP_MM[1]:
            conflicts.setdefault(a, []).append(b)
            conflicts.setdefault(b, []).append(a)
    return conflicts


def _apart_mm(choice: SliceChoice, other: SliceChoice) -> float:
    """Return how much higher the level that is nearer to the head lies than the other one."""
    z_mm = {each.level: each.z_mm or 0.0 for each in (choice, other)}
    upper, lower = head_to_feet(z_mm)
    return z_mm[upper] - z_mm[lower]


def _doubt(choice: SliceChoice, others: Sequence[SliceChoice]) -> SliceChoice:
    swapped = [other for other in others if _apart_mm(choice, other) <= 0]
    names = ", ".join(other.level for other in swapped or others)
    what = "out of anatomical order with" if swapped else "at a distance that no spine has from"
    place = "" if choice.z_mm is None else f" at z = {choice.z_mm:.0f} mm"
    return choice.doubted(f"found{place}, {what} {names}")
