"""Scores of a series' slices -> where its levels lie: from scans and training sets alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.coarse_to_fine import (
    Scores,
    ScoreSlices,
    choose_scored_slice,
    score_where_needed,
)
from bodycomp.analysis.level_verdict import ChoiceOptions
from bodycomp.analysis.spine_fit import fit_spine
from bodycomp.level_names import head_to_feet, vertebra_rank
from bodycomp.networks.targets import target_to_offset
from bodycomp.results import SliceChoice
from bodycomp.validation.check_offsets import STEP_MM

AGREE_SCALES: Final = 2.5
"""A level agrees with the others if it lies nearer than this to where an average spine has it: a
spine of other proportions than the average moves levels by less than a vertebra."""

LOOK_SCALES: Final = 5.0
"""Around where others place a level, slices within this many scales are looked at."""

FEWEST_SUPPORTS: Final = 2
"""So many other levels must agree before a level is doubted, or looked for again."""

FEWEST_SLICES: Final = 5
"""With fewer slices around a place a level is not looked for there."""


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
