"""Agreement of pairs against published tables and analyses written independently."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from bodycomp.agreement.paired import bland_altman, icc_2_1, lin_concordance, pearson
from bodycomp.agreement.statistics import ICC_2_1
from bodycomp.errors import UsageError

PAIRS = arrays(np.float64, (9, 2), elements=st.integers(-50, 50).map(float))

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]],
    np.float64,
)
"""Shrout & Fleiss 1979, table 2: six targets, four judges."""


def test_bland_altman_by_its_definition() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(150, 30, 40)
    found = true + rng.normal(2, 5, 40)
    result = bland_altman(found, true)
    differences = stats.describe(found - true)
    assert result.count == 40
    assert result.bias.value == pytest.approx(differences.mean)
    assert result.sd.value == pytest.approx(np.sqrt(differences.variance))
    half = 1.96 * np.sqrt(differences.variance)
    assert result.lower_limit.value == pytest.approx(differences.mean - half)
    assert result.upper_limit.value == pytest.approx(differences.mean + half)
    expected = stats.ttest_1samp(found - true, 0).confidence_interval(0.95)
    assert result.bias_interval == pytest.approx((expected.low, expected.high))


def test_intervals_of_the_limits_of_agreement_hold_what_they_promise() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for differences in rng.normal(3, 2, (2000, 30)):
        interval = bland_altman(differences, np.zeros(30)).upper_interval
        assert interval is not None
        hits += interval[0] <= 3 + 1.96 * 2 <= interval[1]
    assert 0.93 < hits / 2000 < 0.97


def anova_icc(ratings: np.ndarray) -> float:
    """Return ICC(2,1) from residuals of an additive model fitted by least squares."""
    cases, judges = ratings.shape
    case, judge = (index.ravel() for index in np.indices(ratings.shape))
    design = np.column_stack(
        [np.ones(ratings.size)]
        + [(case == i).astype(float) for i in range(1, cases)]
        + [(judge == j).astype(float) for j in range(1, judges)]
    )

    def rest(columns: list[int]) -> float:
        fit = np.linalg.lstsq(design[:, columns], ratings.ravel(), rcond=None)[0]
        return float(np.square(ratings.ravel() - design[:, columns] @ fit).sum())

    every = list(range(design.shape[1]))
    of_cases, of_judges = every[1:cases], every[cases:]
    error = rest(every)
    cases_ms = (rest([0, *of_judges]) - error) / (cases - 1)
    judges_ms = (rest([0, *of_cases]) - error) / (judges - 1)
    error_ms = error / ((cases - 1) * (judges - 1))
    return (cases_ms - error_ms) / (
        cases_ms + (judges - 1) * error_ms + judges * (judges_ms - error_ms) / cases
    )


def test_icc_of_shrout_and_fleiss() -> None:
    assert ICC_2_1.of(SHROUT_FLEISS) == pytest.approx(0.29, abs=0.005)
    assert ICC_2_1.of(SHROUT_FLEISS) == pytest.approx(anova_icc(SHROUT_FLEISS))


@given(PAIRS)
def test_icc_agrees_with_an_analysis_of_variance(table: np.ndarray) -> None:
    found = icc_2_1(*table.T).value
    if np.ptp(table) == 0:
        assert found is None
    else:
        assert found == pytest.approx(anova_icc(table), abs=1e-6)


@given(PAIRS)
def test_lin_is_one_minus_the_squared_difference_against_chance(table: np.ndarray) -> None:
    """Compare with all pairs of a found and a true value: Lin's own definition of chance."""
    x, y = table.T
    by_chance = np.square(x[:, None] - y[None, :]).mean()
    found = lin_concordance(x, y).value
    if by_chance == 0:
        assert found is None
    else:
        assert found == pytest.approx(1 - np.square(x - y).mean() / by_chance, abs=1e-9)


@given(PAIRS)
def test_correlation_agrees_with_scipy(table: np.ndarray) -> None:
    x, y = table.T
    found = pearson(x, y).value
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert found is None
    else:
        assert found == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-9)


def test_lin_sees_bias_and_scale_that_correlation_does_not() -> None:
    true = np.linspace(100, 200, 20)
    assert pearson(1.2 * true + 5, true).value == pytest.approx(1)
    lin, icc = lin_concordance(1.2 * true + 5, true).value, icc_2_1(1.2 * true + 5, true).value
    assert lin is not None
    assert icc is not None
    assert lin < 0.8
    assert icc < 0.8


def test_far_from_zero_no_digits_are_lost() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(0, 1, 30)
    found = true + rng.normal(0, 0.3, 30)
    for measure in (pearson, lin_concordance, icc_2_1):
        near, far = measure(found, true).value, measure(found + 1e5, true + 1e5).value
        assert far == pytest.approx(near, rel=1e-7)


@pytest.mark.parametrize("measure", [pearson, lin_concordance, icc_2_1])
@pytest.mark.parametrize(
    ("found", "true", "reason"),
    [
        ([], [], "there are 0"),
        ([1, 2], [1, 2], "there are 2"),
        ([7.1, 7.1, 7.1], [7.1, 7.1, 7.1], "values differ"),
    ],
)
def test_too_little_has_a_reason(
    measure: object, found: list[float], true: list[float], reason: str
) -> None:
    quantity = measure(found, true)
    assert quantity.value is None
    assert reason in quantity.reason


def test_one_constant_series_has_no_correlation_and_no_concordance() -> None:
    constant, other = [0.3] * 4, [0.1, 0.2, 0.4, 0.5]
    assert pearson(constant, other).value is None
    assert lin_concordance(constant, other).value == 0


def test_bland_altman_of_two_pairs_is_undefined() -> None:
    result = bland_altman([1, 2], [1, 2])
    for quantity in (result.bias, result.sd, result.lower_limit, result.upper_limit):
        assert quantity.value is None
        assert "there are 2" in quantity.reason
    assert result.upper_interval is None


def test_values_that_are_no_numbers_or_no_pairs_are_refused() -> None:
    with pytest.raises(UsageError, match="as many"):
        pearson([1, 2, 3], [1, 2])
    with pytest.raises(UsageError, match="finite"):
        bland_altman([1, 2, float("nan")], [1, 2, 3])
