"""Confidence against the share of right positions, compared with a naive count."""

import numpy as np
import pytest

from bodycomp.evaluation.level_rows import LevelRow
from bodycomp.evaluation.options import BootstrapOptions
from bodycomp.evaluation.slice_selection import confidence_calibration
from bodycomp.results import LevelStatus

OPTIONS = BootstrapOptions(resamples=200)
NOTHING = np.empty(0, np.float32)


def row(index: int, confidence: float | None, error_mm: float, *, present: bool = True) -> LevelRow:
    found = confidence is not None
    status = LevelStatus.FOUND if found else LevelStatus.UNCERTAIN
    z_mm = error_mm if found else None
    names = (f"case-{index}", f"case-{index}", "L3")
    return LevelRow(*names, status, "", z_mm, confidence, present, 0.0, NOTHING, NOTHING)


def test_expected_calibration_error_is_that_of_a_naive_count() -> None:
    rng = np.random.default_rng(0)
    confidence = np.append(rng.uniform(0, 1, 60), (0.0, 1.0, 0.3))
    errors = np.where(rng.random(63) < 0.6, 3.0, 30.0)
    pairs = enumerate(zip(confidence, errors, strict=True))
    found = confidence_calibration([row(i, float(c), float(e)) for i, (c, e) in pairs], OPTIONS)
    expected, right = 0.0, errors <= 10
    for index in range(10):
        low, high = index / 10, (index + 1) / 10
        own = (confidence >= low) & ((confidence < high) | (high == 1.0))
        if own.any():
            gap = abs(confidence[own].mean() - right[own].mean())
            expected += own.sum() / len(confidence) * gap
        assert found["bins"][index]["n"] == own.sum()
    error = found["expected_calibration_error"]
    assert error["value"] == pytest.approx(expected)
    assert error["n"] == 63
    assert found["share_right"]["value"] == pytest.approx(right.mean())


def test_a_finding_where_there_is_no_level_is_wrong() -> None:
    rows = [row(i, 0.9, 80.0, present=False) for i in range(12)]
    found = confidence_calibration(rows, OPTIONS)
    assert found["share_right"]["value"] == 0
    assert found["expected_calibration_error"]["value"] == pytest.approx(0.9)


def test_without_positions_nothing_is_said() -> None:
    found = confidence_calibration([row(0, None, 0.0)], OPTIONS)
    assert found["expected_calibration_error"]["value"] is None
    assert found["expected_calibration_error"]["reason"]
    assert all(one["n"] == 0 and one["mean_confidence"] is None for one in found["bins"])
