"""Whole trainings on tiny sets: what they leave, what they refuse, what they learn."""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bodycomp.anatomy import THORACIC_TISSUES
from bodycomp.errors import (
    InputNotFoundError,
    ModelError,
    TrainingError,
    TrainingSetError,
    UsageError,
)
from bodycomp.networks.card_description import SplitSize
from bodycomp.networks.checkpoint import load_model
from bodycomp.networks.model_folder import write_card
from bodycomp.training.fit import train_segmentation, train_slice_selection
from bodycomp.training.slice_selection import SliceSelectionTask
from support.factories import make_segmentation_set

RUN_FILES = {
    "args.json",
    "checkpoints",
    "curves.png",
    "examples.png",
    "manifest.json",
    "metrics.csv",
    "model",
    "tensorboard",
    "test_metrics.json",
}


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def read_rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.usefixtures("pictures")
def test_segmentation_run_leaves_what_the_contract_lists(tiny_unet):
    run = train_segmentation(tiny_unet(keep_every_epoch=True))
    assert {path.name for path in run.iterdir()} == RUN_FILES
    assert {path.name for path in (run / "checkpoints").iterdir()} == {
        "best.ckpt",
        "last.ckpt",
        "previous.ckpt",
        "epoch_0000.ckpt",
        "epoch_0001.ckpt",
    }
    rows = read_rows(run)
    assert [row["epoch"] for row in rows] == ["0", "1"]
    wanted = {"train_loss", "learning_rate", "val_loss", "images_per_s"} | {
        f"val_{kind}_{tissue}"
        for kind in ("dice", "image_dice")
        for tissue in ("muscle", "subcutaneous_fat", "visceral_fat")
    }
    assert wanted <= rows[0].keys()
    manifest = read_json(run / "manifest.json")
    assert manifest["exit_state"] == "finished"
    assert manifest["data"]["sizes"] == {"train": 5, "val": 3, "test": 2}
    assert manifest["peak_memory_bytes"] > 1e6
    assert read_json(run / "args.json")["compression_channels"] == [2, 4]
    assert 0 <= read_json(run / "test_metrics.json")["dice_muscle"] <= 1
    assert any((run / "tensorboard").glob("events.out.tfevents.*"))


def test_exported_model_is_the_best_epoch_and_names_no_place(tiny_unet, small_segmentation_set):
    run = train_segmentation(tiny_unet())
    model = load_model(run, task="segmentation")
    scores = [float(row["val_dice_mean"]) for row in read_rows(run)]
    assert model.card.training["epoch"] == int(np.argmax(scores))
    assert str(small_segmentation_set) not in (run / "model" / "card.json").read_text(
        encoding="utf-8"
    )
    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    for name, weight in model.network.state_dict().items():
        assert torch.equal(weight, best["bodycomp_average"][name]), name


def test_slice_selection_metrics_are_per_level(tiny_densenet):
    run = train_slice_selection(tiny_densenet(epochs=1))
    row = read_rows(run)[0]
    for level in ("L3", "T8"):
        assert float(row[f"val_mae_mm_{level}"]) > 0
        assert f"val_located_error_mm_{level}" in row
        assert 0 <= float(row[f"val_found_{level}"]) <= 1
    card = load_model(run).card
    assert card.levels == ("L3", "T8")
    assert card.target_scale_mm == 10.0


def test_same_seed_same_weights_other_seed_others(tiny_densenet):
    runs = [
        train_slice_selection(tiny_densenet(name=f"run{i}", seed=seed, epochs=1))
        for i, seed in enumerate((3, 3, 4))
    ]
    weights = [(run / "model" / "weights.safetensors").read_bytes() for run in runs]
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.slow
def test_a_small_network_learns_muscle(tmp_path, tiny_unet):
    data = make_segmentation_set(tmp_path / "data", {"train": 8, "val": 2})
    options = tiny_unet(
        data_dir=data,
        epochs=14,
        batch_size=1,
        learning_rate=3e-2,
        compression_channels=(4, 8, 8),
        decompression_channels=(8, 4),
    )
    rows = read_rows(train_segmentation(options))
    assert float(rows[-1]["val_dice_muscle"]) > 0.9
    assert float(rows[-1]["val_loss"]) < float(rows[0]["val_loss"]) / 2


