"""Models that ship with bodycomp are found by name, and say what every result must."""

from pathlib import Path

import pytest

from bodycomp.analysis.loading import load_analyzer
from bodycomp.networks.model_folder import models_at, read_model_files
from bodycomp.networks.shipped import MODELS_VARIABLE, models_dir, shipped_models


def test_a_folder_is_itself(tmp_path, monkeypatch):
    monkeypatch.setenv(MODELS_VARIABLE, "elsewhere")
    assert models_dir(tmp_path) == tmp_path
    assert models_dir("./default") == Path("./default") != models_dir("default")


def test_without_a_folder_the_environment_decides_then_the_default(monkeypatch):
    monkeypatch.setenv(MODELS_VARIABLE, "elsewhere")
    assert models_dir(None) == Path("elsewhere")
    monkeypatch.delenv(MODELS_VARIABLE)
    assert models_dir(None) == models_dir("default") == shipped_models()["default"]


def test_default_models_have_cards_that_state_licence_and_caution():
    paths = models_at(Path("default"))
    cards = [read_model_files(path)[0] for path in paths]
    assert {card.task for card in cards} == {"segmentation", "slice_selection"}
    for card in cards:
        words = card.description.words
        assert words.licence == "Apache-2.0"
        assert "not validated on your scanner" in words.caution
        assert words.training_data
        assert words.known_failures
        assert card.description.metrics


def test_all_shipped_models_together_take_20_mb_at_most():
    files = [p for folder in shipped_models().values() for p in folder.rglob("*") if p.is_file()]
    assert 0 < sum(path.stat().st_size for path in files) <= 20e6


@pytest.mark.parametrize("name", ["default"])
def test_shipped_models_can_be_loaded(name):
    analyzer = load_analyzer(Path(name), device="cpu")
    assert set(analyzer.scorer.levels) >= {"T5", "T8", "T10", "T12", "L1", "L2", "L3", "L4", "L5"}
    assert "not validated on your scanner" in analyzer.caution
