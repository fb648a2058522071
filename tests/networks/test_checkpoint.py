import dataclasses
import json
import shutil

import pytest
import safetensors.torch
import torch

from bodycomp.anatomy import THORACIC_TISSUES
from bodycomp.errors import InputNotFoundError, ModelError, OutputError
from bodycomp.imaging.preprocessing import (
    SEGMENTATION_PREPROCESSING,
    SLICE_SELECTION_PREPROCESSING,
)
from bodycomp.networks.checkpoint import ModelCard, build_network, load_model, save_model

UNET_CARD = ModelCard(
    task="segmentation",
    architecture="unet",
    config={
        "num_classes": 3,
        "compression_channels": (4, 5),
        "decompression_channels": (3,),
        "num_convs": 1,
        "activation": "elu",
    },
    preprocessing=SEGMENTATION_PREPROCESSING,
    tissues=THORACIC_TISSUES,
    training={"seed": 7, "epochs": 3},
)
DENSENET_CARD = ModelCard(
    task="slice_selection",
    architecture="densenet",
    config={"num_outputs": 2, "nb_blocks": 2, "nb_layers_per_block": 1, "growth_rate": 2},
    preprocessing=SLICE_SELECTION_PREPROCESSING,
    levels=("T12", "L3"),
    target_scale_mm=12.5,
)
PATCH_UNET_CARD = ModelCard(
    task="segmentation",
    architecture="patch_unet",
    config={"num_classes": 3, "compression_channels": (4, 5), "decompression_channels": (3,)},
    preprocessing=SEGMENTATION_PREPROCESSING,
    tissues=THORACIC_TISSUES,
)
RESNET_CARD = ModelCard(
    task="slice_selection",
    architecture="resnet",
    config={"num_outputs": 2, "channels": (4, 5), "blocks": (1, 1)},
    preprocessing=SLICE_SELECTION_PREPROCESSING,
    levels=("T12", "L3"),
    target_scale_mm=12.5,
)
CARDS = (UNET_CARD, DENSENET_CARD, PATCH_UNET_CARD, RESNET_CARD)


def trained(card: ModelCard) -> torch.nn.Module:
    """A network whose batch-norm statistics are not those of a new one."""
    torch.manual_seed(1)
    network = build_network(card)
    network(torch.rand(2, 1, 32, 32))
    return network.eval()


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path / "model", trained(UNET_CARD), UNET_CARD)
    return tmp_path / "model"


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.architecture)
class TestRoundTrip:
    def test_card_weights_and_outputs(self, tmp_path, card):
        network = trained(card)
        save_model(tmp_path / "deep" / "model", network, card)
        model = load_model(tmp_path / "deep" / "model", task=card.task)
        assert model.card == card
        assert not model.network.training
        state = model.network.state_dict()
        assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())
        x = torch.rand(2, 1, 32, 32)
        torch.testing.assert_close(model.network(x), network(x), rtol=0, atol=1e-5)

    def test_loading_leaves_the_random_state_alone(self, tmp_path, card):
        save_model(tmp_path / "model", trained(card), card)
        before = torch.get_rng_state()
        load_model(tmp_path / "model")
        assert torch.equal(torch.get_rng_state(), before)

    def test_loaded_networks_can_be_trained(self, tmp_path, card):
        save_model(tmp_path / "model", trained(card), card)
        network = load_model(tmp_path / "model").network.train()
        network(torch.rand(2, 1, 32, 32)).sum().backward()
        assert all(p.grad is not None for p in network.parameters())

    def test_card_survives_json(self, tmp_path, card):
        assert ModelCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card


def test_a_run_folder_is_as_good_as_its_model(folder):
    assert load_model(folder.parent).digest == load_model(folder).digest


def test_digest_tells_models_apart(folder, tmp_path):
    digest = load_model(folder).digest
    assert len(digest) == 64
    network = load_model(folder).network
    with torch.no_grad():
        network.head.bias += 1
    save_model(tmp_path / "other", network, UNET_CARD)
    assert load_model(tmp_path / "other").digest != digest


def test_an_earlier_model_is_kept_unless_told_otherwise(folder):
    with pytest.raises(OutputError, match="is not empty"):
        save_model(folder, trained(UNET_CARD), UNET_CARD)
    card = dataclasses.replace(UNET_CARD, training={"epochs": 9})
    save_model(folder, trained(card), card, overwrite=True)
    assert load_model(folder).card.training == {"epochs": 9}


class TestNothingHalfWritten:
    def test_card_of_another_network(self, tmp_path):
        with pytest.raises(ModelError, match="weights do not fit the card"):
            save_model(tmp_path / "model", trained(DENSENET_CARD), UNET_CARD)
        assert list(tmp_path.iterdir()) == []

    def test_diverged_network(self, tmp_path):
        network = trained(UNET_CARD)
        with torch.no_grad():
            network.head.weight[0] = torch.inf
        with pytest.raises(ModelError, match=r"weight head\.weight: expected finite numbers"):
            save_model(tmp_path / "model", network, UNET_CARD)
        assert list(tmp_path.iterdir()) == []

    def test_training_notes_that_json_cannot_hold(self, tmp_path):
        card = dataclasses.replace(UNET_CARD, training={"loss": float("nan")})
        with pytest.raises(ValueError, match="JSON"):
            save_model(tmp_path / "model", trained(card), card)
        assert list(tmp_path.iterdir()) == []


def edit_card(folder, **changes):
    path = folder / "card.json"
    card = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: v for key, v in card.items() if v is not ...}))


def edit_weights(folder, edit):
    path = folder / "weights.safetensors"
    weights = safetensors.torch.load_file(path)
    edit(weights)
    safetensors.torch.save_file(weights, path)