def test_thoracic_model_has_three_classes(tmp_path, tiny_unet):
    data = make_segmentation_set(
        tmp_path / "data", {"train": 2, "val": 1}, tissues=THORACIC_TISSUES
    )
    run = train_segmentation(tiny_unet(data_dir=data, epochs=1, thoracic=True))
    model = load_model(run)
    assert model.card.tissues == THORACIC_TISSUES
    assert model.network.config.num_classes == 3
    assert "val_dice_visceral_fat" not in read_rows(run)[0]


def test_first_epoch_number_counts(tiny_densenet):
    run = train_slice_selection(tiny_densenet(epochs=3, initial_epoch=2))
    assert [row["epoch"] for row in read_rows(run)] == ["2"]


def test_legacy_schedule_reaches_the_table(tiny_densenet):
    run = train_slice_selection(
        tiny_densenet(epochs=4, schedule="step", learning_rate=1e-4, loss="absolute_error")
    )
    rates = [float(row["learning_rate"]) for row in read_rows(run)]
    np.testing.assert_allclose(rates, [1e-4, 1e-4, 1e-4, 1e-5])


def test_time_limit_ends_a_training_annealed(tiny_densenet):
    run = train_slice_selection(tiny_densenet(epochs=100_000, max_minutes=0.02))
    rows = read_rows(run)
    assert float(rows[-1]["learning_rate"]) < 0.3 * 3e-3
    assert float(rows[-1]["elapsed_s"]) < 30
    assert read_json(run / "manifest.json")["exit_state"] == "finished"


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_continuing_from_a_model_begins_with_its_weights(tiny_densenet, optimizer):
    first = train_slice_selection(tiny_densenet(name="first", epochs=1))
    second = train_slice_selection(
        tiny_densenet(
            name="second", epochs=1, load_weights=first, learning_rate=1e-12, optimizer=optimizer
        )
    )
    networks = [load_model(run).network for run in (first, second)]
    for old, new in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(old, new, rtol=0, atol=1e-8)
    assert load_model(second).card.training["started_from"] == load_model(first).digest


def test_weights_of_another_kind_are_refused_by_name(tiny_densenet, tiny_unet):
    first = train_slice_selection(tiny_densenet(name="first", epochs=1))
    with pytest.raises(ModelError, match=r"levels: expected \['T9'\], found \['L3', 'T8'\]"):
        train_slice_selection(tiny_densenet(name="second", load_weights=first, levels=("T9",)))
    with pytest.raises(ModelError, match="growth_rate: expected 6, found 4"):
        train_slice_selection(tiny_densenet(name="second", load_weights=first, growth_rate=6))
    with pytest.raises(ModelError, match="threshold in mm: expected 20"):
        train_slice_selection(tiny_densenet(name="second", load_weights=first, threshold=20.0))
    with pytest.raises(ModelError, match="for segmentation"):
        train_segmentation(tiny_unet(name="second", load_weights=first))
    assert not (first.parent / "second").exists()


LEGACY = Path(__file__).parents[2] / "../shared/legacy"


@pytest.mark.skipif(not LEGACY.is_dir(), reason="no files of the earlier implementation")
def test_keras_weights_go_on_with_their_input_range(tiny_unet, tmp_path):
    keras = LEGACY / "unet_small_l3.hdf5"
    config = load_model(keras).network.config
    channels = {
        key: getattr(config, key) for key in ("compression_channels", "decompression_channels")
    }
    run = train_segmentation(tiny_unet(epochs=1, load_weights=keras, **channels))
    assert load_model(run).card.preprocessing.input_max == 255


def test_a_loss_that_is_not_finite_ends_the_training_with_advice(tiny_densenet, monkeypatch):
    monkeypatch.setattr(
        SliceSelectionTask, "loss", lambda _, logits, truth: logits.sum() * torch.nan
    )
    with pytest.raises(TrainingError, match="no longer finite in step 0") as caught:
        train_slice_selection(tiny_densenet())
    assert "--learning_rate" in caught.value.hint
    manifest = read_json(tiny_densenet().output_dir / "run" / "manifest.json")
    assert manifest["exit_state"] == "failed"
    assert "no longer finite" in manifest["reason"]


