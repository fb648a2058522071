"""Names that a user chooses from; imports nothing, so that the command line can list them."""

from __future__ import annotations

from typing import Final

ACTIVATIONS: Final = ("relu", "elu", "selu", "tanh", "sigmoid", "leaky_relu", "gelu", "swish")

INITIALIZERS: Final = (
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
)

SEGMENTATION_LOSSES: Final = (
    "dice_cross_entropy",
    "negative_dice_sum",
)

CROSS_ENTROPY: Final = "cross_entropy"
SLICE_SELECTION_LOSSES: Final = (CROSS_ENTROPY, "absolute_error")

AUTO_ENGINE: Final = "auto"
REFERENCE: Final = "reference"
FOLDED: Final = "folded"
BF16: Final = "bf16"
ENGINES: Final = (AUTO_ENGINE, REFERENCE, FOLDED, BF16)
"""Ways of running a trained network; see ``engine``."""

UNET: Final = "unet"
DENSENET: Final = "densenet"
PATCH_UNET: Final = "patch_unet"
RESNET: Final = "resnet"
PROJECTION: Final = "projection"
ENSEMBLE: Final = "ensemble"
"""Architecture names that stand in a model card."""

SEGMENTATION_ARCHITECTURES: Final = (UNET, PATCH_UNET)
SLICE_SELECTION_ARCHITECTURES: Final = (DENSENET, RESNET, PROJECTION)
"""What each training can choose from, the default first."""