class TestRefusals:
    def refuse(self, path, match, **options):
        with pytest.raises(ModelError, match=match):
            load_model(path, **options)

    def test_nothing_there(self, tmp_path):
        with pytest.raises(InputNotFoundError, match="expected a model, found nothing"):
            load_model(tmp_path / "absent")

    def test_empty_folder(self, tmp_path):
        self.refuse(tmp_path, r"found no card\.json")

    def test_no_weights(self, folder):
        (folder / "weights.safetensors").unlink()
        self.refuse(folder, r"found no weights\.safetensors")

    def test_lightning_checkpoint(self, tmp_path):
        (tmp_path / "last.ckpt").write_bytes(b"PK")
        self.refuse(tmp_path / "last.ckpt", "expected a model folder or a Keras file")

    def test_other_task(self, folder):
        self.refuse(folder, "expected a model for slice_selection", task="slice_selection")

    @pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.99])
    def test_truncated_weights(self, folder, part):
        path = folder / "weights.safetensors"
        content = path.read_bytes()
        path.write_bytes(content[: int(part * len(content))])
        self.refuse(folder, r"weights\.safetensors is damaged or truncated")

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"task": '])
    def test_damaged_card(self, folder, content):
        (folder / "card.json").write_bytes(content)
        self.refuse(folder, r"card\.json is no valid JSON")

    def test_card_is_a_list(self, folder):
        (folder / "card.json").write_text("[1]")
        self.refuse(folder, "expected an object, found list")

    CARD_CHANGES = (
        ({"format_version": 2}, "expected a model card of format 1, found 2"),
        ({"task": "classification"}, "unknown task 'classification'"),
        ({"task": ...}, "'task' is missing"),
        ({"architecture": "vit"}, "unknown architecture 'vit'"),
        ({"architecture": "densenet"}, "architecture densenet does not do segmentation"),
        ({"architecture": ["unet"]}, "a value cannot be read|unknown architecture"),
        ({"config": {"num_classes": 3, "depth": 2}}, "config of unet: .*depth"),
        ({"config": {"num_classes": "3"}}, "config of unet"),
        ({"config": {"num_classes": 0}}, "expected at least 2 classes"),
        ({"config": 3}, "a value cannot be read"),
        ({"config": {"num_classes": 4}}, "expected 3 outputs for its classes or levels"),
        ({"tissues": []}, "expected tissues with labels 1, 2"),
        ({"tissues": ["subcutaneous_fat"]}, r"found labels \(2,\)"),
        ({"tissues": ["bone"]}, "unknown tissue 'bone'"),
        ({"tissues": 5}, "a value cannot be read"),
        ({"levels": ["L3"]}, "a segmentation model has no levels"),
        ({"preprocessing": {}}, "preprocessing cannot be read"),
        ({"training": 3}, "a value cannot be read"),
    )

    @pytest.mark.parametrize(("change", "match"), CARD_CHANGES, ids=str)
    def test_card_that_contradicts_itself(self, folder, change, match):
        edit_card(folder, **change)
        self.refuse(folder, match)

    SLICE_CHANGES = (
        ({"levels": ["L3"]}, "expected 1 outputs .* found num_outputs 2"),
        ({"levels": ["L3", "L3"]}, "level L3 is named twice"),
        ({"levels": []}, "expected at least one level name"),
        ({"target_scale_mm": None}, "needs target_scale_mm"),
        ({"target_scale_mm": -1}, "expected a positive target scale"),
        ({"tissues": ["muscle"]}, "a slice-selection model has no tissues"),
    )

    @pytest.mark.parametrize(("change", "match"), SLICE_CHANGES, ids=str)
    def test_slice_card_that_contradicts_itself(self, tmp_path, change, match):
        save_model(tmp_path / "model", trained(DENSENET_CARD), DENSENET_CARD)
        edit_card(tmp_path / "model", **change)
        self.refuse(tmp_path / "model", match)

    def test_missing_and_unknown_weights(self, folder):
        edit_weights(folder, lambda w: w.update({"tail.bias": w.pop("head.bias")}))
        self.refuse(folder, r"1 missing \['head.bias'\], 1 unknown \['tail.bias'\]")

    def test_wrong_shape(self, folder):
        edit_weights(folder, lambda w: w.update({"head.bias": torch.zeros(7)}))
        self.refuse(folder, r"weight head.bias: expected \(3,\) torch.float32, found \(7,\)")

    def test_wrong_type(self, folder):
        edit_weights(folder, lambda w: w.update({"head.bias": torch.zeros(3).double()}))
        self.refuse(folder, r"found \(3,\) torch.float64")

    def test_nan(self, folder):
        edit_weights(folder, lambda w: w["head.bias"].fill_(torch.nan))
        self.refuse(folder, "weight head.bias: expected finite numbers, found NaN")

    def test_weights_of_another_model(self, folder, tmp_path):
        save_model(tmp_path / "other", trained(DENSENET_CARD), DENSENET_CARD)
        shutil.copy(tmp_path / "other" / "weights.safetensors", folder)
        self.refuse(folder, "weights do not fit the card")

    def test_what_was_said_must_agree_with_the_card(self, tmp_path):
        save_model(tmp_path / "model", trained(DENSENET_CARD), DENSENET_CARD)
        load_model(tmp_path / "model", levels=["T12", "L3"], target_scale_mm=12.5)
        self.refuse(tmp_path / "model", "expected levels", levels=["L3", "T12"])
        self.refuse(tmp_path / "model", "expected target scale", target_scale_mm=10.0)
