"""The networks on volumes: what they are fed, and masks on the source grid."""

import numpy as np
import pytest
import torch
from torch import nn

from bodycomp.analysis.inference import NetworkSegmenter, NetworkSliceScorer
from bodycomp.analysis.labels_at_size import labels_at_size
from bodycomp.analysis.loading import load_analyzer
from bodycomp.anatomy import ABDOMINAL_TISSUES, THORACIC_TISSUES
from bodycomp.errors import InputNotFoundError, ModelError, UsageError
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.imaging.volume import Volume
from bodycomp.networks.checkpoint import Model, ModelCard, build_network, save_model
from bodycomp.results import LevelStatus
from bodycomp.scan import Scan
from support.factories import NOT_SQUARE, SIDEWAYS, cylinder

SCALE = {"target_scale_mm": 10.0, "task": "slice_selection", "architecture": "densenet"}
DENSENET = {"nb_blocks": 2, "nb_layers_per_block": 1, "nb_initial_filters": 4, "growth_rate": 4}
UNET = {"compression_channels": (4, 8), "decompression_channels": (4,)}


class Spy(nn.Module):
    """Remembers its input and answers with what it is told to."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.seen = answer, []

    def forward(self, images):
        self.seen.append(images.clone())
        return self.answer(images)


def scorer_model(answer, size=(16, 16)):
    card = ModelCard(
        **SCALE, config={}, preprocessing=Preprocessing(size, quantised=True), levels=("L3",)
    )
    return Model(Spy(answer), card, "0123456789abcdef")


def segmenter_model(answer, size=(16, 16)):
    card = ModelCard("segmentation", "unet", {}, Preprocessing(size), tissues=ABDOMINAL_TISSUES)
    return Model(Spy(answer), card, "0123456789abcdef")


def volume(orientation=(1, 0, 0, 0, 1, 0), shape=(7, 24, 24)):
    hu = np.random.default_rng(0).integers(-1000, 600, shape).astype(np.int16)
    return Volume(hu, (0.8, 0.8), np.arange(shape[0]) * 5.0, orientation)


def threshold_logits(images):
    """Bright pixels are muscle."""
    muscle = (images[:, 0] > 0.5).float() * 20 - 10
    return torch.stack([0 * muscle, muscle, 0 * muscle - 20, 0 * muscle - 20], dim=1)


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), SIDEWAYS])
def test_scorer_feeds_exactly_the_preprocessed_slice_in_the_standard_view(orientation):
    ct = volume(orientation)
    model = scorer_model(lambda images: torch.zeros(len(images), 1))

    NetworkSliceScorer(model, device="cpu", batch_size=3)(ct)

    seen = torch.cat(model.network.seen).numpy()
    turn = OrientationTransform.from_orientation(orientation)
    expected = [model.card.preprocessing.from_hu(turn.apply(image)) for image in ct.hu]
    np.testing.assert_array_equal(seen[:, 0], np.stack(expected))
    assert [len(batch) for batch in model.network.seen] == [3, 3, 1]


def test_scorer_applies_the_sigmoid_and_keeps_the_order_of_slices():
    model = scorer_model(lambda images: images.mean(dim=(1, 2, 3))[:, None] * 10)
    ct = volume()

    scores = NetworkSliceScorer(model, device="cpu", batch_size=2)(ct)

    means = [model.card.preprocessing.from_hu(image).mean() * 10 for image in ct.hu]
    np.testing.assert_allclose(scores[:, 0], 1 / (1 + np.exp(-np.array(means))), rtol=1e-5)


def test_progress_is_told_after_every_batch():
    told = []
    model = scorer_model(lambda images: torch.zeros(len(images), 1))
    scorer = NetworkSliceScorer(model, device="cpu", batch_size=4)
    scorer(volume(), lambda *state: told.append(state))
    assert told == [("score", 4, 7), ("score", 7, 7)]


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), SIDEWAYS, (-1, 0, 0, 0, -1, 0)])
def test_segmenter_feeds_the_standard_view_and_turns_the_mask_back(orientation):
    ct = volume(orientation, shape=(5, 16, 16))
    model = segmenter_model(threshold_logits)

    masks = NetworkSegmenter(model, device="cpu")(ct, [1, 3])

    turn = OrientationTransform.from_orientation(orientation)
    seen = model.network.seen[0].numpy()[:, 0]
    for place, index in enumerate([1, 3]):
        expected = model.card.preprocessing.from_hu(turn.apply(ct.hu[index]))
        np.testing.assert_array_equal(seen[place], expected)
        np.testing.assert_array_equal(masks[index], ct.hu[index] > 40)


def test_mask_has_the_source_size_when_the_network_has_another():
    hu = np.full((1, 24, 40), -1000, np.int16)
    hu[0, 6:18, 10:30] = 200
    ct = Volume(hu, (1.0, 1.0), np.zeros(1), SIDEWAYS)

    mask = NetworkSegmenter(segmenter_model(threshold_logits, (96, 96)), device="cpu")(ct, [0])[0]

    assert mask.shape == (24, 40)
    assert mask.dtype == np.uint8
    assert np.count_nonzero(mask != (hu[0] > 40)) <= 4  # its corners, rounded by the resizing


@pytest.mark.parametrize(("size", "spacing_mm"), NOT_SQUARE)
@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), SIDEWAYS, (-1, 0, 0, 0, -1, 0)])
def test_networks_see_a_circle_as_a_circle_in_fields_that_are_not_square(
    size, spacing_mm, orientation
):
    ct = cylinder(size, spacing_mm, orientation, radius_mm=120)
    scorer = scorer_model(lambda images: torch.zeros(len(images), 1), (256, 256))
    segmenter = segmenter_model(threshold_logits, (512, 512))

    NetworkSliceScorer(scorer, device="cpu")(ct)
    mask = NetworkSegmenter(segmenter, device="cpu")(ct, [0])[0]

    side_mm = max(np.multiply(size, spacing_mm))
    for model in (scorer, segmenter):
        disc = model.network.seen[0][0, 0].numpy() > 0.5
        pixel_mm = side_mm / len(disc)
        high, wide = np.ptp(np.argwhere(disc), axis=0) + 1
        assert (high, wide) == pytest.approx((240 / pixel_mm, 240 / pixel_mm), abs=3)
    assert mask.shape == size
    assert np.count_nonzero(mask != (ct.hu[0] > 0)) < 0.02 * mask.sum()
    assert mask.sum() * ct.pixel_area_mm2 == pytest.approx(np.pi * 120**2, rel=0.02)


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), SIDEWAYS, (-1, 0, 0, 0, -1, 0)])
@pytest.mark.parametrize("size", [(32, 25), (17, 32)])
def test_mask_returns_to_every_pixel_where_only_air_was_added(size, orientation):
    ct = volume(orientation, (2, *size))
    mask = NetworkSegmenter(segmenter_model(threshold_logits, (32, 32)), device="cpu")(ct, [1])[1]
    np.testing.assert_array_equal(mask, ct.hu[1] > 40)


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_area_of_a_field_that_is_not_square_grows_with_the_square_of_the_spacing(factor):
    ct = cylinder((512, 400), (0.8, 0.8), (1, 0, 0, 0, 1, 0), radius_mm=120)
    wider = Volume(ct.hu, (0.8 * factor, 0.8 * factor), ct.slice_z_mm)
    segmenter = NetworkSegmenter(segmenter_model(threshold_logits, (256, 256)), device="cpu")
    area, wider_area = (each.pixel_area_mm2 * segmenter(each, [0])[0].sum() for each in (ct, wider))
    assert wider_area == pytest.approx(factor**2 * area)


def test_labels_are_decided_after_resizing():
    """A border halfway between two network pixels stays halfway on a finer grid."""
    background = np.array([[1.0, 0.75, 0.25, 0.0]], np.float32)
    labels = labels_at_size(np.stack([background, 1 - background]), (1, 400))
    assert np.flatnonzero(np.diff(labels[0])).tolist() == [199]


def test_values_that_are_not_numbers_are_refused():
    model = segmenter_model(lambda images: torch.full((len(images), 4, 16, 16), torch.nan))
    with pytest.raises(ModelError, match="not numbers"):
        NetworkSegmenter(model, device="cpu")(volume(), [0])


def test_device_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="cuda:99"):
        NetworkSliceScorer(scorer_model(None), device="cuda:99")
    with pytest.raises(UsageError, match="unknown device"):
        NetworkSliceScorer(scorer_model(None), device="abacus")


@pytest.fixture
def cards():
    return {
        "slice-selection": ModelCard(
            **SCALE,
            config=DENSENET | {"num_outputs": 2},
            preprocessing=Preprocessing((32, 32), quantised=True),
            levels=("T12", "L3"),
        ),
        "segmentation": ModelCard(
            "segmentation",
            "unet",
            UNET | {"num_classes": 3},
            Preprocessing((32, 32)),
            tissues=THORACIC_TISSUES,
        ),
    }


def test_models_folder_gives_an_analyzer_that_runs(tmp_path, cards):
    for name, card in cards.items():
        save_model(tmp_path / name / "model", build_network(card), card)  # as in a run folder

    analyzer = load_analyzer(tmp_path, device="cpu")
    result = analyzer.analyze(Scan(volume()))

    assert [level.choice.level for level in result.levels] == ["T12", "L3"]
    assert all(level.choice.status in LevelStatus for level in result.levels)
    assert result.tissues == THORACIC_TISSUES
    assert {len(digest) for digest in result.models.values()} == {12}


def test_missing_folder_and_missing_model_are_named(tmp_path, cards):
    with pytest.raises(InputNotFoundError, match="models"):
        load_analyzer(tmp_path / "models", device="cpu")
    save_model(
        tmp_path / "slice-selection",
        build_network(cards["slice-selection"]),
        cards["slice-selection"],
    )
    with pytest.raises(ModelError, match=r"expected segmentation in .* found slice-selection"):
        load_analyzer(tmp_path, device="cpu")


def test_models_in_each_others_place_are_refused(tmp_path, cards):
    for name, other in (("slice-selection", "segmentation"), ("segmentation", "slice-selection")):
        save_model(tmp_path / name, build_network(cards[other]), cards[other])
    with pytest.raises(ModelError, match="expected a model for slice_selection"):
        load_analyzer(tmp_path, device="cpu")
