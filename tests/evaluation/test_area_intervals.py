"""Intervals of areas: made of an evaluation's cases, kept in the card, reported with each area."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bodycomp.analysis.measurement import with_prediction_intervals
from bodycomp.anatomy import MUSCLE
from bodycomp.errors import ModelError, UsageError
from bodycomp.evaluation.area_intervals import AreaCase, add_intervals
from bodycomp.evaluation.document import EvaluationDocument
from bodycomp.evaluation.options import EvaluateOptions, Truths
from bodycomp.evaluation.run import evaluate
from bodycomp.interface.cards import card
from bodycomp.networks.area_intervals import AreaBounds, AreaIntervals, error_scale
from bodycomp.networks.card import ModelCard
from bodycomp.networks.checkpoint import build_network, load_model, save_model
from bodycomp.progress import no_progress
from bodycomp.results import (
    LevelResult,
    LevelStatus,
    Measurement,
    QualityFlag,
    SliceChoice,
)
from support.factories import make_segmentation_set
from support.model_cards import SMALL

NOTHING = np.zeros(1, np.float32)
BOUNDS = AreaBounds(-1.0, 2.0, 30, 30)
WIDE = AreaBounds(-5.0, 5.0, 20, 25)


def cases(count: int, shift: float, *, is_flagged: bool | None = None) -> list[AreaCase]:
    """Patients whose true areas are off by -1 to 1 and the shift, in the error's scale."""
    areas = np.linspace(20, 300, count)
    errors = np.linspace(-1, 1, count) + shift
    return [
        AreaCase(f"{is_flagged}-{n}", "muscle", area, area + error * error_scale(area), is_flagged)
        for n, (area, error) in enumerate(zip(areas.tolist(), errors.tolist(), strict=True))
    ]


def section(own: list[AreaCase], split: str = "test", digest: str = "") -> dict:
    document = EvaluationDocument(data={"cases": {"kind": "cases table", "split": split}})
    add_intervals(document, own, "cases", digest)
    return document.sections.get("area_intervals", {})


def test_bounds_are_those_of_the_errors_and_wider_where_flags_are():
    found = section(
        [*cases(40, 0.0, is_flagged=False), *cases(20, 3.0, is_flagged=True)], digest="abc"
    )
    groups = found["tissues"]["muscle"]
    assert groups["unflagged"]["low"] == pytest.approx(-0.95, abs=0.06)
    assert groups["flagged"]["high"] == pytest.approx(4.0, abs=0.06)
    assert (groups["all"]["patients"], groups["flagged"]["patients"]) == (60, 20)
    assert found["slice_selection"] == "abc"


def test_too_few_patients_and_those_that_were_trained_on_give_none():
    found = section(cases(19, 0.0))
    assert (found["tissues"], found["too_few_patients"]) == ({}, {"muscle": 19})
    few_flagged = section([*cases(40, 0.0, is_flagged=False), *cases(5, 0.0, is_flagged=True)])
    assert set(few_flagged["tissues"]["muscle"]) == {"all", "unflagged"}
    assert not section(cases(40, 0.0), split="train")


def level(*flags: QualityFlag, slices: int = 1) -> LevelResult:
    choice = SliceChoice("L3", LevelStatus.FOUND, "", 0, 0.0, NOTHING, NOTHING, 1)
    measured = {
        "muscle": Measurement(99.0, *[None] * 5),
        "visceral_fat": Measurement(0.0, *[None] * 5),
    }
    return LevelResult(choice, tuple(range(slices)), measured, flags=flags)


def interval(found: LevelResult, tissue: str = "muscle") -> tuple[float | None, float | None]:
    own = found.measurements[tissue]
    return own.area_pi90_low_cm2, own.area_pi90_high_cm2


def test_results_have_the_interval_of_their_kind():
    known = AreaIntervals(
        "", 0.9, "abc", {"muscle": {"all": BOUNDS, "flagged": WIDE, "unflagged": BOUNDS}}
    )
    assert interval(with_prediction_intervals(level(), known, "abc")) == (89.0, 119.0)
    metal = QualityFlag("metal", "", 1.0, 1.0, ("muscle_",))
    assert interval(with_prediction_intervals(level(metal), known, "abc")) == (49.0, 149.0)
    for flag in (
        QualityFlag("noise", "", 1.0, 1.0, ("muscle_sd_hu",)),
        QualityFlag("model_caution", "", None, None, ()),
    ):  # neither touches the area
        assert interval(with_prediction_intervals(level(flag), known, "abc")) == (89.0, 119.0)
    untouched = (
        with_prediction_intervals(level(), known, "other"),
        with_prediction_intervals(level(slices=3), known, "abc"),
        with_prediction_intervals(level(), None, "abc"),
    )
    assert all(interval(each) == (None, None) for each in untouched)
    assert interval(with_prediction_intervals(level(), known, "abc"), "visceral_fat")[0] is None


