"""Scores of a series' slices -> where its levels lie: from scans and training sets alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.coarse_to_fine import (
    Scores,
    ScoreSlices,
    choose_scored_slice,
    score_where_needed,
)
from bodycomp.analysis.joint_levels import choose_together
from bodycomp.analysis.level_verdict import ChoiceOptions
from bodycomp.level_names import head_to_feet, vertebra_rank
from bodycomp.results import SliceChoice
from bodycomp.validation.check_offsets import STEP_MM


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
    placed = check_levels_together(choose_together(choices, scores, z_mm, options))
    return tuple(_confident(choice, options.least_confidence) for choice in placed)


def _confident(choice: SliceChoice, least: float) -> SliceChoice:
    if choice.confidence is None or choice.z_mm is None or choice.confidence >= least:
        return choice
    return choice.doubted(
        f"found at z = {choice.z_mm:.0f} mm with a confidence of {choice.confidence:.2f}, "
        f"at least {least:g} asked for"
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
