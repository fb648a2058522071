"""Where a training starts: some levels of a model, or a model that ships, network and all."""

from dataclasses import replace

import pytest
import torch

from bodycomp.errors import UsageError
from bodycomp.networks import shipped
from bodycomp.networks.checkpoint import load_model, save_model
from bodycomp.networks.model import build_network
from bodycomp.networks.model_folder import read_card, write_card
from bodycomp.training.fit import train_segmentation
from bodycomp.training.starting_point import starting_network, task_for


@pytest.fixture
def ships(tiny_unet, tiny_densenet, tmp_path, monkeypatch):
    """Let a pair of tiny models ship as ``default``."""
    room = tmp_path / "weights"
    tasks = (
        task_for(tiny_unet(compression_channels=(6, 8), decompression_channels=(6,), copies=2)),
        task_for(tiny_densenet()),
    )
    for task in tasks:
        card = task.card()
        save_model(room / "default" / shipped.FOLDERS[card.task], build_network(card), card)
    monkeypatch.setattr(shipped, "shipped_room", lambda: room)
    return room / "default"


def test_a_model_that_ships_brings_its_network(ships, tiny_unet):
    options = tiny_unet(
        load_weights="default", compression_channels=None, decompression_channels=None
    )
    task = task_for(options)
    assert task.options.compression_channels == (6, 8)
    assert task.options.copies == 2
    network, card = starting_network(task)
    shipped_one = load_model(ships / "segmentation")
    assert card.training["started_from"] == shipped_one.digest
    for ours, theirs in zip(network.parameters(), shipped_one.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_densenet_that_ships_brings_its_network(ships, tiny_densenet):
    left_open = dict.fromkeys(
        ("nb_blocks", "nb_layers_per_block", "nb_initial_filters", "growth_rate")
    )
    task = task_for(tiny_densenet(load_weights="default", **left_open))
    assert task.card().config == read_card(ships / "slice-selection").config
    with pytest.raises(UsageError, match="omit_batch_norm"):
        task_for(tiny_densenet(load_weights="default", omit_batch_norm=True, **left_open))


def test_what_was_found_out_about_a_model_is_not_said_of_the_one_that_starts_from_it(
    ships, tiny_densenet
):
    card = read_card(ships / "slice-selection")
    write_card(ships / "slice-selection", replace(card, least_confidence=0.5))
    options = tiny_densenet(load_weights=ships / "slice-selection")
    _, started = starting_network(task_for(options))
    assert started.least_confidence == 0
    assert started.confidence is None


def test_frozen_norms_keep_the_statistics_of_the_model_through_a_training(ships, tiny_unet):
    fixed = {"load_weights": "default", "compression_channels": None, "epochs": 1}
    run = train_segmentation(
        tiny_unet(**fixed, decompression_channels=None, norms="frozen", learning_rate=0.01)
    )
    before, after = (
        load_model(path).network.state_dict() for path in (ships / "segmentation", run)
    )
    moved = {name for name, weight in before.items() if not torch.equal(weight, after[name])}
    assert any(name.endswith("weight") for name in moved)
    assert not any("running" in name for name in moved)


def test_a_segmentation_goes_on_from_a_shipped_model_with_a_recipe_of_its_own(ships, tiny_unet):
    fixed = {"compression_channels": None, "decompression_channels": None}

    def resolved(**given):
        found = task_for(tiny_unet(load_weights="default", **fixed, **given)).options
        return found.learning_rate, found.norms

    assert resolved() == (1e-4, "frozen")
    assert resolved(learning_rate=0.01, norms="moving") == (0.01, "moving")
    fresh = task_for(tiny_unet()).options
    assert (fresh.learning_rate, fresh.norms) == (3e-3, "auto")


def test_a_level_finder_goes_on_from_a_shipped_model_at_a_low_rate(ships, tiny_densenet):
    given = {"load_weights": "default", "levels": ("T8",)}
    assert task_for(tiny_densenet(**given)).options.learning_rate == 2e-4
    assert task_for(tiny_densenet(**given, learning_rate=0.01)).options.learning_rate == 0.01


def test_fresh_networks_have_no_statistics_to_keep(tiny_unet):
    with pytest.raises(UsageError, match="model to start from"):
        tiny_unet(norms="frozen")


def test_another_network_than_that_of_the_shipped_model_is_refused(ships, tiny_unet):
    options = tiny_unet(load_weights="default", compression_channels=(4, 4))
    with pytest.raises(UsageError, match="compression_channels"):
        task_for(options)


def test_a_training_may_go_on_with_some_of_the_levels(ships, tiny_densenet):
    both = load_model(ships / "slice-selection").network.eval()
    network, card = starting_network(
        task_for(tiny_densenet(load_weights=ships / "slice-selection", levels=("T8",)))
    )
    assert card.levels == ("T8",)
    images = torch.rand(2, 1, 256, 256)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(images)[:, 0], both(images)[:, 1])


def test_without_models_that_ship_the_name_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "shipped_room", lambda: tmp_path / "nothing")
    assert shipped.shipped_models() == {}
    assert shipped.models_dir("default").name == "default"
