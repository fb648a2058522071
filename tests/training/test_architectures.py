"""The other architectures, from the option to a model that the analysis runs."""

from dataclasses import replace

import numpy as np
import pytest

from bodycomp.analysis.inference import NetworkSegmenter, NetworkSliceScorer
from bodycomp.analysis.series_scorer import slice_scorer
from bodycomp.errors import ModelError
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.networks.checkpoint import load_model
from bodycomp.phantom import Torso, sample_patient, sample_scan
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


@pytest.mark.xdist_group("cohort")
def test_a_network_on_projections_is_trained_drawn_calibrated_and_run(cohort, tmp_path):
    options = SliceSelectionOptions(
        data_dir=cohort / "slice-selection",
        output_dir=tmp_path,
        name="run",
        epochs=1,
        arch="projection",
        image_size=64,
        batch_size=2,
    )
    run = train_slice_selection(options)
    model = load_model(run, task="slice_selection")
    assert model.card.architecture == "projection"
    assert (run / "examples.png").stat().st_size > 10_000
    scorer = slice_scorer(model, device="cpu")
    assert scorer.sees_series
    patient = sample_patient(2, 0)
    scan = sample_scan(patient)
    scan = replace(
        scan, matrix=(64, 64), pixel_spacing_mm=8 * scan.pixel_spacing_mm, slice_spacing_mm=12.0
    )
    volume, _ = Torso(patient).render(scan)
    scores = scorer(volume)
    assert scores.shape == (len(volume), 1)
    np.testing.assert_array_equal(scorer(volume, slice_indices=[5, 2]), scores[[5, 2]])
    gray = [SOFT_TISSUE.to_gray(hu) for hu in volume.hu]
    again = scorer.score_gray(gray.__getitem__, volume.slice_z_mm, range(len(volume)))
    np.testing.assert_allclose(again, scores, atol=1e-6)
