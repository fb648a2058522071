"""Shares of cases against SciPy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bodycomp.agreement.shares import share
from bodycomp.errors import UsageError


@given(st.integers(0, 60), st.integers(1, 60))
def test_intervals_of_shares_agree_with_scipy(count: int, of: int) -> None:
    count = min(count, of)
    expected = stats.binomtest(count, of).proportion_ci(0.95, method="wilson")
    found = share(count, of)
    assert found.value.value == pytest.approx(count / of)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_share_of_no_cases_is_undefined() -> None:
    found = share(0, 0)
    assert found.value.value is None
    assert found.value.reason == "there are no cases"
    assert found.low is None


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match=r"0\.\.2"):
        share(3, 2)
