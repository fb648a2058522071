"""What held-out series of a model do to the confidence of its positions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.analysis.confidence import calibrated
from bodycomp.analysis.confidence_fit import FEWEST_SERIES, fit_calibration
from bodycomp.analysis.level_verdict import ChoiceOptions, choose_slice
from bodycomp.networks.confidence_calibration import LevelCalibration
from bodycomp.training.slice_metrics import locate_in_series

Z_MM = np.arange(-150, 150, 4.0)


def confidences(count, rng):
    """As they are: most curves clear, some with signs of trouble."""
    return 1 / (1 + np.exp(-(2.73 - rng.gamma(1.0, 0.8, count))))


def mean_after(confidence, right):
    made = fit_calibration(confidence, right)
    return np.mean([calibrated(c, made) for c in confidence])


@pytest.mark.parametrize("count", [5, 12, 60, 400])
def test_confidence_rises_for_a_network_that_is_always_right_and_more_with_more_series(count):
    before = confidences(count, np.random.default_rng(count))
    always = np.ones(count, np.bool_)
    after = mean_after(before, always)
    assert before.mean() < after < 1
    assert mean_after(before[: count // 2 + 3], always[: count // 2 + 3]) < after + 0.02


@pytest.mark.parametrize("count", [12, 60, 400])
def test_confidence_is_near_one_half_for_a_network_that_is_wrong_half_of_the_time(count):
    before = confidences(count, np.random.default_rng(count))
    right = np.arange(count) % 2 == 0
    assert before.mean() > 0.8
    assert mean_after(before, right) == pytest.approx(0.5, abs=0.4 / np.sqrt(count))


def test_few_series_move_it_less_than_many():
    rng = np.random.default_rng(0)
    before = confidences(400, rng)
    right = rng.random(400) < 0.3
    typical = 0.9
    moved = []
    for count in (5, 12, 50, 400):
        share = np.zeros(count, np.bool_)
        share[: round(0.3 * count)] = True
        made = fit_calibration(before[:count], share)
        moved.append(typical - calibrated(typical, made))
    assert moved[0] > 0.1  # but they do move it: 1 or 2 of 5 is not 90 %
    assert moved == sorted(moved)
    assert mean_after(before, right) == pytest.approx(right.mean(), abs=0.02)


def test_too_few_series_tell_nothing():
    few = FEWEST_SERIES - 1
    assert fit_calibration(np.full(few, 0.9), np.ones(few, np.bool_)) is None
    assert fit_calibration(np.array([]), np.array([], np.bool_)) is None


@given(
    st.lists(st.tuples(st.floats(0.02, 0.98), st.booleans()), min_size=FEWEST_SERIES, max_size=30)
)
def test_worse_signs_never_raise_confidence(series):
    confidence, right = (np.array(column) for column in zip(*series, strict=True))
    made = fit_calibration(confidence, right)
    after = [calibrated(c, made) for c in np.linspace(0.05, 0.95, 19)]
    assert np.all(np.diff(after) >= 0)
    assert after[0] > 0
    assert after[-1] < 1


def test_signs_count_for_as_much_as_they_tell_of_the_model():
    """The slope is flat where bad signs do not go with wrong positions."""
    rng = np.random.default_rng(1)
    confidence = confidences(300, rng)
    unrelated = fit_calibration(confidence, rng.random(300) < 0.8)
    related = fit_calibration(confidence, rng.random(300) < confidence)
    assert unrelated.slope < 0.4
    assert related.slope > 0.7


def test_a_choice_says_what_its_confidence_rests_on():
    made = {"L3": LevelCalibration(intercept=-1.0, slope=0.5, series=12, right=7)}
    plain = choose_slice("L3", Z_MM, Z_MM)
    own = choose_slice("L3", Z_MM, Z_MM, ChoiceOptions(calibrations=made))
    other = choose_slice("T8", Z_MM, Z_MM, ChoiceOptions(calibrations=made))
    assert plain.confidence_basis == other.confidence_basis == "not calibrated for this model"
    assert own.confidence_basis == "calibrated on 12 held-out series"
    assert own.confidence == pytest.approx(calibrated(plain.confidence, made["L3"]))
    assert own.confidence < plain.confidence == other.confidence
    nowhere = choose_slice("L3", np.full_like(Z_MM, 40.0), Z_MM)
    assert nowhere.confidence is None
    assert nowhere.confidence_basis == ""


def test_a_network_that_is_wrong_in_good_order_is_believed_less():
    """Perfect curves at the wrong height: no sign of trouble, but the truth tells."""

    def calibration(shifts_mm):
        offset = np.tile(Z_MM, len(shifts_mm))
        estimated = np.concatenate([Z_MM + shift for shift in shifts_mm])
        names = np.repeat([f"s{i:02}" for i in range(len(shifts_mm))], len(Z_MM))
        options = ChoiceOptions()
        [located] = locate_in_series(["L3"], offset[:, None], estimated[:, None], names, options)
        return located.calibration()

    clear = choose_slice("L3", Z_MM, Z_MM).confidence
    good, bad = calibration([2.0] * 12), calibration([2.0, 33.0, -30.0] * 4)
    assert (good.series, good.right) == (12, 12)
    assert (bad.series, bad.right) == (12, 4)
    assert calibrated(clear, good) > clear > 0.9
    assert calibrated(clear, bad) < 0.55


def test_positions_in_series_without_the_level_count_as_wrong():
    above = np.arange(60, 260, 4.0)
    estimated = np.concatenate([Z_MM] * 6 + [above - 150.0])  # found 90 mm above the truth
    offset = np.concatenate([Z_MM] * 6 + [above])
    names = np.repeat([*"abcdef", "g"], [len(Z_MM)] * 6 + [len(above)])
    [located] = locate_in_series(
        ["L3"], offset[:, None], estimated[:, None], names, ChoiceOptions()
    )
    assert len(located.errors_mm) == 6  # metrics are about series that hold the level
    made = located.calibration()
    assert (made.series, made.right) == (7, 6)
