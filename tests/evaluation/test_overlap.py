"""Overlap and correlation against definitions and an independent implementation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial.distance import dice as dice_dissimilarity

from bodycomp.evaluation import dice, pearson

MASKS = arrays(np.uint8, (4, 5), elements=st.integers(0, 3))


@given(MASKS, MASKS, st.integers(1, 3))
def test_dice_agrees_with_scipy(mask: np.ndarray, truth: np.ndarray, label: int) -> None:
    found = dice(mask, truth, label)
    if not ((mask == label).any() or (truth == label).any()):
        assert found is None
    else:
        other = 1 - dice_dissimilarity((mask == label).ravel(), (truth == label).ravel())
        assert found == pytest.approx(other)


def test_correlation_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)
    y = x + rng.normal(size=20)
    assert pearson(list(x), list(y)) == pytest.approx(stats.pearsonr(x, y).statistic)


@pytest.mark.parametrize("pairs", [([], []), ([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3])])
def test_correlation_of_too_little_is_none(pairs: tuple[list[float], list[float]]) -> None:
    assert pearson(*pairs) is None
