"""``bodycomp card``: what it prints and writes, what it adds to a card, and what it refuses."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from bodycomp.anatomy import THORACIC_TISSUES
from bodycomp.cli import main
from bodycomp.data.writers import SliceWriter
from bodycomp.networks.card_description import KIND_WORDS
from bodycomp.networks.checkpoint import ModelCard, build_network, load_model, save_model
from bodycomp.networks.model_folder import read_model_files, write_card
from support.factories import make_segmentation_set, make_slice_set
from support.model_cards import SMALL as CARDS

WORDS = """\
name: "Hospital <b>X</b>, L3"
training_data: 200 patients of one scanner, levels marked by two readers
known_failures:
  - Scans after spinal surgery
licence: CC BY-NC 4.0
contact: lab@example.org
"""


@pytest.fixture
def pair(tmp_path):
    torch.manual_seed(0)
    for name, card in CARDS.items():
        save_model(tmp_path / "models" / name, build_network(card), card)
    return tmp_path / "models"


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text(WORDS, encoding="utf-8")
    return path


def run(*arguments):
    return main(["card", *map(str, arguments)])


def number(value, **more):
    return {"value": value, "low": value - 1, "high": value + 1, "unit": "mm", "n": 12} | more


def evaluation(folder, **changes):
    digest = read_model_files(folder / "slice-selection")[2]
    document = {
        "schema": "bodycomp.evaluation",
        "schema_version": 1,
        "made_at": "2026-11-24T18:00:00+00:00",
        "models": {"slice_selection": digest, "segmentation": "ab" * 32},
        "data": {
            "parts": {
                "cases": {
                    "kind": "cases table",
                    "digest": "cd" * 32,
                    "split": "test",
                    "cases": 12,
                    "patients": 11,
                }
            }
        },
        "bootstrap": {"resamples": 2000, "level": 0.95, "seed": 0},
        "warnings": ["1 case was refused", "the segmentation set has no manifest"],
        "slice_selection": {
            "cases": {
                "levels": {
                    "L3": {
                        "counts": {"series": 12},
                        "metrics": {
                            "median_error_mm": number(4.5, patients=11),
                            "found": {"value": None, "unit": "1", "n": 0, "reason": "no series"},
                        },
                    }
                },
                "score_calibration": {"L3": [{"n": 3, "mean_error_mm": 1.0}]},
            }
        },
        "segmentation": {"tissues": {"muscle": {"metrics": {"dice": number(0.9, unit="1")}}}},
        "subgroups": [
            {
                "column": "sex",
                "group": "F",
                "cases": 3,
                "warning": "3 patients, fewer than 5",
                "slice_selection": {
                    "L3": {"metrics": {"within_10_mm": number(0.5), "mean_error_mm": number(1)}}
                },
            }
        ],
    } | changes
    path = folder.parent / "evaluation.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_pair_is_printed_within_80_columns_and_says_what_it_is_not(pair, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(pair) == 0
    text = capsys.readouterr().out
    assert text.count("For research only, not a medical device.") == 2
    assert "Finds L3" in text
    assert "Labels muscle" in text
    assert "Known failures" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_json_is_the_card_with_its_digest(pair, capsys):
    assert run(pair / "segmentation", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("digest") == load_model(pair / "segmentation").digest
    assert ModelCard.from_dict(told) == CARDS["segmentation"]
    assert run(pair, "--json") == 0
    assert [card["task"] for card in json.loads(capsys.readouterr().out)] == [
        "slice_selection",
        "segmentation",
    ]


def test_the_page_holds_everything_needs_nothing_and_escapes_words(pair, words, tmp_path, capsys):
    model = pair / "slice-selection"
    page = tmp_path / "card.html"
    assert run(model, "--describe", words, "--page", page) == 0
    assert str(page) in capsys.readouterr().out.replace("\n", "")
    html = page.read_text(encoding="utf-8")
    assert "For research only, not a medical device." in html
    assert "Hospital &lt;b&gt;X&lt;/b&gt;, L3" in html
    assert "Scans after spinal surgery" in html
    assert not re.search(r"""(src|href)=["'](http|//)|@import|url\(""", html)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_words_are_added_twice_as_once_and_leave_the_digest(pair, words):
    model = pair / "slice-selection"
    before = load_model(model).digest
    for _ in range(2):
        assert run(model, "--describe", words) == 0
    loaded = load_model(model)
    told = loaded.card.description.words
    general = KIND_WORDS["slice_selection"]
    assert loaded.digest == before
    assert told.licence == "CC BY-NC 4.0"
    assert told.intended_use == general.intended_use
    assert told.known_failures == (*general.known_failures, "Scans after spinal surgery")