def test_a_bad_training_set_is_refused_before_anything_is_written(tiny_unet, tmp_path):
    data = make_segmentation_set(tmp_path / "data", {"train": 2, "val": 1})
    masks = np.load(data / "train_masks.npy")
    masks[1, 5, 7, 0] = 9
    np.save(data / "train_masks.npy", masks)
    (data / "val_images.npy").write_bytes(b"\x93NUMPY rubbish")
    with pytest.raises(TrainingSetError) as caught:
        train_segmentation(tiny_unet(data_dir=data))
    assert "train_masks.npy" in caught.value.message
    assert "val_images.npy" in caught.value.message  # all issues at once
    assert not tiny_unet().output_dir.exists()


def test_missing_data_is_named(tiny_unet, tmp_path):
    with pytest.raises((InputNotFoundError, TrainingSetError), match=r"train_images\.npy"):
        train_segmentation(tiny_unet(data_dir=tmp_path))
    assert not tiny_unet().output_dir.exists()


def test_more_gpus_than_there_are_is_refused(tiny_unet):
    with pytest.raises(UsageError, match="--gpus"):
        train_segmentation(tiny_unet(gpus=torch.cuda.device_count() + 2))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_the_cpu_is_announced(tiny_densenet, caplog):
    caplog.set_level(logging.INFO, logger="bodycomp")
    train_slice_selection(tiny_densenet(epochs=1))
    assert "training on CPU" in caplog.text
    assert "no GPU found" in caplog.text


def test_a_rate_meant_for_another_optimizer_is_warned_of(tiny_densenet, caplog):
    train_slice_selection(tiny_densenet(epochs=1, learning_rate=0.1))
    assert "large for AdamW" in caplog.text


def test_networks_that_do_not_exist_are_refused(tiny_unet):
    with pytest.raises(UsageError, match="decompression"):
        train_segmentation(tiny_unet(decompression_channels=(2, 2)))
    assert not tiny_unet().output_dir.exists()


def test_workers_load_the_same_samples(tiny_densenet):
    runs = [
        train_slice_selection(tiny_densenet(name=f"workers{n}", epochs=1, num_workers=n))
        for n in (0, 1)
    ]
    weights = [(run / "model" / "weights.safetensors").read_bytes() for run in runs]
    assert weights[0] == weights[1]


def test_a_card_tells_what_the_training_knows_by_itself(tiny_densenet):
    run = train_slice_selection(tiny_densenet(epochs=1))
    description = load_model(run).card.description
    assert description.data.digest == read_json(run / "manifest.json")["data"]["digest"]
    assert {name: size.slices for name, size in description.data.splits.items()} == {
        "train": 12,
        "val": 9,
        "test": 5,
    }
    assert description.data.splits["val"] == SplitSize(slices=9, series=1, patients=1)
    assert description.software == read_json(run / "manifest.json")["versions"]
    tables = {table.key: table for table in description.metrics}
    assert set(tables) == {"validation", "test"}
    told = {metric.name: metric.value for metric in tables["test"].metrics}
    written = read_json(run / "test_metrics.json")
    assert told == {name: value for name, value in written.items() if name != "loss"}
    assert all(metric.unit and metric.cases is not None for metric in tables["test"].metrics)
    assert description.words.known_failures


def test_a_model_trained_on_from_another_inherits_none_of_its_words(tiny_unet):
    first = train_segmentation(tiny_unet(name="first", epochs=1))
    card = load_model(first).card
    words = replace(card.description.words, name="Of one hospital", licence="CC BY 4.0")
    write_card(first, replace(card, description=replace(card.description, words=words)))
    second = train_segmentation(tiny_unet(name="second", epochs=1, load_weights=first))
    told = load_model(second).card
    assert told.description.words.name == told.description.words.licence == ""
    assert told.training["started_from"] == load_model(first).digest
