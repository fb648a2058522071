"""A training in folds: one folder that resumes, an ensemble, and an evaluation without leaks."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bodycomp.analysis.inference import NetworkSegmenter
from bodycomp.analysis.loading import load_slice_scorer
from bodycomp.data.writers import SliceWriter
from bodycomp.errors import InputNotFoundError, OutputError, RunInterruptedError, UsageError
from bodycomp.evaluation.options import EvaluateOptions, Truths
from bodycomp.evaluation.run import evaluate
from bodycomp.imaging.volume import Volume
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.interface.runs import write_report
from bodycomp.interface.sets import ensemble
from bodycomp.networks.card_description import ModelWords
from bodycomp.networks.checkpoint import load_model
from bodycomp.networks.model_folder import write_card
from bodycomp.progress import no_progress
from bodycomp.training import folds as training_folds
from bodycomp.training.dry_run import dry_run
from bodycomp.training.folds import train
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions
from support.factories import level_slice

PATIENTS = {"train": "aabbc", "val": "cdd", "test": "xy"}
PLACES = {"data_dir": Path("data"), "output_dir": Path("models"), "name": "run"}


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def patients_set(segmentation_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patients") / "set"
    shutil.copytree(segmentation_set, folder)
    rows = [f"{s},{i},{p}" for s, people in PATIENTS.items() for i, p in enumerate(people)]
    (folder / "manifest.csv").write_text("\n".join(["split,index,patient", *rows]) + "\n")
    return folder


def unet_options(data_dir: Path, output_dir: Path) -> SegmentationOptions:
    return SegmentationOptions(
        data_dir=data_dir,
        output_dir=output_dir,
        name="segmentation",
        epochs=1,
        batch_size=4,
        compression_channels=(2, 4),
        decompression_channels=(2,),
        folds=2,
    )


@pytest.fixture(scope="module")
def trained(patients_set: Path, tmp_path_factory: pytest.TempPathFactory) -> SegmentationOptions:
    options = unet_options(patients_set, tmp_path_factory.mktemp("models"))
    torch.set_num_threads(1)
    train(options)
    return options


def test_folds_leave_a_run_each_a_table_and_an_ensemble(trained: SegmentationOptions):
    run = trained.output_dir / "segmentation"
    rows = read_rows(run / "folds.csv")
    assert [(row["fold"], int(row["held_out_samples"])) for row in rows] == [("1", 4), ("2", 4)]
    assert {int(row["train_samples"]) for row in rows} == {4}
    members = load_model(run).card.training["members"]
    assert [each["options"]["fold"] for each in members] == [1, 2]
    images = torch.rand(1, 1, 512, 512)
    with torch.inference_mode():
        alone = [load_model(run / f"fold-{k}").network(images).softmax(1) for k in (1, 2)]
        together = load_model(run).network(images).softmax(1)
    torch.testing.assert_close(together, (alone[0] + alone[1]) / 2)
    card = load_model(run / "fold-1").card
    assert card.description.data is not None
    assert card.description.data.splits["val"].patients == 2


def test_a_report_is_of_one_fold(trained: SegmentationOptions):
    with pytest.raises(InputNotFoundError, match="found one in folds"):
        write_report(trained.output_dir / "segmentation")


def test_each_slice_is_evaluated_by_the_fold_that_did_not_learn_from_it(
    trained: SegmentationOptions, tmp_path: Path
):
    data_dir, run = trained.data_dir, trained.output_dir / "segmentation"
    out = tmp_path / "out"
    truths = Truths(segmentation=data_dir, split="folds")
    document = evaluate(
        EvaluateOptions(out=out, truths=truths, models=trained.output_dir, save_masks=True),
        no_progress,
    )
    kept = json.loads((run / "folds.json").read_text())["fold_of_sample"]
    for split in ("train", "val"):
        hu = np.load(data_dir / f"{split}_images.npy")[..., 0]
        made = np.load(out / "masks" / f"{split}_masks.npy")[..., 0]
        for index, fold in enumerate(map(int, kept[split].split())):
            model = load_model(run / f"fold-{fold}")
            own = NetworkSegmenter(model, device="cpu")(
                Volume(hu, (1, 1), np.arange(len(hu))), [index]
            )
            assert (made[index] == own[index]).all()
            learnt = {
                PATIENTS[s][i]
                for s, numbers in kept.items()
                for i, number in enumerate(map(int, numbers.split()))
                if number != fold
            }
            assert PATIENTS[split][index] not in learnt
    assert document.data["segmentation"]["cases"] == 8
    assert document.models["segmentation"] == load_model(run).digest[:12]
    assert any("held it out" in warning for warning in document.warnings)
    with pytest.raises(UsageError, match="expected a training with --folds"):
        single = tmp_path / "models"
        shutil.copytree(run / "fold-1", single / "segmentation")
        evaluate(EvaluateOptions(out=tmp_path / "other", truths=truths, models=single), no_progress)


def test_finished_folds_are_left_alone_and_missing_ones_trained(
    trained: SegmentationOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    options = replace(trained, output_dir=tmp_path)
    shutil.copytree(trained.output_dir / "segmentation", tmp_path / "segmentation")
    with pytest.raises(OutputError, match="a run of this name exists"):
        train(options)
    run = tmp_path / "segmentation"
    before = (run / "fold-1" / "manifest.json").read_bytes()
    card = load_model(run).card
    said = replace(card, description=card.description.with_words(ModelWords(contact="us")))
    write_card(run, said)
    shutil.rmtree(run / "fold-2" / "checkpoints")  # as if it had ended before its first step
    (run / "fold-2" / "manifest.json").unlink()
    with caplog.at_level("INFO", logger="bodycomp"):
        train(replace(options, resume=True))
    assert "fold 1 of 2 is finished" in caplog.text
    assert (run / "fold-1" / "manifest.json").read_bytes() == before
    assert load_model(run).card.description.words.contact == "us"  # the models are the same
    assert (
        load_model(run / "fold-2").digest
        == load_model(trained.output_dir / "segmentation" / "fold-2").digest
    )


def test_an_interrupted_fold_says_how_all_are_resumed(
    patients_set: Path, tmp_path: Path, monkeypatch, caplog: pytest.LogCaptureFixture
):
    asked = []

    def interrupted(options, _):
        asked.append((options.fold, options.resume, options.max_minutes))
        raise RunInterruptedError("stopped", signal_number=2)

    monkeypatch.setattr(training_folds, "train_run", interrupted)
    options = replace(unet_options(patients_set, tmp_path), max_minutes=10.0)
    with caplog.at_level("INFO", logger="bodycomp"), pytest.raises(RunInterruptedError):
        train(options)
    assert asked == [(1, False, 5.0)]
    assert "--folds 2" in caplog.text
    assert "--resume" in caplog.text
    assert "--fold 1" not in caplog.text


def test_single_folds_lie_in_the_same_folder_and_share_the_assignment(
    patients_set: Path, tmp_path: Path
):
    options = unet_options(patients_set, tmp_path)
    train(replace(options, fold=2))
    run = tmp_path / "segmentation"
    assert sorted(path.name for path in run.iterdir()) == ["fold-2", "folds.json"]
    other = tmp_path / "other"
    shutil.copytree(patients_set, other)
    text = (other / "manifest.csv").read_text()
    (other / "manifest.csv").write_text(text.replace("train,0,a", "train,0,b"))
    with pytest.raises(UsageError, match="found others"):
        train(replace(options, fold=1, data_dir=other))


def test_a_dry_run_plans_all_folds(patients_set: Path, tmp_path: Path):
    lines = dry_run(unet_options(patients_set, tmp_path))
    text = "\n".join(lines)
    assert "4 train, 4 val, 2 test in the first of 2 folds by patient" in text
    assert "for 1 epochs of each of 2 folds" in text
    assert "up to 8 checkpoints" in text
    assert "--folds 2" in lines[-1]
    assert "--fold 1" not in text
    assert not (tmp_path / "segmentation").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 1}, "--folds from 2 to 20, found 1"),
        ({"fold": 1}, "expected --folds with --fold"),
        ({"fold_by": "site"}, "expected --folds with --fold or --fold_by"),
        ({"folds": 3, "fold": 4}, "--fold from 1 to 3, found 4"),
        ({"folds": 3, "name": ""}, "--folds needs a name"),
    ],
)
def test_options_that_do_not_go_together_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        SegmentationOptions(**(PLACES | changes))


def test_the_command_makes_the_ensemble_of_a_training(trained: SegmentationOptions, tmp_path: Path):
    run = trained.output_dir / "segmentation"
    card = ensemble(run, out=tmp_path / "made")
    assert len(card.config["members"]) == 2
    assert load_model(tmp_path / "made").digest == load_model(run).digest
    both = ensemble([run / "fold-1", run / "fold-2"], out=tmp_path / "named")
    assert both.config == card.config


def make_series_set(data_dir: Path) -> Path:
    """Write a series of each of five patients."""
    rng = np.random.default_rng(0)
    for split, people in {"train": "abc", "val": "de"}.items():
        with SliceWriter(data_dir, split, ("L3",), ("PatientID", "SeriesInstanceUID")) as writer:
            for person in people:
                names = {"PatientID": person, "SeriesInstanceUID": f"1.{ord(person)}"}
                for offset_mm in range(-100, 101, 25):
                    gray = SOFT_TISSUE.to_gray(level_slice(rng, offset_mm, (64, 64)))
                    writer.append(gray, {"L3": float(offset_mm)}, names)
    return data_dir


def test_series_are_located_by_the_fold_that_did_not_learn_from_them(tiny_densenet, tmp_path: Path):
    data_dir = make_series_set(tmp_path / "set")
    models = tmp_path / "models"
    train(
        tiny_densenet(
            data_dir=data_dir,
            output_dir=models,
            name="slice-selection",
            levels=("L3",),
            image_size=64,
            epochs=1,
            folds=2,
        )
    )
    out = tmp_path / "out"
    truths = Truths(slice_selection=data_dir, split="folds")
    document = evaluate(
        EvaluateOptions(out=out, truths=truths, models=models, identifiers=True), no_progress
    )
    assert sorted(row["patient"] for row in read_rows(out / "slice_selection.csv")) == list("abcde")
    assert document.data["slice_selection"]["slices"] == 45
    assert load_model(models / "slice-selection").card.architecture == "ensemble"


def test_folds_of_whole_series_and_their_ensemble(tmp_path: Path):
    data_dir, models = make_series_set(tmp_path / "set"), tmp_path / "models"
    train(
        SliceSelectionOptions(
            data_dir=data_dir,
            output_dir=models,
            name="slice-selection",
            arch="projection",
            image_size=64,
            epochs=1,
            batch_size=2,
            folds=2,
        )
    )
    truths = Truths(slice_selection=data_dir, split="folds")
    evaluate(EvaluateOptions(out=tmp_path / "out", truths=truths, models=models), no_progress)
    assert len(read_rows(tmp_path / "out" / "slice_selection.csv")) == 5
    scorer = load_slice_scorer(models, device="cpu")
    assert scorer.sees_series
    hu = np.zeros((12, 64, 64), np.int16)
    scores = scorer.score_members(Volume(hu, (5.0, 5.0), np.arange(12) * 6.0))
    assert scores.shape == (3, 12, 1)
    offsets = np.log(scores / (1 - scores))
    assert offsets[0] == pytest.approx((offsets[1] + offsets[2]) / 2, abs=1e-4)
