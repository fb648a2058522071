"""Scoring a part of the slices places levels as scoring all of them does."""

import numpy as np
import pytest

from bodycomp.analysis.coarse_to_fine import (
    choose_scored_slice,
    coarse_slices,
    score_where_needed,
)
from bodycomp.analysis.level_verdict import ChoiceOptions
from bodycomp.networks.targets import offset_to_target
from bodycomp.results import LevelStatus
from support.simulated_curves import simulate_curve


def scored(z_mm, offset_mm, scale_mm=10.0):
    """Return the partial scores and how many slices were asked for in all."""
    scores = offset_to_target(offset_mm, scale_mm).astype(np.float32)[:, None]
    asked = []

    def score(indices):
        asked.extend(indices)
        return scores[indices]

    options = ChoiceOptions(scale_mm=scale_mm)
    part = score_where_needed(score, z_mm, ["L3"], options)
    assert len(asked) == len(set(asked)) == np.count_nonzero(part.scored)
    chosen = [
        choose_scored_slice("L3", scores[:, 0], mask, z_mm, options)
        for mask in (part.scored, np.ones(len(z_mm), bool))
    ]
    return part, *chosen


@pytest.mark.slow
@pytest.mark.parametrize("block", range(5))
def test_same_choice_as_by_all_slices_over_500_series(block):
    statuses, shares = set(), []
    for seed in range(100):
        curve = simulate_curve(np.random.default_rng([block, seed]))
        part, quick, full = scored(curve.z_mm, curve.offset_mm, curve.scale_mm)

        assert quick.status is full.status
        assert quick.slice_index == full.slice_index
        assert quick.z_mm == pytest.approx(full.z_mm, abs=1e-6)
        statuses.add(full.status)
        shares.append(part.scored.mean())
    assert statuses == set(LevelStatus)
    assert np.mean(shares) < 0.75


def test_clear_series_needs_a_third_of_its_slices():
    z_mm = np.arange(0, 750, 2.5)
    part, quick, _ = scored(z_mm, z_mm - 300)
    assert np.count_nonzero(part.scored) < 100
    assert quick.z_mm == pytest.approx(300, abs=0.1)
    assert len(quick.offset_mm) == len(z_mm)


def test_level_that_is_clearly_outside_needs_few_slices():
    z_mm = np.arange(0, 750, 2.5)
    part, quick, full = scored(z_mm, z_mm + 200)
    assert part.scored.mean() < 0.4
    assert quick.status is LevelStatus.ABSENT
    assert quick.reason == full.reason


def test_unclear_series_is_scored_in_full():
    z_mm = np.arange(0, 500, 2.5)
    part, _, _ = scored(z_mm, np.random.default_rng(0).normal(0, 10, len(z_mm)))
    assert part.scored.all()


def test_coarse_slices_hold_both_ends_and_no_wider_gap_than_asked():
    z_mm = np.cumsum(np.random.default_rng(1).uniform(0.5, 8, 200))
    chosen = coarse_slices(z_mm, 10.0)
    assert (chosen[0], chosen[-1]) == (0, 199)
    assert np.diff(z_mm[chosen]).max() <= 10.0
