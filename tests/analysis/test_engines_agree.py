"""Engines of networks that have learnt something choose the same slice and give the same masks."""

import numpy as np
import pytest
import torch

from bodycomp.analysis.inference import NetworkSegmenter, NetworkSliceScorer
from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.imaging.volume import Volume
from bodycomp.networks.card import ModelCard
from bodycomp.networks.losses import segmentation_loss, slice_selection_loss
from bodycomp.networks.model import Model, build_network
from bodycomp.networks.targets import offset_to_target
from bodycomp.scan import Scan
from support.factories import torso_slice

SIDE = 128
SIZE = (SIDE, SIDE)
SMALL = (SIDE // 2, SIDE // 2)
UNET = {"num_classes": 4, "compression_channels": (8, 16, 32), "decompression_channels": (16, 8)}
DENSENET = {
    "nb_blocks": 2,
    "nb_layers_per_block": 2,
    "nb_initial_filters": 8,
    "growth_rate": 8,
    "num_outputs": 1,
}
SEGMENTATION = ModelCard(
    "segmentation", "unet", UNET, Preprocessing(SIZE), tissues=ABDOMINAL_TISSUES
)
SLICE_SELECTION = ModelCard(
    *("slice_selection", "densenet", DENSENET, Preprocessing(SMALL, quantised=True)),
    levels=("L3",),
    target_scale_mm=10.0,
)


def train(card, samples, loss, rate):
    """Fit a network to (image in HU, truth) pairs for one pass; batches of four."""
    torch.manual_seed(0)
    network = build_network(card).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.2
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for start in range(0, len(samples), 4):
        images, truth = zip(*samples[start : start + 4], strict=True)
        batch = torch.from_numpy(np.stack([card.preprocessing.from_hu(hu) for hu in images]))
        optimizer.zero_grad()
        loss(network(batch[:, None]), torch.from_numpy(np.stack(truth))).backward()
        optimizer.step()
    return Model(network.eval(), card, "0" * 64)


@pytest.fixture(scope="module")
def models():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    torsos = [torso_slice(rng, SIZE) for _ in range(200)]
    offsets = rng.uniform(-60, 60, 800).astype(np.float32)
    slices = [
        (
            slice_at(rng, offset),
            offset_to_target(offset[None], 10.0).astype(np.float32),
        )
        for offset in offsets
    ]
    yield (
        train(SLICE_SELECTION, slices, slice_selection_loss(), 1e-2),
        train(SEGMENTATION, torsos, segmentation_loss(), 1e-2),
    )
    torch.set_num_threads(threads)


def slice_at(rng, offset_mm):
    """A torso that is the brighter the nearer it is to the head."""
    hu, _ = torso_slice(rng, SMALL)
    return (hu + (hu > -500) * np.float32(2 * offset_mm)).astype(np.int16)


def series(seed):
    """A series of 1.5 mm slices with the level somewhere in it."""
    rng = np.random.default_rng(seed)
    z_mm = np.arange(60) * 1.5 - rng.uniform(30, 60)
    hu = np.stack([slice_at(rng, z) for z in z_mm])
    return Volume(hu, (0.8, 0.8), z_mm)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["folded", "bf16"])
def test_the_same_slice_is_chosen_and_the_same_area_measured(models, engine):
    scorers, segmenters = (
        [kind(model, device="cpu", engine=name) for name in ("reference", engine)]
        for kind, model in zip((NetworkSliceScorer, NetworkSegmenter), models, strict=True)
    )
    expected, found = (
        Analyzer(*pair, AnalysisOptions()) for pair in zip(scorers, segmenters, strict=True)
    )
    for seed in range(8):
        volume = series(seed)
        (reference,), (level,) = (each.analyze(Scan(volume)).levels for each in (expected, found))
        assert reference.choice.slice_index is not None
        assert abs(reference.choice.z_mm) < 20  # the network has learnt where the level is
        assert level.choice.slice_index == reference.choice.slice_index
        assert abs(level.choice.z_mm - reference.choice.z_mm) < 0.2

    volume = Volume(
        np.stack([torso_slice(np.random.default_rng(seed), SIZE)[0] for seed in range(8)]),
        (0.8, 0.8),
        np.arange(8.0),
    )
    truth = np.stack([torso_slice(np.random.default_rng(seed), SIZE)[1] for seed in range(8)])
    masks, reference = (
        np.stack(list(segmenter(volume, range(8)).values())) for segmenter in segmenters[::-1]
    )
    assert (reference == truth).mean() > 0.95  # the network has learnt the tissues
    assert (masks == reference).mean() >= 0.999
    for tissue in ABDOMINAL_TISSUES:
        area = np.count_nonzero(reference == tissue.label)
        assert abs(np.count_nonzero(masks == tissue.label) - area) <= 0.002 * area


def test_scores_of_chosen_slices_are_those_of_all(models):
    volume = series(3)
    scorer = NetworkSliceScorer(models[0], device="cpu", batch_size=7)
    every = scorer(volume)
    chosen = [41, 3, 30, 17]
    np.testing.assert_allclose(
        scorer(volume, slice_indices=chosen), every[chosen], rtol=0, atol=1e-6
    )
    assert scorer(volume, slice_indices=[]).shape == (0, 1)
