"""Models for the command line."""

from dataclasses import asdict
from pathlib import Path

import pytest

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.imaging.preprocessing import (
    SEGMENTATION_PREPROCESSING,
    SLICE_SELECTION_PREPROCESSING,
)
from bodycomp.networks.checkpoint import ModelCard, save_model
from bodycomp.networks.densenet import DenseNet, DenseNetConfig
from bodycomp.networks.names import DENSENET, UNET
from bodycomp.networks.shipped import SEGMENTATION_FOLDER, SLICE_SELECTION_FOLDER
from bodycomp.networks.unet import UNet, UNetConfig


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny networks with random weights."""
    folder = tmp_path_factory.mktemp("models")
    unet = UNetConfig(compression_channels=(4, 4), decompression_channels=(4,))
    dense = DenseNetConfig(nb_blocks=2, nb_layers_per_block=1, nb_initial_filters=4, growth_rate=4)
    save_model(
        folder / SEGMENTATION_FOLDER,
        UNet(unet),
        ModelCard(
            task="segmentation",
            architecture=UNET,
            config=asdict(unet),
            preprocessing=SEGMENTATION_PREPROCESSING,
            tissues=ABDOMINAL_TISSUES,
        ),
    )
    save_model(
        folder / SLICE_SELECTION_FOLDER,
        DenseNet(dense),
        ModelCard(
            task="slice_selection",
            architecture=DENSENET,
            config=asdict(dense),
            preprocessing=SLICE_SELECTION_PREPROCESSING,
            levels=("L3",),
            target_scale_mm=10.0,
        ),
    )
    return folder
