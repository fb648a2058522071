"""Summaries of errors and counts against NumPy and SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bodycomp.agreement.errors import share, summarise_errors, summarise_findings
from bodycomp.errors import UsageError


def test_errors_are_summarised_with_and_without_their_sign() -> None:
    errors = [-12.0, -4.0, 0.0, 5.0, 10.0]
    summary = summarise_errors(errors)
    assert summary.count == 5
    assert summary.mean.value == pytest.approx(-0.2)
    assert summary.median.value == 0
    assert summary.mean_absolute.value == pytest.approx(6.2)
    assert summary.median_absolute.value == 5
    assert summary.p90_absolute.value == pytest.approx(np.quantile(np.abs(errors), 0.9))
    assert {limit: s.count for limit, s in summary.share_within.items()} == {5.0: 3, 10.0: 4}


def test_no_errors_have_no_summary() -> None:
    summary = summarise_errors([])
    assert summary.count == 0
    assert summary.mean.value is None
    assert summary.mean.reason == "there are no cases"
    assert summary.share_within[5.0].value.value is None


@given(st.integers(0, 60), st.integers(1, 60))
def test_intervals_of_shares_agree_with_scipy(count: int, of: int) -> None:
    count = min(count, of)
    expected = stats.binomtest(count, of).proportion_ci(0.95, method="wilson")
    found = share(count, of)
    assert found.value.value == pytest.approx(count / of)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_findings_are_counted_where_they_are_and_where_they_are_not() -> None:
    present = [True] * 8 + [False] * 4
    found = [True] * 7 + [False] + [True] + [False] * 3
    summary = summarise_findings(found, present)
    assert (summary.found.count, summary.found.of) == (7, 8)
    assert (summary.false_findings.count, summary.false_findings.of) == (1, 4)


def test_where_all_are_present_the_share_of_false_findings_is_undefined() -> None:
    summary = summarise_findings([True, False], [True, True])
    assert summary.false_findings.value.value is None
    assert summary.false_findings.low is None


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match=r"0\.\.2"):
        share(3, 2)
    with pytest.raises(UsageError, match="finite"):
        summarise_errors([float("nan")])
    with pytest.raises(UsageError, match="as many"):
        summarise_findings([True], [True, False])
