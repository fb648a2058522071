"""Model cards to show: one that says nothing, one that says everything, one of segmentation."""

from dataclasses import replace

from bodycomp.anatomy import THORACIC_TISSUES
from bodycomp.imaging.preprocessing import (
    SEGMENTATION_PREPROCESSING,
    SLICE_SELECTION_PREPROCESSING,
)
from bodycomp.networks.card import ModelCard
from bodycomp.networks.card_description import (
    KIND_WORDS,
    Metric,
    MetricTable,
    ModelDescription,
    SplitSize,
    TrainingData,
)
from bodycomp.networks.confidence_calibration import ConfidenceCalibration, LevelCalibration

DIGEST = "0123456789abcdef" * 4
BARE = ModelCard(
    task="slice_selection",
    architecture="densenet",
    config={"num_outputs": 2},
    preprocessing=SLICE_SELECTION_PREPROCESSING,
    levels=("T12", "L3"),
    target_scale_mm=10.0,
)
FULL = replace(
    BARE,
    confidence=ConfidenceCalibration("12 series", {"L3": LevelCalibration(-0.5, 0.7, 12, 9)}),
    description=ModelDescription(
        words=replace(KIND_WORDS["slice_selection"], name="<Demo> & co", contact="a@b.org"),
        data=TrainingData("cd" * 32, {"train": SplitSize(2368, 48, 48), "val": SplitSize(960)}),
        metrics=(
            MetricTable(
                key="validation",
                title="Validation split",
                source="960 slices",
                metrics=(
                    Metric("found_L3", 0.75, 0.5, 0.9, "1", 12, 11),
                    Metric("mae_mm_L3", None, unit="mm", reason="no slice near it"),
                ),
            ),
        ),
        software={"torch": "2.9"},
    ),
)
SEGMENTATION = ModelCard(
    task="segmentation",
    architecture="unet",
    config={"num_classes": 3, "activation": "relu"},
    preprocessing=SEGMENTATION_PREPROCESSING,
    tissues=THORACIC_TISSUES,
)

SMALL = {
    "slice-selection": ModelCard(
        task="slice_selection",
        architecture="densenet",
        config={"num_outputs": 1, "nb_blocks": 2, "nb_layers_per_block": 1, "growth_rate": 2},
        preprocessing=SLICE_SELECTION_PREPROCESSING,
        levels=("L3",),
        target_scale_mm=10.0,
    ),
    "segmentation": ModelCard(
        task="segmentation",
        architecture="unet",
        config={
            "num_classes": 3,
            "compression_channels": (4, 5),
            "decompression_channels": (3,),
            "activation": "relu",
        },
        preprocessing=SEGMENTATION_PREPROCESSING,
        tissues=THORACIC_TISSUES,
    ),
}
"""Cards of networks that are built in no time, by the folder of each in a pair."""
