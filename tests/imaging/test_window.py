from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.errors import UsageError
from bodycomp.imaging.window import SOFT_TISSUE, Window


def test_ends_of_the_soft_tissue_window() -> None:
    hu = np.array([-3024, -160, 40, 240, 3000], dtype=np.int16)
    np.testing.assert_allclose(SOFT_TISSUE(hu), [0, 0, 0.5, 1, 1])
    np.testing.assert_array_equal(SOFT_TISSUE.to_gray(hu), [0, 0, 128, 255, 255])


@given(st.floats(-500, 500), st.floats(1, 2000), st.lists(st.floats(-3e3, 3e3), min_size=2))
def test_windowing_keeps_the_order_and_the_range(
    level: float, width: float, values: list[float]
) -> None:
    scaled = Window(level, width)(np.sort(np.array(values)))
    assert scaled.dtype == np.float32
    assert np.all(np.diff(scaled) >= 0)
    assert 0 <= scaled[0] <= scaled[-1] <= 1


@pytest.mark.parametrize(("level", "width"), [(40, 0), (40, -1), (np.nan, 400), (40, np.inf)])
def test_impossible_windows_are_refused(level: float, width: float) -> None:
    with pytest.raises(UsageError, match="positive width"):
        Window(level, width)
