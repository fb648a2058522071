"""Levels that were found must lie in anatomical order: the nearer to the head, the higher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from bodycomp.anatomy import level_order
from bodycomp.results import LevelStatus, SliceChoice


def check_level_order(choices: Sequence[SliceChoice]) -> tuple[SliceChoice, ...]:
    """Return the choices with those that break the anatomical order made uncertain.

    The level in conflict with most others is taken to be the wrong one; where several are equally
    suspicious, all of them are uncertain. The rest is looked at again until order reigns.
    """
    current = list(choices)
    while conflicts := _conflicts(current):
        most = max(len(others) for others in conflicts.values())
        for index, others in conflicts.items():
            if len(others) == most:
                current[index] = _doubt(current[index], [current[i].level for i in others])
    return tuple(current)


def _conflicts(choices: Sequence[SliceChoice]) -> dict[int, list[int]]:
    """Return index -> indices of the found levels that it is out of order with."""
    found = [
        (index, level_order(choice.level), choice.z_mm)
        for index, choice in enumerate(choices)
        if choice.z_mm is not None
    ]
    conflicts: dict[int, list[int]] = {}
    for (a, rank_a, z_a), (b, rank_b, z_b) in combinations(found, 2):
        headward, footward = (z_a, z_b) if rank_a < rank_b else (z_b, z_a)
        if headward <= footward:
            conflicts.setdefault(a, []).append(b)
            conflicts.setdefault(b, []).append(a)
    return conflicts


def _doubt(choice: SliceChoice, others: Sequence[str]) -> SliceChoice:
    place = "" if choice.z_mm is None else f" at z = {choice.z_mm:.0f} mm"
    return replace(
        choice,
        status=LevelStatus.UNCERTAIN,
        reason=f"found{place}, out of anatomical order with {', '.join(others)}",
        slice_index=None,
        z_mm=None,
    )
