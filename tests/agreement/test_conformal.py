"""Intervals hold the truth as often as they say, whatever the errors' distribution is."""

from __future__ import annotations

import numpy as np
import pytest

from bodycomp.agreement.conformal import conformal_bounds, fewest_patients


def test_bounds_are_the_order_statistics_of_split_conformal():
    errors = np.random.default_rng(0).normal(size=99)
    low, high = conformal_bounds([np.array([error]) for error in errors], 0.9)
    ranked = np.sort(errors)
    # ceil((n + 1) 0.95) = 95 of 99 from either end
    assert (low, high) == (ranked[-95], ranked[94])


def test_too_few_patients_bound_nothing():
    fewest = fewest_patients(0.9)
    some = [np.array([float(n)]) for n in range(fewest)]
    assert conformal_bounds(some, 0.9) == (0.0, fewest - 1.0)
    assert conformal_bounds(some[1:], 0.9) == (-np.inf, np.inf)


def test_a_patient_of_many_cases_weighs_no_more():
    some = [np.array([float(n)]) for n in range(40)]
    many = [*some[:-1], np.full(500, 39.0)]
    assert conformal_bounds(some, 0.9) == conformal_bounds(many, 0.9)


@pytest.mark.parametrize("cases", [1, 6])
@pytest.mark.parametrize("patients", [20, 60])
def test_coverage_on_simulated_errors_that_are_skewed_biased_and_clustered(patients, cases):
    rng = np.random.default_rng([patients, cases])

    def draw(count: int) -> list[np.ndarray]:
        own = rng.lognormal(0.0, 0.8, (count, 1)) - 3.0  # of the patient
        return list(own + rng.normal(0.0, 0.3, (count, cases)))

    held = []
    for _ in range(400):
        low, high = conformal_bounds(draw(patients), 0.9)
        new = np.concatenate(draw(20))
        held.append(np.mean((new >= low) & (new <= high)))
    assert 0.89 <= np.mean(held) <= 0.96
