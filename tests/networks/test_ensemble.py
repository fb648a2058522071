"""An ensemble is one model: the mean of probabilities, the median of offsets, one folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bodycomp.anatomy import ABDOMINAL_TISSUES, THORACIC_TISSUES
from bodycomp.errors import ModelError, UsageError
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.networks.card import ModelCard
from bodycomp.networks.card_description import ModelDescription, ModelWords
from bodycomp.networks.checkpoint import build_network, load_model, save_model
from bodycomp.networks.confidence_calibration import ConfidenceCalibration, LevelCalibration
from bodycomp.networks.engine import make_engine
from bodycomp.networks.ensemble import mean_of_probabilities, median_of_logits
from bodycomp.networks.ensemble_folder import fold_confidence, save_ensemble

CPU = torch.device("cpu")
SEGMENTATION = ModelCard(
    task="segmentation",
    architecture="unet",
    config={"num_classes": 4, "compression_channels": (2, 4), "decompression_channels": (2,)},
    preprocessing=Preprocessing((64, 64)),
    tissues=ABDOMINAL_TISSUES,
)
PATCHES = replace(
    SEGMENTATION,
    architecture="patch_unet",
    config={
        "num_classes": 4,
        "patch": 2,
        "compression_channels": (2, 4),
        "decompression_channels": (2,),
    },
)
LEVELS = ModelCard(
    task="slice_selection",
    architecture="resnet",
    config={"num_outputs": 2},
    preprocessing=Preprocessing((64, 64), quantised=True),
    levels=("T12", "L3"),
    target_scale_mm=10.0,
)


def save(folder: Path, card: ModelCard, seed: int) -> Path:
    torch.manual_seed(seed)
    save_model(folder, build_network(card), card)
    return folder


@pytest.fixture(scope="module")
def unets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    room = tmp_path_factory.mktemp("unets")
    cards = (SEGMENTATION, SEGMENTATION, PATCHES)
    return [save(room / str(n), card, n) for n, card in enumerate(cards)]


def test_means_and_medians():
    logits = [torch.randn(2, 4, 3, 3) for _ in range(3)]
    expected = torch.stack([each.softmax(1) for each in logits]).mean(0)
    torch.testing.assert_close(mean_of_probabilities(logits).softmax(1), expected)
    certain = [torch.tensor([[200.0, -200.0]])] * 2
    assert mean_of_probabilities(certain).isfinite().all()
    pair = [torch.tensor([1.0, -5.0]), torch.tensor([3.0, 5.0])]
    assert median_of_logits(pair).tolist() == [2.0, 0.0]


def test_its_folder_runs_as_its_members_do_together(unets: list[Path], tmp_path: Path):
    made = save_ensemble(unets, tmp_path / "all")
    images = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        members = [load_model(path).network(images).softmax(1) for path in unets]
        expected = torch.stack(members).mean(0)
        loaded = load_model(tmp_path / "all", task="segmentation")
        torch.testing.assert_close(loaded.network(images).softmax(1), expected)
        engine = make_engine(loaded.network, CPU, "folded")
        torch.testing.assert_close(engine.run(images).softmax(1), expected, atol=1e-5, rtol=1e-4)
        for run, alone in zip(engine.members, members, strict=True):
            torch.testing.assert_close(run(images).softmax(1), alone, atol=1e-5, rtol=1e-4)
    assert engine.is_exact
    assert loaded.digest == made.digest
    records = loaded.card.training["members"]
    assert [each["digest"] for each in records] == [load_model(path).digest for path in unets]


def test_levels_are_the_median_of_members(tmp_path: Path):
    paths = [save(tmp_path / str(n), LEVELS, n) for n in range(3)]
    network = save_ensemble(paths, tmp_path / "all").network
    images = torch.rand(3, 1, 64, 64)
    with torch.inference_mode():
        members = torch.stack([load_model(path).network(images) for path in paths])
        torch.testing.assert_close(network(images), members.median(dim=0).values)


def test_ensembles_among_the_members_are_flattened(unets: list[Path], tmp_path: Path):
    save_ensemble(unets[:2], tmp_path / "two")
    nested = save_ensemble([tmp_path / "two", unets[2]], tmp_path / "nested")
    assert nested.digest == save_ensemble(unets, tmp_path / "flat").digest


def test_what_people_said_of_members_is_kept(tmp_path: Path):
    said = [ModelWords(licence="CC BY 4.0", caution="a"), ModelWords(licence="CC BY-NC 4.0")]
    paths = [
        save(
            tmp_path / str(n),
            replace(SEGMENTATION, description=ModelDescription(words)),
            n,
        )
        for n, words in enumerate(said)
    ]
    words = save_ensemble(paths, tmp_path / "all").card.description.words
    assert words.licence == "CC BY 4.0; CC BY-NC 4.0"
    assert words.caution == "a"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(SEGMENTATION, hu_ranges=True), "expected hu ranges as in"),
        (replace(SEGMENTATION, copies=2), "expected copies as in"),
        (replace(SEGMENTATION, preprocessing=Preprocessing((128, 128))), "expected preprocessing"),
        (
            replace(
                SEGMENTATION,
                tissues=THORACIC_TISSUES,
                config=dict(SEGMENTATION.config) | {"num_classes": 3},
            ),
            "expected tissues as in",
        ),
        (LEVELS, "expected task as in"),
    ],
)
def test_members_that_see_or_find_other_things_are_refused(
    unets: list[Path], tmp_path: Path, other: ModelCard, message: str
):
    with pytest.raises(ModelError, match=message):
        save_ensemble([unets[0], save(tmp_path / "other", other, 9)], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_one_model_and_one_twice_are_refused(unets: list[Path], tmp_path: Path):
    with pytest.raises(UsageError, match="2 to 20 models for an ensemble, found 1"):
        save_ensemble(unets[:1], tmp_path / "all")
    with pytest.raises(UsageError, match="found one twice"):
        save_ensemble([unets[0], unets[1], unets[0]], tmp_path / "all")


@pytest.mark.parametrize(
    "members",
    [[], "unet", [{"architecture": "unet"}], [{"architecture": "ensemble", "config": {}}]],
)
def test_cards_that_name_no_networks_are_refused(members):
    card = replace(SEGMENTATION, architecture="ensemble", config={"members": members})
    with pytest.raises(ModelError, match="member"):
        build_network(card)


def test_folds_pool_the_confidence_of_what_they_held_out():
    one = LevelCalibration(0.0, 1.0, series=30, right=20)
    other = LevelCalibration(3.0, 0.4, series=10, right=10)
    found = fold_confidence(
        [ConfidenceCalibration("a", {"L3": one}), None, ConfidenceCalibration("b", {"L3": other})]
    )
    assert found is not None
    assert found.levels["L3"] == LevelCalibration(0.75, 0.85, series=40, right=30)
    assert fold_confidence([None, None]) is None