def test_metrics_of_an_evaluation_come_with_intervals_counts_and_reasons(pair, capsys):
    model = pair / "slice-selection"
    path = evaluation(pair)
    assert run(model, "--evaluation", path) == 0
    assert run(model, "--evaluation", path.parent) == 0  # again, by its folder
    table, by_sex = load_model(model).card.description.metrics
    error, share = table.metrics
    assert (error.name, error.value, error.low, error.high) == (
        "L3 / median_error_mm",
        4.5,
        3.5,
        5.5,
    )
    assert (error.cases, error.patients, error.unit) == (12, 11, "mm")
    assert (share.value, share.reason) == (None, "no series")
    assert table.data_digest == "cd" * 32
    assert "a cases table, split test (12 cases, 11 patients)" in table.source
    assert table.notes == ("Intervals of 95 %.", "1 case was refused")
    (woman,) = by_sex.metrics
    assert (woman.name, woman.reason) == ("sex F / L3 / within_10_mm", "3 patients, fewer than 5")
    assert "3.50 to 5.50" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"models": {"slice_selection": "ef" * 32}}, "efef"),
        ({"models": {}}, "found one of none"),
        ({"schema_version": 3}, "version"),
        ({"slice_selection": {}, "subgroups": []}, "found none"),
        ({"slice_selection": {"cases": {"x": {"value": "much", "unit": "mm"}}}}, "much"),
    ],
)
def test_an_evaluation_of_something_else_is_refused_and_nothing_changes(
    pair, capsys, changes, said
):
    model = pair / "slice-selection"
    before = (model / "card.json").read_bytes()
    assert run(model, "--evaluation", evaluation(pair, **changes)) != 0
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert (model / "card.json").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [("title: x", "title"), ("- x", "list"), ("name: [", "YAML"), ("name: 3", "name")],
)
def test_words_that_cannot_be_used_are_refused_by_name(pair, tmp_path, capsys, content, said):
    path = tmp_path / "wrong.yaml"
    path.write_text(content, encoding="utf-8")
    assert run(pair / "segmentation", "--describe", path) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "wrong.yaml" in error


def test_one_card_is_changed_at_a_time(pair, words, capsys):
    assert run(pair, "--describe", words) == 2
    assert "name one of the two" in capsys.readouterr().err


def test_nothing_there_is_said(tmp_path, capsys):
    assert run(tmp_path / "nowhere") == 1
    assert run(tmp_path) == 1
    assert "card.json" in capsys.readouterr().err


def bright_set(folder, series):
    """Slices whose brightness is their height; a series each of one patient."""
    for split in ("train", "val"):
        with SliceWriter(folder, split, ["L3"], ("PatientID", "SeriesInstanceUID")) as writer:
            for number in range(series):
                names = {"PatientID": f"p{number}", "SeriesInstanceUID": f"s{number}"}
                for offset in np.arange(-60.0, 64.0, 10.0):
                    gray = np.full((32, 32), int(128 + offset), np.uint8)
                    writer.append(gray, {"L3": offset}, names)
    return folder


class Brightness(torch.nn.Module):
    """Says how far a slice is from mid grey, as ``bright_set`` writes it, and a shift more."""

    def __init__(self, shift_mm):
        super().__init__()
        self.shift_mm = shift_mm

    def forward(self, images):
        return (images.mean(dim=(2, 3)) * 255 - 128 + self.shift_mm) / 10


@pytest.mark.parametrize(("shift_mm", "right"), [(0.0, 8), (25.0, 0)])
def test_a_model_is_calibrated_on_a_set_of_its_user(
    pair, tmp_path, capsys, monkeypatch, shift_mm, right
):
    model = pair / "slice-selection"
    before = load_model(model)
    known = replace(before, network=Brightness(shift_mm))
    monkeypatch.setattr("bodycomp.training.calibrating.load_model", lambda *_, **__: known)
    data = bright_set(tmp_path / "set", 8)
    assert run(model, "--calibrate", f"{data}:val", "--device", "cpu") == 0
    monkeypatch.undo()
    after = load_model(model)
    made = after.card.confidence.levels["L3"]
    assert (made.series, made.right) == (8, right)
    assert after.digest != before.digest
    assert "Calibrated on" in capsys.readouterr().out


def test_sets_that_cannot_calibrate_are_refused(pair, tmp_path, capsys):
    model = pair / "slice-selection"
    assert run(model, "--calibrate", bright_set(tmp_path / "few", 1), "--device", "cpu") == 1
    assert "at least 5 series" in capsys.readouterr().err
    assert run(model, "--calibrate", f"{tmp_path / 'few'}:test", "--device", "cpu") == 2
    assert "no split test" in capsys.readouterr().err
    assert run(pair / "segmentation", "--calibrate", tmp_path / "few") == 1
    assert "segmentation" in capsys.readouterr().err


def test_a_card_of_old_shows_what_is_true_of_its_kind(pair, capsys):
    model = pair / "slice-selection"
    card = read_model_files(model)[0]
    write_card(model, card)
    assert run(model) == 0
    text = capsys.readouterr().out
    assert "It counts no vertebrae" in text
    assert "Not calibrated for this model" in text


def test_what_evaluate_writes_is_what_a_card_reads(pair, tmp_path, capsys):
    data = make_slice_set(tmp_path / "set", {"train": 4, "val": 4, "test": 9}, sizes=((64, 64),))
    masks = make_segmentation_set(tmp_path / "masks", {"test": 2}, tissues=THORACIC_TISSUES)
    out = tmp_path / "evaluated"
    sets = ["--slice-selection", data, "--segmentation", masks]
    assert main(["evaluate", *map(str, [pair, *sets, "--out", out, "--device", "cpu"])]) == 0
    for name, what in (("slice-selection", "found"), ("segmentation", "mean_dice")):
        assert run(pair / name, "--evaluation", out) == 0
        (table,) = load_model(pair / name).card.description.metrics
        assert any(metric.name.endswith(what) for metric in table.metrics)
        assert "split test" in table.source
        assert len(table.data_digest) == 64
