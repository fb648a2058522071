"""How labels are read off a network's probabilities: by the HU that they permit, over copies."""

from dataclasses import asdict, replace

import numpy as np

from bodycomp.analysis.inference import NetworkSegmenter
from bodycomp.analysis.labels_at_size import labels_at_size
from bodycomp.anatomy import ABDOMINAL_TISSUES, MUSCLE, SUBCUTANEOUS_FAT
from bodycomp.imaging.preprocessing import SEGMENTATION_PREPROCESSING
from bodycomp.imaging.volume import Volume
from bodycomp.networks.card import ModelCard
from bodycomp.networks.model import Model, build_network
from bodycomp.networks.unet import UNetConfig


def of_labels(labels, certain=0.7):
    """Return probabilities whose most probable class is ``labels``, the rest equally shared."""
    count = len(ABDOMINAL_TISSUES) + 1
    rest = (1 - certain) / (count - 1)
    return np.where(np.arange(count)[:, None, None] == labels, certain, rest).astype(np.float32)


def halves():
    """Muscle above, subcutaneous fat below, and HU of their own."""
    labels = np.full((16, 16), MUSCLE.label, np.uint8)
    labels[8:] = SUBCUTANEOUS_FAT.label
    return labels, np.where(labels == MUSCLE.label, 50, -100).astype(np.int16)


def test_where_hu_agree_labels_stay():
    labels, hu = halves()
    assert (labels_at_size(of_labels(labels), hu.shape, hu, ABDOMINAL_TISSUES) == labels).all()


def test_a_pixel_gets_the_most_probable_label_that_its_hu_permit():
    labels, hu = halves()
    probabilities = of_labels(labels)
    hu[:4, :4] = -100  # fat where the network sees muscle, and subcutaneous fat second
    probabilities[SUBCUTANEOUS_FAT.label, :4, :4] = 0.2
    probabilities[0, :4, :4] = 0.05
    found = labels_at_size(probabilities, hu.shape, hu, ABDOMINAL_TISSUES)
    assert (found[:3, :3] == SUBCUTANEOUS_FAT.label).all()  # the median reaches one pixel less far
    assert (found[8:] == SUBCUTANEOUS_FAT.label).all()


def test_noise_in_single_pixels_leaves_no_holes_in_muscle():
    labels, hu = halves()
    hu[2, 2] = hu[5, 9] = -80
    found = labels_at_size(of_labels(labels), hu.shape, hu, ABDOMINAL_TISSUES)
    assert (found[:8] == MUSCLE.label).all()


def test_a_tissue_that_lies_mostly_outside_of_its_range_keeps_its_labels():
    labels, hu = halves()
    shifted = hu + np.int16(1024)
    found = labels_at_size(of_labels(labels), hu.shape, shifted, ABDOMINAL_TISSUES)
    assert (found == labels).all()


def test_copies_are_moved_back_before_they_are_averaged():
    card = ModelCard(
        task="segmentation",
        architecture="unet",
        config=asdict(UNetConfig(compression_channels=(2, 4), decompression_channels=(2,))),
        preprocessing=SEGMENTATION_PREPROCESSING,
        tissues=ABDOMINAL_TISSUES,
    )
    network = build_network(card).eval()
    hu = np.random.default_rng(0).integers(-150, 200, (1, 512, 512)).astype(np.int16)
    volume = Volume(hu, (0.8, 0.8), np.array([0.0]))
    once, twice = (
        NetworkSegmenter(Model(network, replace(card, copies=n), ""), device="cpu")(volume, [0])[0]
        for n in (1, 2)
    )
    inside = np.s_[8:-8, 8:-8]  # what leaves at an edge enters at the other
    assert (once == twice)[inside].all()  # moved by whole strides nothing else changes
    assert card.to_dict()["format_version"] == 1
    assert replace(card, copies=2).to_dict()["format_version"] == 2
    assert ModelCard.from_dict(replace(card, copies=2, hu_ranges=True).to_dict()).copies == 2
