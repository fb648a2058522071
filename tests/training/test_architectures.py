"""The other architectures, from the option to a model that the analysis runs."""

import pytest

from bodycomp.analysis.inference import NetworkSegmenter, NetworkSliceScorer
from bodycomp.errors import ModelError
from bodycomp.networks.checkpoint import load_model
from bodycomp.training.fit import train_segmentation, train_slice_selection
from bodycomp.training.task_options import SliceSelectionOptions


def test_a_patch_u_net_is_trained_named_and_run(tiny_unet):
    run = train_segmentation(tiny_unet(arch="patch_unet", epochs=1))
    model = load_model(run, task="segmentation")
    assert model.card.architecture == "patch_unet"
    assert model.card.config["compression_channels"] == (2, 4)
    assert len(NetworkSegmenter(model, device="cpu").tissues) == 3
    again = train_segmentation(
        tiny_unet(name="again", arch="patch_unet", epochs=1, load_weights=run)
    )
    assert load_model(again).card.training["started_from"] == model.digest
    with pytest.raises(ModelError, match="architecture: expected unet, found patch_unet"):
        train_segmentation(tiny_unet(name="other", load_weights=run))


def test_a_resnet_is_trained_named_and_run(slice_set, tmp_path):
    options = SliceSelectionOptions(
        data_dir=slice_set, output_dir=tmp_path, name="run", epochs=1, arch="resnet", levels=("T8",)
    )
    model = load_model(train_slice_selection(options), task="slice_selection")
    assert model.card.architecture == "resnet"
    assert model.card.training["options"]["nb_blocks"] is None
    assert NetworkSliceScorer(model, device="cpu").levels == ("T8",)
