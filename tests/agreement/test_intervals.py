"""Intervals over patients against SciPy's bootstrap and against simulated data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bodycomp.agreement import statistics as catalog
from bodycomp.agreement.intervals import bootstrap, wilson_interval
from bodycomp.agreement.statistics import (
    BIAS,
    DIFFERENCE_SD,
    ICC_2_1,
    LIN_CONCORDANCE,
    LOWER_LIMIT,
    MEAN,
    MEDIAN,
    PEARSON,
    UPPER_LIMIT,
    Statistic,
    difference_of,
    quantile,
)
from bodycomp.errors import UsageError
from bodycomp.evaluation.metrics import Better, better_model

OF_ONE = {"mean": MEAN, "median": MEDIAN, "p90": quantile(0.9), "low": quantile(0.2)}
OF_PAIRS = {
    "bias": BIAS,
    "difference sd": DIFFERENCE_SD,
    "lower": LOWER_LIMIT,
    "upper": UPPER_LIMIT,
    "pearson": PEARSON,
    "lin": LIN_CONCORDANCE,
    "icc": ICC_2_1,
}
ALL = OF_ONE | OF_PAIRS


def names(count: int) -> list[str]:
    return [f"{index:04d}" for index in range(count)]


def pairs(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    true = rng.normal(150, 30, count)
    return np.stack([true + rng.normal(2, 6, count), true], axis=1)


# --- formulas under weights ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@given(st.lists(st.integers(0, 4), min_size=12, max_size=12))
def test_weights_are_the_same_as_repeated_cases(name: str, times: list[int]) -> None:
    statistic = ALL[name]
    table = pairs(12)[:, : statistic.columns]
    weighted = statistic.formula(table, np.array([times], np.float64))[0]
    repeated = statistic.of(np.repeat(table, times, axis=0))
    assert weighted == pytest.approx(repeated, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize(("name", "numpy_way"), [("median", 0.5), ("p90", 0.9), ("low", 0.2)])
def test_quantiles_are_numpys(name: str, numpy_way: float) -> None:
    values = np.random.default_rng(0).integers(0, 9, 25).astype(float)
    assert ALL[name].of(values) == pytest.approx(np.quantile(values, numpy_way))


# --- intervals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_with_one_case_for_each_patient_intervals_are_scipys(name: str) -> None:
    statistic = ALL[name]
    table = pairs(31)[:, : statistic.columns]
    found = bootstrap(statistic, table, names(31), resamples=500, seed=3)

    def plain(*columns: np.ndarray) -> float:
        return statistic.of(np.stack(columns, axis=1))

    # Hesterberg's wider level for few patients.
    wider = 2 * stats.norm.cdf(stats.t.ppf(0.975, 30) * np.sqrt(31 / 30)) - 1
    expected = stats.bootstrap(
        tuple(table.T),
        plain,
        paired=True,
        vectorized=False,
        n_resamples=500,
        confidence_level=wider,
        method="BCa",
        rng=np.random.default_rng(3),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert (found.count, found.groups, found.reason) == (31, 31, "")


def test_the_order_of_cases_and_the_names_of_patients_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    values, patients = rng.normal(size=60), rng.integers(0, 20, 60)
    order = rng.permutation(60)
    one = bootstrap(MEAN, values, patients)
    other = bootstrap(MEAN, values[order], [f"patient {n:02d}" for n in patients[order]])
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_cases_that_repeat_their_patient_tell_nothing_new() -> None:
    values = np.random.default_rng(0).normal(size=30)
    once = bootstrap(MEAN, values, names(30))
    often = bootstrap(MEAN, np.repeat(values, 5), np.repeat(names(30), 5))
    naive = bootstrap(MEAN, np.repeat(values, 5), names(150))
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    assert often.count == 150
    assert often.groups == 30
    assert naive.high - naive.low < 0.5 * (often.high - often.low)


def test_large_sets_are_resampled_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    values, patients = np.random.default_rng(0).normal(size=(2, 90))
    patients = np.repeat(names(30), 3)
    whole = bootstrap(MEAN, values, patients, resamples=300)
    monkeypatch.setattr("bodycomp.agreement.intervals._CELLS_AT_ONCE", 1000)
    in_chunks = bootstrap(MEAN, values, patients, resamples=300)
    assert (in_chunks.low, in_chunks.high) == pytest.approx((whole.low, whole.high))


def clustered(rng: np.random.Generator, patients: int) -> tuple[np.ndarray, np.ndarray]:
    """Return skewed values with mean 3, and their patients, who have 1 to 4 cases each."""
    cases = rng.integers(1, 5, patients)
    own = np.repeat(rng.exponential(2.0, patients), cases)
    return own + rng.exponential(1.0, cases.sum()), np.repeat(np.arange(patients), cases)


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        values, patients = clustered(rng, 80)
        interval = bootstrap(MEAN, values, patients, resamples=600)
        hits += interval.low <= 3.0 <= interval.high
    assert 0.93 <= hits / 1000 <= 0.97


# --- what is undefined --------------------------------------------------------------------------


def test_few_patients_have_a_value_but_no_interval() -> None:
    found = bootstrap(MEAN, np.arange(40.0), np.repeat(names(4), 10))
    assert found.value.value == 19.5
    assert found.low is None
    assert found.high is None
    assert found.reason == "an interval needs 10 patients, there are 4"


def test_a_quantile_needs_patients_beyond_it() -> None:
    values = np.arange(20.0)
    assert bootstrap(MEDIAN, values, names(20)).low is not None
    found = bootstrap(quantile(0.9), values, names(20))
    assert found.value.value == pytest.approx(17.1)
    assert found.reason == "an interval needs 30 patients, there are 20"
    with pytest.raises(UsageError, match="between 0 and 1"):
        quantile(1.0)


def test_no_cases_have_neither_value_nor_interval() -> None:
    for statistic in ALL.values():
        found = bootstrap(statistic, np.zeros((0, statistic.columns)), [])
        assert found.value.value is None
        assert found.value.reason
        assert found.low is None
        assert found.reason


def test_a_statistic_that_is_often_undefined_has_no_interval() -> None:
    table = np.zeros((12, 2))
    table[0] = 1.0
    found = bootstrap(PEARSON, table, names(12))
    assert found.value.value == pytest.approx(1)
    assert found.low is None
    assert "undefined in too many resamples" in found.reason


def test_equal_values_have_an_interval_without_width() -> None:
    found = bootstrap(MEAN, np.ones(12), names(12))
    assert (found.value.value, found.low, found.high) == (1, 1, 1)


@pytest.mark.parametrize(
    ("statistic", "values", "options", "message"),
    [
        (MEAN, [1.0, float("nan")], {}, "finite"),
        (MEAN, [1.0], {}, "patient of 1"),
        (PEARSON, [1.0, 2.0], {}, "2 columns"),
        (MEAN, [1.0, 2.0], {"resamples": 5}, "100 resamples"),
        (MEAN, [1.0, 2.0], {"level": 1.0}, "level"),
    ],
)
def test_wrong_input_is_refused(
    statistic: Statistic, values: list[float], options: dict[str, float], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        bootstrap(statistic, np.array(values), ["a", "b"], **options)


# --- shares -----------------------------------------------------------------------------------


@given(st.integers(0, 60), st.integers(1, 60))
def test_intervals_of_shares_agree_with_scipy(count: int, of: int) -> None:
    count = min(count, of)
    expected = stats.binomtest(count, of).proportion_ci(0.95, method="wilson")
    found = wilson_interval(count, of)
    assert found.value.value == pytest.approx(count / of)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_share_of_no_cases_is_undefined() -> None:
    found = wilson_interval(0, 0)
    assert found.value.value is None
    assert found.value.reason == "there are no cases"
    assert found.low is None


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match=r"0\.\.2"):
        wilson_interval(3, 2)


# --- two models ---------------------------------------------------------------------------------


def two_models(shift: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0, 0.05, 40)
    return np.stack([0.9 + difficulty + shift + rng.normal(0, 0.004, 40), 0.9 + difficulty], axis=1)


def test_a_clear_difference_is_named_and_chance_is_not() -> None:
    better, same = (
        bootstrap(difference_of(MEAN), two_models(shift), names(40)) for shift in (0.01, 0.0)
    )
    assert better_model(better, Better.LARGER) == "models"
    assert better_model(better, Better.SMALLER) == "against"
    assert better_model(same, Better.LARGER) == "undecided"


def test_pairing_shows_what_two_separate_intervals_hide() -> None:
    table = two_models(0.01)
    first, second = (bootstrap(MEAN, table[:, i], names(40)) for i in (0, 1))
    assert first.low < second.high
    difference = bootstrap(difference_of(MEAN), table, names(40))
    assert difference.value.value == pytest.approx((table[:, 0] - table[:, 1]).mean())
    assert better_model(difference, Better.LARGER) == "models"


def test_statistics_of_pairs_are_compared_as_well() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(150, 30, 60)
    table = np.stack(
        [true + rng.normal(0, 2, 60), true, true + rng.normal(0, 15, 60), true], axis=1
    )
    found = bootstrap(difference_of(LIN_CONCORDANCE), table, names(60))
    assert found.value.value == pytest.approx(
        LIN_CONCORDANCE.of(table[:, :2]) - LIN_CONCORDANCE.of(table[:, 2:])
    )
    assert better_model(found, Better.LARGER) == "models"


def test_without_an_interval_nothing_is_better() -> None:
    few = bootstrap(difference_of(MEAN), two_models(0.1)[:5], names(5))
    assert better_model(few, Better.LARGER) == "undecided"


def test_every_statistic_is_tested_here() -> None:
    listed = [v for v in vars(catalog).values() if isinstance(v, Statistic)]
    assert all(statistic in ALL.values() for statistic in listed)
