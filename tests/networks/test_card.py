"""What a card says about a model, what of it decides the model's digest, and cards of any age."""

import json
from dataclasses import replace

import pytest
import torch

from bodycomp.anatomy import THORACIC_TISSUES
from bodycomp.errors import ModelError, UsageError
from bodycomp.imaging.preprocessing import (
    SEGMENTATION_PREPROCESSING,
    SLICE_SELECTION_PREPROCESSING,
)
from bodycomp.json_file import to_plain
from bodycomp.networks.card import ModelCard
from bodycomp.networks.card_description import (
    KIND_WORDS,
    WORD_KEYS,
    Metric,
    MetricTable,
    ModelDescription,
    ModelWords,
    SplitSize,
    TrainingData,
)
from bodycomp.networks.checkpoint import build_network, load_model, save_model
from bodycomp.networks.confidence_calibration import ConfidenceCalibration, LevelCalibration
from bodycomp.networks.model_folder import read_model_files, write_card

CARD = ModelCard(
    task="slice_selection",
    architecture="densenet",
    config={"num_outputs": 1, "nb_blocks": 2, "nb_layers_per_block": 1, "growth_rate": 2},
    preprocessing=SLICE_SELECTION_PREPROCESSING,
    levels=("L3",),
    target_scale_mm=10.0,
)
CALIBRATION = ConfidenceCalibration("12 series", {"L3": LevelCalibration(-0.5, 0.75, 12, 9)})
TABLE = MetricTable(
    key="test",
    title="Test split",
    source="12 series",
    metrics=(
        Metric("found_L3", 0.75, 0.5, 0.9, "1", 12, 12),
        Metric("mae_mm_L3", None, unit="mm", reason="no slice near it"),
    ),
    data_digest="ab" * 32,
    made_at="2026-11-24T18:00:00+00:00",
    notes=("few series",),
)
DESCRIPTION = ModelDescription(
    words=replace(KIND_WORDS["slice_selection"], name="Demo L3", licence="CC BY 4.0"),
    data=TrainingData("cd" * 32, {"train": SplitSize(2368, 48, 48), "val": SplitSize(960)}),
    metrics=(TABLE,),
    software={"bodycomp": "0.1.0", "torch": "2.9"},
)


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    save_model(tmp_path / "model", build_network(CARD), CARD)
    return tmp_path / "model"


def digest(folder):
    return load_model(folder).digest


def test_a_card_comes_back_from_its_file_as_it_was(model):
    card = replace(CARD, confidence=CALIBRATION, description=DESCRIPTION, training={"seed": 1})
    write_card(model, card)
    read, _, _ = read_model_files(model)
    assert read == load_model(model).card == card
    json.loads((model / "card.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_words_and_numbers_leave_the_digest_as_it_is(model):
    before = digest(model)
    write_card(model, replace(CARD, description=DESCRIPTION, training={"seed": 8}))
    assert digest(model) == before
    # and so does the way in which the file is written
    text = json.loads((model / "card.json").read_text(encoding="utf-8"))
    (model / "card.json").write_text(json.dumps(dict(reversed(text.items()))), encoding="utf-8")
    assert digest(model) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"confidence": CALIBRATION},
        {"target_scale_mm": 12.0},
        {"levels": ("L4",)},
        {"preprocessing": replace(SLICE_SELECTION_PREPROCESSING, input_max=255.0)},
        {"config": {**CARD.config, "activation": "elu"}},
    ],
)
def test_what_results_depend_on_changes_the_digest(model, changed):
    before = digest(model)
    write_card(model, replace(CARD, **changed))
    assert digest(model) != before


def test_another_calibration_is_another_digest_but_the_words_about_it_are_not(model):
    write_card(model, replace(CARD, confidence=CALIBRATION))
    before = digest(model)
    write_card(model, replace(CARD, confidence=replace(CALIBRATION, source="other words")))
    assert digest(model) == before
    other = ConfidenceCalibration("", {"L3": LevelCalibration(-0.5, 0.7, 12, 9)})
    write_card(model, replace(CARD, confidence=other))
    assert digest(model) != before


def test_weights_are_part_of_the_digest(model, tmp_path):
    torch.manual_seed(1)
    save_model(tmp_path / "other", build_network(CARD), CARD)
    assert digest(tmp_path / "other") != digest(model)


def test_cards_from_before_there_were_descriptions_still_load(model):
    path = model / "card.json"
    old = json.loads(path.read_text(encoding="utf-8"))
    before = digest(model)
    del old["description"], old["confidence"]
    path.write_text(json.dumps(old), encoding="utf-8")
    assert load_model(model).card == CARD
    assert digest(model) == before


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("confidence", {"levels": {"L3": {"intercept": 0}}}, "slope"),
        (
            "confidence",
            {"levels": {"T5": {"intercept": 0, "slope": 1, "series": 1, "right": 1}}},
            "T5",
        ),
        (
            "confidence",
            {"levels": {"L3": {"intercept": 0, "slope": -1, "series": 1, "right": 1}}},
            "slope",
        ),
        ("description", {"words": {"nmae": "x"}}, "nmae"),
        ("description", {"metrics": [{"key": "x"}]}, "title"),
        ("description", [1], "list"),
    ],
)
def test_damaged_parts_are_refused_with_what_is_wrong(model, part, value, said):
    path = model / "card.json"
    card = json.loads(path.read_text(encoding="utf-8")) | {part: value}
    path.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match=said):
        load_model(model)


def test_a_segmentation_model_has_no_confidence():
    with pytest.raises(ModelError, match="positions"):
        ModelCard(
            task="segmentation",
            architecture="unet",
            config={"num_classes": 3},
            preprocessing=SEGMENTATION_PREPROCESSING,
            tissues=THORACIC_TISSUES,
            confidence=CALIBRATION,
        )


def test_words_of_a_person_take_the_place_of_what_is_true_of_any_model_but_lists_grow():
    general = KIND_WORDS["segmentation"]
    given = ModelWords.from_dict(
        {"intended_use": " Cohort X ", "known_failures": ["Ascites", general.known_failures[0]]}
    )
    words = general.overlaid(given)
    assert words.intended_use == "Cohort X"
    assert words.intended_users == general.intended_users
    assert words.known_failures == (*general.known_failures, "Ascites")
    assert words.overlaid(given) == words


@pytest.mark.parametrize(
    ("values", "said"),
    [({"name": 3}, "name"), ({"title": "x"}, "title"), ({"out_of_scope": [1]}, "out_of_scope")],
)
def test_words_that_are_none_are_refused(values, said):
    with pytest.raises(UsageError, match=said):
        ModelWords.from_dict(values)


def test_all_words_are_known_by_their_names():
    assert set(WORD_KEYS) == set(to_plain(ModelWords()))


def test_newer_numbers_take_the_place_of_older_ones_of_the_same_key():
    newer = replace(TABLE, source="24 series")
    other = replace(TABLE, key="validation")
    tables = DESCRIPTION.with_metrics([other]).with_metrics([newer]).metrics
    assert tables == (other, newer)
