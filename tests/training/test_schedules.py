"""Learning rates, compared with those of the earlier implementation where it had them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bodycomp.errors import UsageError
from bodycomp.training.steps.schedules import SCHEDULES, Position, learning_rate_factor

LEGACY = Path(__file__).parents[2] / "../shared/legacy/lr_schedule.npz"


def factors(schedule: str, epochs: int, per_epoch: int = 1, half_time: float = 20.0) -> np.ndarray:
    return np.array(
        [
            learning_rate_factor(
                schedule, Position(step / per_epoch, epochs), half_time_epochs=half_time
            )
            for step in range(epochs * per_epoch)
        ]
    )


@pytest.mark.skipif(not LEGACY.exists(), reason="no files of the earlier implementation")
def test_step_is_that_of_the_earlier_implementation():
    with np.load(LEGACY) as legacy:
        assert legacy.files
        for name in legacy.files:
            epochs = int(name.rsplit("_", 1)[1])
            rates = legacy[name]
            np.testing.assert_allclose(factors("step", epochs) * rates[0], rates, err_msg=name)


def test_step_changes_between_epochs_only():
    rates = factors("step", 10, per_epoch=7).reshape(10, 7)
    assert (rates == rates[:, :1]).all()


def test_cosine_warms_up_and_ends_near_zero():
    rates = factors("cosine", 100, per_epoch=4)
    assert rates[0] == pytest.approx(0.01)
    assert rates.max() == pytest.approx(1.0)
    assert np.argmax(rates) == 20  # 5 % of 400 steps
    assert rates[-1] < 1e-3
    assert (np.diff(rates[20:]) < 0).all()


def test_cosine_follows_the_clock_when_that_is_ahead():
    ahead = Position(epoch=10, epochs=100, elapsed_share=0.6)
    assert learning_rate_factor("cosine", ahead, half_time_epochs=20) == pytest.approx(
        learning_rate_factor("cosine", Position(60, 100), half_time_epochs=20)
    )
    over = Position(epoch=10, epochs=100, elapsed_share=1.3)
    assert learning_rate_factor("cosine", over, half_time_epochs=20) == pytest.approx(0, abs=1e-12)


def test_half_life_halves():
    rates = factors("half-life", 60, half_time=15)
    np.testing.assert_allclose(rates[15:] / rates[:-15], 0.5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_schedule_exceeds_the_initial_rate(schedule):
    rates = factors(schedule, 40, per_epoch=3)
    assert (rates >= 0).all()
    assert (rates <= 1).all()


def test_unknown_schedule_is_refused():
    with pytest.raises(UsageError, match="unknown schedule 'linear'"):
        factors("linear", 2)