def test_an_interval_holds_no_negative_area():
    known = AreaIntervals(tissues={"visceral_fat": {"all": WIDE}})
    found = with_prediction_intervals(level(), known, "any")
    assert interval(found, "visceral_fat") == (0.0, 5.0)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    small: ModelCard = SMALL["segmentation"]
    save_model(folder / "segmentation", build_network(small), small)
    return folder


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_segmentation_set(
        tmp_path_factory.mktemp("set"), {"train": 1, "val": 1, "test": 24}
    )
    rows = [f"test,{n},p{n},0.8,0.8" for n in range(24)]
    rows = ["train,0,t,0.8,0.8", "val,0,v,0.8,0.8", *rows]
    head = "split,index,patient,row_spacing_mm,column_spacing_mm"
    (folder / "manifest.csv").write_text("\n".join([head, *rows]) + "\n")
    return folder


def test_an_evaluation_gives_the_card_intervals_that_the_next_one_checks(
    models: Path, held_out: Path, tmp_path: Path
):
    shutil.copytree(models, tmp_path / "models")
    own, truths = tmp_path / "models" / "segmentation", Truths(segmentation=held_out)
    before = load_model(own).digest

    def evaluated(name: str) -> dict:
        options = EvaluateOptions(out=tmp_path / name, truths=truths, models=tmp_path / "models")
        evaluate(options, no_progress)
        return json.loads((tmp_path / name / "evaluation.json").read_text())

    first = evaluated("first")
    assert first["segmentation"]["tissues"]["muscle"]["metrics"]["in_interval"]["value"] is None
    (shown,) = card(own, intervals=tmp_path / "first")
    assert shown.digest != before
    kept = load_model(own).card.area_intervals
    assert kept is not None
    assert kept.source == "segmentation training set, split test"
    assert kept.tissues["muscle"]["all"].patients == 24
    view = next(s for s in shown.view.sections if s.key == "area-intervals")
    assert view.is_stated
    assert view.tables[0].rows[0][:3] == ("muscle", "all", "24")
    second = evaluated("second")
    assert second["segmentation"]["tissues"]["muscle"]["metrics"]["in_interval"]["value"] >= 0.9
    with pytest.raises(UsageError, match="expected an evaluation of the segmentation model"):
        card(own, intervals=tmp_path / "first")  # of the model as it was


def test_what_cannot_be_made_intervals_of_is_refused(models: Path, tmp_path: Path):
    own = models / "segmentation"
    digest = load_model(own).digest[:12]
    document = {
        "schema": "bodycomp.evaluation",
        "schema_version": 2,
        "models": {"segmentation": digest},
        "area_intervals": {"tissues": {}, "too_few_patients": {"muscle": 7}},
    }
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(document))
    with pytest.raises(
        UsageError, match="at least 20 patients to make intervals of, found 7 of mus"
    ):
        card(own, intervals=path)
    document["area_intervals"] = {"tissues": {"muscle": {"flagged": {"low": 0, "high": 1}}}}
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match="cannot be read"):
        card(own, intervals=path)


def test_cards_without_intervals_are_as_they_were():
    plain = SMALL["segmentation"]
    assert "area_intervals" not in plain.to_dict()
    known = AreaIntervals("some", 0.9, "abc", {"muscle": {"all": BOUNDS}})
    made = replace(plain, area_intervals=known)
    assert ModelCard.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    other = replace(made, area_intervals=replace(known, source="other words"))
    assert other.essence() == made.essence() != plain.essence()
    with pytest.raises(ModelError, match="measures no areas"):
        replace(SMALL["slice-selection"], area_intervals=known)
    with pytest.raises(ModelError, match="found one of liver"):
        replace(plain, area_intervals=AreaIntervals(tissues={"liver": {"all": BOUNDS}}))
    with pytest.raises(ModelError, match="expected an interval"):
        AreaBounds(1.0, -1.0, 20, 20)
    assert MUSCLE.key == "muscle"
