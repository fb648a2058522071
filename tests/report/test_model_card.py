"""What people are shown of a model's card."""

import json
from dataclasses import replace

import pytest

from bodycomp.networks.card_description import Metric, MetricTable, ModelDescription
from bodycomp.report.model_card_view import make_card_view
from support.model_cards import BARE, DIGEST, FULL, SEGMENTATION


def section(view, key):
    return next(part for part in view.sections if part.key == key)


@pytest.mark.parametrize("card", [BARE, FULL, SEGMENTATION])
def test_a_view_is_ready_for_json_and_says_what_the_model_is_not(card):
    view = make_card_view(card, DIGEST)
    shown = json.loads(json.dumps(view.to_dict()))
    assert shown["digest"] == "0123456789ab"
    assert shown["notice"] == "For research only, not a medical device."
    assert section(view, "out-of-scope").entries


def test_what_is_not_known_of_an_old_model_is_said():
    view = make_card_view(BARE, DIGEST)
    assert view.title == "Finds T12 and L3"
    for key in ("metrics", "confidence", "data", "making", "legal"):
        assert not section(view, key).is_stated
    assert "Not calibrated for this model" in section(view, "confidence").paragraphs[0]
    assert section(view, "failures").entries  # true of every model of the kind


def test_numbers_come_with_interval_and_counts_and_what_is_missing_with_its_reason():
    view = make_card_view(FULL, DIGEST)
    (table,) = section(view, "metrics").tables
    assert table.rows[0] == ("L3: found within 10 mm", "0.750", "0.500 to 0.900", "12", "11")
    assert table.rows[1][1] == "none"
    assert table.notes == ("no slice near it (L3: mean absolute error of near slices)",)
    assert view.tiles[0].value == "0.750"
    assert "found within 10 mm" in view.tiles[0].label


def test_levels_without_calibration_are_named():
    text = section(make_card_view(FULL, DIGEST), "confidence").paragraphs
    assert text == ("Calibrated on 12 series.", "Not calibrated: T12.")


def test_a_segmentation_model_says_nothing_of_positions():
    view = make_card_view(SEGMENTATION, DIGEST)
    assert "confidence" not in {part.key for part in view.sections}
    assert view.title.startswith("Labels muscle")


def test_an_evaluation_counts_more_than_what_training_measured():
    evaluated = MetricTable(
        key="evaluation/slice_selection/cases",
        title="Positions",
        source="60 cases",
        metrics=(
            Metric("L3 / median_absolute_error_mm", 4.5, 3.5, 5.5, "mm", 60, 58),
            Metric("L3 / mean_error_mm", 0.1, -1.0, 1.2, "mm", 60, 58),
        ),
    )
    card = replace(FULL, description=FULL.description.with_metrics([evaluated]))
    tiles = make_card_view(card, DIGEST).tiles
    assert tiles[0].value == "4.50 mm"
    assert tiles[0].label == "L3: median absolute error (evaluation, 3.50 to 5.50)"
    assert not any("within 10 mm" in tile.label for tile in tiles)


def test_a_column_that_nobody_filled_is_left_out():
    bare = MetricTable("test", "Test", "5 slices", (Metric("dice_mean", 0.9, unit="1"),))
    card = replace(SEGMENTATION, description=ModelDescription(metrics=(bare,)))
    (table,) = section(make_card_view(card, DIGEST), "metrics").tables
    assert table.columns == ("", "value")
    assert table.rows == (("mean Dice of all tissues", "0.900"),)


def test_a_reason_that_many_numbers_share_is_given_once():
    metrics = tuple(Metric(f"g{i} / found", 0.5, reason="few patients") for i in range(9))
    table = MetricTable("evaluation/subgroups/x", "By sex", "", metrics)
    card = replace(BARE, description=ModelDescription(metrics=(table,)))
    (shown,) = section(make_card_view(card, DIGEST), "metrics").tables
    assert shown.notes == ("few patients (9 numbers)",)


def test_a_card_shows_what_the_calibration_makes_of_a_confidence():
    (table,) = section(make_card_view(FULL, DIGEST), "confidence").tables
    # logit 0.9 is 2.197; -0.5 + 0.7 * 2.197 = 1.038, of which the logistic is 0.74
    assert table.rows == (("L3", "12", "9", "0.52", "0.74"),)
