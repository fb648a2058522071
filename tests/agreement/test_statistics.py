"""Agreement of pairs against published tables and analyses written independently."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from bodycomp.agreement.statistics import (
    BIAS,
    DIFFERENCE_SD,
    ICC_2_1,
    LIN_CONCORDANCE,
    LOWER_LIMIT,
    PEARSON,
    UPPER_LIMIT,
    Statistic,
)
from bodycomp.errors import UsageError

PAIRS = arrays(np.float64, (9, 2), elements=st.integers(-50, 50).map(float))

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]],
    np.float64,
)
"""Shrout & Fleiss 1979, table 2: six targets, four raters."""


def test_bland_altman_by_its_definition() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(150, 30, 40)
    found = true + rng.normal(2, 5, 40)
    pairs = np.column_stack([found, true])
    differences = stats.describe(found - true)
    half = 1.96 * np.sqrt(differences.variance)
    assert BIAS.of(pairs) == pytest.approx(differences.mean)
    assert DIFFERENCE_SD.of(pairs) == pytest.approx(np.sqrt(differences.variance))
    assert LOWER_LIMIT.of(pairs) == pytest.approx(differences.mean - half)
    assert UPPER_LIMIT.of(pairs) == pytest.approx(differences.mean + half)


def anova_icc(ratings: np.ndarray) -> float:
    """Return ICC(2,1) from residuals of an additive model fitted by least squares."""
    cases, raters = ratings.shape
    case, rater = (index.ravel() for index in np.indices(ratings.shape))
    design = np.column_stack(
        [np.ones(ratings.size)]
        + [(case == i).astype(float) for i in range(1, cases)]
        + [(rater == j).astype(float) for j in range(1, raters)]
    )

    def rest(columns: list[int]) -> float:
        fit = np.linalg.lstsq(design[:, columns], ratings.ravel(), rcond=None)[0]
        return float(np.square(ratings.ravel() - design[:, columns] @ fit).sum())

    every = list(range(design.shape[1]))
    of_cases, of_raters = every[1:cases], every[cases:]
    error = rest(every)
    cases_ms = (rest([0, *of_raters]) - error) / (cases - 1)
    raters_ms = (rest([0, *of_cases]) - error) / (raters - 1)
    error_ms = error / ((cases - 1) * (raters - 1))
    return (cases_ms - error_ms) / (
        cases_ms + (raters - 1) * error_ms + raters * (raters_ms - error_ms) / cases
    )


def test_icc_of_shrout_and_fleiss() -> None:
    assert ICC_2_1.of(SHROUT_FLEISS) == pytest.approx(0.29, abs=0.005)
    assert ICC_2_1.of(SHROUT_FLEISS) == pytest.approx(anova_icc(SHROUT_FLEISS))


@given(PAIRS)
def test_icc_agrees_with_an_analysis_of_variance(table: np.ndarray) -> None:
    found = ICC_2_1.of(table)
    if np.ptp(table) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(anova_icc(table), abs=1e-6)


@given(PAIRS)
def test_lin_is_one_minus_the_squared_difference_against_chance(table: np.ndarray) -> None:
    """Compare with all pairs of a found and a true value: Lin's own definition of chance."""
    x, y = table.T
    by_chance = np.square(x[:, None] - y[None, :]).mean()
    found = LIN_CONCORDANCE.of(table)
    if by_chance == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(1 - np.square(x - y).mean() / by_chance, abs=1e-9)


@given(PAIRS)
def test_correlation_agrees_with_scipy(table: np.ndarray) -> None:
    x, y = table.T
    found = PEARSON.of(table)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-9)


def test_lin_sees_bias_and_scale_that_correlation_does_not() -> None:
    true = np.linspace(100, 200, 20)
    pairs = np.column_stack([1.2 * true + 5, true])
    assert PEARSON.of(pairs) == pytest.approx(1)
    assert LIN_CONCORDANCE.of(pairs) < 0.8
    assert ICC_2_1.of(pairs) < 0.8


@pytest.mark.parametrize("statistic", [PEARSON, LIN_CONCORDANCE, ICC_2_1])
def test_far_from_zero_no_digits_are_lost(statistic: Statistic) -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(0, 1, 30)
    pairs = np.column_stack([true + rng.normal(0, 0.3, 30), true])
    assert statistic.of(pairs + 1e5) == pytest.approx(statistic.of(pairs), rel=1e-7)


@pytest.mark.parametrize("statistic", [PEARSON, LIN_CONCORDANCE, ICC_2_1, LOWER_LIMIT, UPPER_LIMIT])
@pytest.mark.parametrize("pairs", [np.zeros((0, 2)), np.array([[1.0, 1.0], [2.0, 2.0]])])
def test_fewer_than_three_pairs_have_no_value(statistic: Statistic, pairs: np.ndarray) -> None:
    assert np.isnan(statistic.of(pairs))


@pytest.mark.parametrize("statistic", [PEARSON, LIN_CONCORDANCE, ICC_2_1])
def test_values_that_do_not_differ_have_no_value(statistic: Statistic) -> None:
    assert np.isnan(statistic.of(np.full((3, 2), 7.1)))


def test_one_constant_series_has_no_correlation_and_no_concordance() -> None:
    pairs = np.column_stack([[0.3] * 4, [0.1, 0.2, 0.4, 0.5]])
    assert np.isnan(PEARSON.of(pairs))
    assert LIN_CONCORDANCE.of(pairs) == 0


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(UsageError, match="finite"):
        BIAS.of(np.array([[1.0, 1.0], [2.0, 2.0], [float("nan"), 3.0]]))
