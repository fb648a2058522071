"""Where a level lies in a series, and when the answer is that it cannot be told."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycomp.analysis.level_verdict import ChoiceOptions, choose_slice
from bodycomp.errors import ModelError, UsageError
from bodycomp.networks.targets import target_to_offset
from bodycomp.results import LevelStatus

LEGACY = Path(__file__).parents[2] / "../shared/legacy/slice_postprocess_sigmoid.npz"
SANE_LEGACY_CURVES = (
    "one_clean_5mm",
    "one_noisy_5mm",
    "one_clean_1.25mm",
    "descending_z_inverted_curve",
    "multi_output_4",
)


def choose(offset_mm, z_mm, **options):
    return choose_slice("L3", np.asarray(offset_mm), np.asarray(z_mm), ChoiceOptions(**options))


def positions(low_mm, high_mm, spacing_mm):
    return np.arange(low_mm, high_mm, spacing_mm, dtype=float)


@given(
    level_mm=st.floats(-60, 60),
    spacing_mm=st.floats(1, 5),
    shift_mm=st.floats(-2000, 2000),
    seed=st.integers(0, 1000),
)
@settings(max_examples=50, deadline=None)
def test_noisy_curve_gives_the_level(level_mm, spacing_mm, shift_mm, seed):
    """8 mm of noise on each slice move the level by a quarter of a vertebra at most.

    The bound is some five standard errors of the slices that the smoothing averages.
    """
    z = positions(-150, 150, spacing_mm)
    noise = np.random.default_rng(seed).normal(0, 8, z.size)

    choice = choose(z - level_mm + noise, z + shift_mm)

    assert choice.status is LevelStatus.FOUND
    assert choice.z_mm == pytest.approx(level_mm + shift_mm, abs=min(12.0, 9 * spacing_mm**0.5))
    assert choice.slice_index == np.argmin(np.abs(z + shift_mm - choice.z_mm))
    assert choice.offset_mm.shape == choice.smoothed_offset_mm.shape == z.shape


@given(level_mm=st.floats(-95, 95), seed=st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_clean_curve_on_uneven_slices_is_exact(level_mm, seed):
    gaps = np.random.default_rng(seed).uniform(0.5, 6, 90)
    z = np.concatenate([[-100.0], -100 + 200 * np.cumsum(gaps) / gaps.sum()])

    choice = choose(z - level_mm, z)

    assert choice.status is LevelStatus.FOUND
    assert choice.z_mm == pytest.approx(level_mm, abs=0.1)
    assert choice.crossings == 1


@given(
    beyond_mm=st.floats(3, 300),
    spacing_mm=st.floats(1, 5),
    side=st.sampled_from(["below", "above"]),
)
@settings(max_examples=50, deadline=None)
def test_series_that_ends_before_the_level_has_none(beyond_mm, spacing_mm, side):
    z = positions(0, 200, spacing_mm)
    level_mm = z[0] - beyond_mm if side == "below" else z[-1] + beyond_mm

    choice = choose(z - level_mm, z)

    assert choice.status is LevelStatus.ABSENT
    assert choice.slice_index is None
    assert choice.z_mm is None
    assert side in choice.reason


def test_absent_level_is_placed_roughly_while_the_scores_show_it():
    z = positions(0, 200, 2)

    assert choose(z + 23, z).reason == "the level lies below the lowest slice by about 23 mm"
    assert "by more than 40 mm" in choose(z + 200, z).reason
    assert "by more than 40 mm" in choose(z - 500, z).reason
    vague = np.full(100, target_to_offset(0.85, 10.0))
    assert choose(vague, z).reason == "the level lies below the lowest slice"


def test_false_lobe_far_away_does_not_move_the_level():
    z = positions(-200, 200, 4)
    offset = z.copy()
    offset[10:16] = 40.0  # 24 mm that look like thorax, far below the level

    choice = choose(offset, z)

    assert choice.status is LevelStatus.FOUND
    assert choice.z_mm == pytest.approx(0, abs=0.5)
    assert choice.crossings == 2


def test_two_equal_positions_are_uncertain():
    z = positions(0, 300, 3)
    offset = np.select([z < 100, z < 150, z < 200], [z - 100, 50 + 0 * z, -50 + 0 * z], z - 200)

    choice = choose(offset, z)

    assert choice.status is LevelStatus.UNCERTAIN
    assert "two positions fit almost equally well" in choice.reason
    assert choice.slice_index is None


def test_scores_that_only_fall_towards_the_head_hold_no_level():
    z = positions(-100, 100, 5)

    choice = choose(-z, z)

    assert choice.status is LevelStatus.ABSENT
    assert choice.reason == "the scores fall towards the head and rise nowhere"


def test_head_that_the_network_does_not_know_makes_no_level_in_a_chest_scan():
    z = positions(0, 300, 3)
    rng = np.random.default_rng(0)
    offset = np.where(z < 250, 50, -30) + rng.normal(0, 15, z.size)
    offset[-4:] = 20  # the skull scores high again

    choice = choose(offset, z)

    assert choice.status is LevelStatus.ABSENT
    assert "below the lowest slice" in choice.reason


def test_course_that_mostly_falls_is_uncertain():
    z = positions(0, 300, 3)

    choice = choose(np.where((z > 100) & (z < 280), -40.0, 40.0), z)

    assert choice.status is LevelStatus.UNCERTAIN
    assert "the scores fall towards the head, not rise" in choice.reason


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_uncertain(seed):
    z = positions(0, 300, 3)

    choice = choose(np.random.default_rng(seed).normal(0, 10, z.size), z)

    assert choice.status is LevelStatus.UNCERTAIN
    assert "do not follow the expected curve" in choice.reason


def test_one_odd_slice_at_the_end_is_no_level():
    """The lowest slice alone says "below L3", the next one "far above": no level lies there."""
    z = positions(0, 200, 5)
    offset = np.full(z.size, 50.0)
    offset[0] = -50.0

    assert choose(offset, z).status is not LevelStatus.FOUND


def test_level_near_the_end_is_found():
    z = positions(0, 200, 5)

    choice = choose(z - 7, z)

    assert choice.status is LevelStatus.FOUND
    assert choice.z_mm == pytest.approx(7, abs=0.1)


def test_one_slice_is_uncertain():
    assert "one slice" in choose([1.0], [0.0]).reason


def test_offsets_are_reported_clipped_where_they_saturate():
    z = positions(-300, 300, 5)

    choice = choose(z, z, scale_mm=10.0)

    assert choice.offset_mm.min() == -50
    assert choice.offset_mm.max() == 50
    assert choice.offset_mm.dtype == np.float32


def test_scores_that_are_not_numbers_are_refused():
    with pytest.raises(ModelError, match="not numbers"):
        choose([0.0, np.nan], [0.0, 1.0])


@pytest.mark.parametrize("wrong", [{"scale_mm": 0}, {"smoothing_mm": -1}, {"max_misfit": 2}])
def test_options_are_checked(wrong):
    with pytest.raises(UsageError):
        ChoiceOptions(**wrong)


@pytest.mark.skipif(not LEGACY.exists(), reason="../shared/legacy is absent")
@pytest.mark.parametrize("name", SANE_LEGACY_CURVES)
def test_same_slice_as_the_earlier_implementation(name):
    """With one crossing and a sane curve the earlier rule was right: the same slice is chosen."""
    file = np.load(LEGACY)
    key = f"c{list(file['names']).index(name):02d}"
    scores, z = file[f"{key}_pred"].reshape(len(file[f"{key}_z"]), -1), file[f"{key}_z"]
    order = np.argsort(z)  # a Volume ascends towards the head
    for column, expected in enumerate(file[f"{key}_index"]):
        choice = choose(target_to_offset(scores[order, column], 10.0), z[order])
        assert choice.slice_index == order.tolist().index(int(expected))


@pytest.mark.skipif(not LEGACY.exists(), reason="../shared/legacy is absent")
@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("none_all_above", LevelStatus.ABSENT),
        ("none_all_below", LevelStatus.ABSENT),
        ("ascending_z_inverted_curve", LevelStatus.ABSENT),
        ("sine_many", LevelStatus.UNCERTAIN),
        ("noise_around_half", LevelStatus.UNCERTAIN),
        ("constant_half_exact_zero", LevelStatus.UNCERTAIN),
    ],
)
def test_where_the_earlier_implementation_guessed_we_do_not(name, status):
    file = np.load(LEGACY)
    key = f"c{list(file['names']).index(name):02d}"

    choice = choose(target_to_offset(file[f"{key}_pred"], 10.0), file[f"{key}_z"].astype(float))

    assert choice.status is status
    assert choice.reason


def test_scores_that_stay_near_zero_are_those_of_another_body_part():
    """As a head scored by a torso model: a slow rise through zero that never gets anywhere."""
    z_mm = positions(-50, 75, 4.25)
    choice = choose(np.clip(z_mm * 0.4, -9, 12), z_mm)
    assert choice.status is LevelStatus.ABSENT
    assert "another part of the body" in choice.reason
    clear = choose(np.clip(z_mm, -25, 20), z_mm)
    assert clear.status is LevelStatus.FOUND
    assert clear.z_mm == pytest.approx(0, abs=2)


def test_scores_that_are_clear_nowhere_in_a_long_series_are_those_of_another_part_of_the_body():
    z_mm = np.arange(0, 150, 3.0)
    wandering = 0.5 + 0.25 * np.sin(z_mm / 9.0)
    options = ChoiceOptions(scale_mm=4.0, max_misfit=0.2)
    choice = choose_slice("L3", target_to_offset(wandering, 4.0), z_mm, options)
    assert choice.status is LevelStatus.ABSENT
    assert "another part of the body" in choice.reason
    assert (
        choose_slice("L3", target_to_offset(wandering[:6], 4.0), z_mm[:6], options).status
        is not LevelStatus.FOUND
    )
