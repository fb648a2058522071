"""Every sample once an epoch, whatever the batch size, the processes and the point of a resume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.training.steps.sampling import BatchPlan, step_seed

plans = st.builds(
    BatchPlan, samples=st.integers(1, 60), batch_size=st.integers(1, 20), seed=st.integers(0, 9)
)


@given(plans, st.integers(0, 5))
def test_an_epoch_holds_every_sample_once_and_no_tiny_batch(plan: BatchPlan, epoch: int):
    first = epoch * plan.steps_per_epoch
    batches = [plan.batch(first + i) for i in range(plan.steps_per_epoch)]
    assert sorted(np.concatenate(batches).tolist()) == list(range(plan.samples))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= plan.batch_size
    assert max(sizes) - min(sizes) <= 1


@given(plans, st.integers(1, 4), st.integers(0, 30))
def test_shares_of_processes_make_up_the_batch(plan: BatchPlan, world: int, step: int):
    batch = plan.batch(step)
    shares = [replace(plan, rank=rank, world=world).share(step) for rank in range(world)]
    counted = [index for share in shares if share.weight for index in share.indices]
    assert sorted(counted) == sorted(batch.tolist())
    assert all(share.indices for share in shares)


@given(plans, st.integers(1, 4), st.integers(0, 30))
def test_weighted_mean_over_processes_is_the_mean_over_the_batch(plan, world, step):
    value = np.random.default_rng(0).normal(size=plan.samples)
    shares = [replace(plan, rank=rank, world=world).share(step) for rank in range(world)]
    over_processes = np.mean([s.weight * value[list(s.indices)].mean() for s in shares])
    assert over_processes == pytest.approx(value[plan.batch(step)].mean())


def test_orders_differ_by_epoch_and_seed_and_repeat():
    plan = BatchPlan(samples=50, batch_size=50, seed=1)
    first, second = plan.batch(0).tolist(), plan.batch(1).tolist()
    assert first != second
    assert replace(plan, seed=2).batch(0).tolist() != first
    assert BatchPlan(samples=50, batch_size=50, seed=1).batch(0).tolist() == first


def test_a_sampler_that_starts_later_yields_the_same_rest():
    plan = BatchPlan(samples=7, batch_size=3, seed=0)
    whole = list(plan.shares(0, 9))
    assert list(plan.shares(4, 9)) == whole[4:]


def test_step_seeds_are_distinct():
    seeds = {step_seed(s, step, rank) for s in range(3) for step in range(50) for rank in range(3)}
    assert len(seeds) == 450
    assert max(seeds) < 2**63
