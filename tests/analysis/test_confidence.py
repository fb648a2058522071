"""Confidence means what it says, on simulated series that it was not fitted to."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from bodycomp.analysis.confidence import CLOSE_MM
from bodycomp.analysis.level_verdict import ChoiceOptions, choose_slice
from bodycomp.analysis.locating import locate_levels
from bodycomp.analysis.quality_flags import numbering_flag
from bodycomp.networks.targets import target_to_offset
from bodycomp.results import LevelStatus
from support.simulated_curves import simulate_curve


@pytest.mark.slow
def test_confidence_is_calibrated_on_held_out_simulated_series():
    """In each band the share of positions within 10 mm is the confidence, within the chance of so
    few; levels outside the series that are taken for found count as wrong."""
    confidence, right = [], []
    for seed in range(600):
        curve = simulate_curve(np.random.default_rng([777, seed]))
        options = ChoiceOptions(scale_mm=curve.scale_mm)
        choice = choose_slice("L3", curve.offset_mm, curve.z_mm, options)
        if choice.status is LevelStatus.FOUND:
            confidence.append(choice.confidence)
            right.append(abs(choice.z_mm - curve.level_mm) <= CLOSE_MM)
        else:
            assert choice.confidence is None
    confidence, right = np.array(confidence), np.array(right)
    for low, high in ((0.0, 0.7), (0.7, 0.87), (0.87, 1.0)):
        band = (confidence >= low) & (confidence < high)
        spread = np.sqrt(0.25 / band.sum())
        assert confidence[band].mean() == pytest.approx(right[band].mean(), abs=0.03 + 2 * spread)


def test_scores_that_rise_too_slowly_are_no_level():
    z_mm = np.arange(-150, 150, 3.0)
    choice = choose_slice("L3", z_mm * 0.3, z_mm)
    assert choice.status is LevelStatus.UNCERTAIN
    assert "of the expected slope" in choice.reason


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_slope_is_measured_against_the_scale_of_the_model(ratio):
    z_mm = np.arange(-150, 150, 3.0)
    choice = choose_slice("L3", z_mm * ratio, z_mm)
    assert choice.slope_ratio == pytest.approx(ratio, rel=0.1)
    exact = choose_slice("L3", z_mm, z_mm)
    assert choice.confidence <= exact.confidence


def test_clear_curve_is_trusted_most():
    z_mm = np.arange(-150, 150, 3.0)
    rng = np.random.default_rng(0)
    noisy = choose_slice("L3", z_mm + rng.normal(0, 12, z_mm.size), z_mm)
    assert choose_slice("L3", z_mm, z_mm).confidence > max(0.9, noisy.confidence)


def test_a_level_below_the_least_confidence_is_uncertain_and_says_so():
    z_mm = np.arange(-150.0, 150.0, 3.0)
    scores = 1 / (1 + np.exp(-z_mm / 10))[:, None]

    def located(least):
        options = ChoiceOptions(least_confidence=least)
        return locate_levels(lambda indices: scores[list(indices)], z_mm, ["L3"], options)[0]

    found = located(0.0)
    assert found.status is LevelStatus.FOUND
    assert located(found.confidence - 0.01).status is LevelStatus.FOUND
    doubted = located(found.confidence + 0.001)
    assert doubted.status is LevelStatus.UNCERTAIN
    assert doubted.z_mm is None
    assert "confidence of" in doubted.reason


@pytest.mark.parametrize(("share_of_next", "doubtful"), [(0.0, False), (0.1, False), (0.3, True)])
def test_scores_that_speak_for_the_next_vertebra_too_make_the_numbering_uncertain(
    share_of_next, doubtful
):
    """A mixture of two places is what a network says that cannot tell them apart."""
    z_mm, scale_mm = np.arange(-150, 150, 3.0), 4.0
    score = (1 - share_of_next) * expit(z_mm / scale_mm)
    score += share_of_next * expit((z_mm - 30) / scale_mm)
    offset_mm = target_to_offset(score, scale_mm)
    choice = choose_slice("L3", offset_mm, z_mm, ChoiceOptions(scale_mm=scale_mm))
    assert choice.status is LevelStatus.FOUND
    assert choice.z_mm == pytest.approx(0, abs=5)
    assert choice.numbering_doubt == pytest.approx(share_of_next, abs=0.05)
    assert bool(numbering_flag(choice)) is doubtful
    clear = choose_slice("L3", z_mm, z_mm, ChoiceOptions(scale_mm=scale_mm))
    assert (choice.confidence < 0.8 * clear.confidence) is doubtful
    assert not numbering_flag(replace(choice, level="umbilicus"))
