"""The options of each of the two trainings, beside those that both share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from bodycomp.anatomy import (
    ALL_TISSUES,
    DEFAULT_LEVEL,
    VERTEBRAE,
    Tissue,
    tissues_for,
    tissues_of_model,
)
from bodycomp.errors import UsageError
from bodycomp.level_names import check_levels, head_to_feet
from bodycomp.networks.names import (
    DENSENET,
    INITIALIZERS,
    PATCH_UNET,
    PROJECTION,
    RESNET,
    SEGMENTATION_ARCHITECTURES,
    SEGMENTATION_LOSSES,
    SLICE_SELECTION_ARCHITECTURES,
    SLICE_SELECTION_LOSSES,
    UNET,
)
from bodycomp.options import Record, default_text, option
from bodycomp.training.options import AUTO_BATCH_SIZE, Networks, RunOptions

IMAGE_MULTIPLE: Final = 32
"""All networks halve rows and columns at most five times."""

SEGMENTATION_NETWORKS: Final[Networks] = {
    UNET: {
        "compression_channels": (16, 32, 64, 128, 256, 512),
        "decompression_channels": (256, 128, 64, 32, 16),
        "num_convs": 1,
    },
    PATCH_UNET: {
        "patch": 2,
        "compression_channels": (24, 48, 96, 192, 384),
        "decompression_channels": (192, 96, 48, 24),
        "num_convs": 1,
    },
}
SLICE_SELECTION_NETWORKS: Final[Networks] = {
    DENSENET: {
        "nb_layers_per_block": 12,
        "nb_blocks": 4,
        "nb_initial_filters": 16,
        "growth_rate": 12,
        "compression_rate": 0.5,
        "omit_batch_norm": False,
        "initializer": "glorot_uniform",
    },
    RESNET: {"initializer": "he_normal"},
    PROJECTION: {"initializer": "he_normal"},
}


def _batch_size_of(text: str) -> int:
    """Read a batch size: a positive number, or ``auto``."""
    if text == "auto":
        return AUTO_BATCH_SIZE
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"expected a positive number or auto, found {text!r}")
    return int(text)


def _batch_size(default: int, note: str = "") -> int:
    return option(
        default,
        "--batch_size -b",
        parse=_batch_size_of,
        at_least=0,
        help=f"slices per optimizer step, all devices together (default {{default}}{note}); auto: "
        "the largest that memory holds, by trial steps, up to 256",
    )


def _learning_rate(default: float, earlier: str) -> float:
    return option(
        default,
        "--learning_rate -l",
        positive=True,
        help=f"initial learning rate (default {{default}}, for AdamW; it was {earlier} in the "
        "earlier implementation)",
    )


def _loss(choices: tuple[str, ...]) -> str:
    return option(
        choices[0],
        "--loss",
        choices=choices,
        help=f"what is minimised (default {{default}}; {choices[1]} is that of the earlier "
        "implementation)",
    )


def _arch(choices: tuple[str, ...], other: str) -> str:
    return option(
        choices[0],
        "--arch",
        group="the network",
        choices=choices,
        help=f"architecture: {{default}} (default), or {other}; options that an architecture does "
        "not have are refused",
    )


def _of_network(networks: Networks, names: str, meaning: str, **details: Any) -> Any:
    """Declare an option of single architectures: None until the chosen one fills it in."""
    name = names.split(maxsplit=1)[0].removeprefix("--")
    texts = {
        arch: default_text(defaults[name])
        for arch, defaults in networks.items()
        if name in defaults
    }
    first, *others = texts.items()
    said = "; ".join([first[1], *(f"with {a} {text}" for a, text in others if text != first[1])])
    return option(None, names, help=f"{meaning} (default {said})", **details)


@dataclass(frozen=True, kw_only=True)
class SegmentationOptions(RunOptions):
    """How to train a segmentation model; shapes are None until the architecture fills them in."""

    task: ClassVar[str] = "segmentation"
    networks: ClassVar[Networks] = SEGMENTATION_NETWORKS

    batch_size: int = _batch_size(4, "; it was 16: fewer slices, but more steps")
    learning_rate: float = _learning_rate(3e-3, "0.1")
    loss: str = _loss(SEGMENTATION_LOSSES)
    arch: str = _arch(
        SEGMENTATION_ARCHITECTURES,
        "patch_unet, with steps twice as fast on a CPU, for trainings of a few minutes: it is "
        "less exact in the end",
    )
    thoracic: bool = option(
        False,
        "--thoracic_model -t",
        group="the U-Net and its classes",
        help="no visceral fat: masks have the classes 0, 1, 2",
    )
    tissues: tuple[str, ...] = option(
        (),
        "--tissues",
        metavar="TISSUE",
        help="what is labelled: the first few of "
        f"{' '.join(tissue.key for tissue in ALL_TISSUES)} (default the first three), or both fats "
        "without muscle; more need a set that declares their labels (docs/formats.md)",
    )
    compression_channels: tuple[int, ...] | None = _of_network(
        SEGMENTATION_NETWORKS,
        "--compression_channels -C",
        "features of the stages on the way down",
        metavar="N",
    )
    decompression_channels: tuple[int, ...] | None = _of_network(
        SEGMENTATION_NETWORKS,
        "--decompression_channels -M",
        "features on the way up, one number fewer",
        metavar="N",
    )
    num_convs: int | None = _of_network(
        SEGMENTATION_NETWORKS, "--num_convs -N", "convolutions per stage"
    )
    patch: int | None = _of_network(
        SEGMENTATION_NETWORKS,
        "--patch",
        "with patch_unet: rows and columns of the pixels that become one",
        metavar="N",
    )
    hu_ranges: bool = option(
        False,
        "--hu_ranges",
        help="let the analysis give a pixel the most probable label that its HU permit: muscle "
        "from -29 to 150, fat from -190 to -30, as outlined by threshold; masks must be made so",
    )
    copies: int = option(
        1,
        "--copies",
        metavar="N",
        at_least=1,
        at_most=8,
        help="let the analysis average N copies of a slice, each moved by two pixels more, which "
        "gains most with patch_unet (default {default})",
    )
    allow_scaled_images: bool = option(
        False,
        "--allow_scaled_images --allow-scaled-images",
        help="train even if the images look windowed or scaled already instead of raw HU; "
        "errors that are based on HU, such as masks that do not fit their images, are then "
        "warnings",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.thoracic and self.tissues:
            raise UsageError("expected --thoracic_model or --tissues, found both")
        if self.tissues:
            tissues_of_model(self.tissues)

    @property
    def labeled_tissues(self) -> tuple[Tissue, ...]:
        """What the model labels."""
        return (
            tissues_of_model(self.tissues) if self.tissues else tissues_for(thoracic=self.thoracic)
        )


@dataclass(frozen=True, kw_only=True)
class SliceSelectionOptions(RunOptions):
    """How to train a slice-selection model; shapes as for segmentation.

    Depth, width and batch norm belong to the DenseNet and stay None with another architecture.
    """

    task: ClassVar[str] = "slice_selection"
    networks: ClassVar[Networks] = SLICE_SELECTION_NETWORKS

    batch_size: int = _batch_size(16)
    learning_rate: float = _learning_rate(3e-3, "1e-4")
    loss: str = _loss(SLICE_SELECTION_LOSSES)
    arch: str = _arch(
        SLICE_SELECTION_ARCHITECTURES,
        "resnet, with steps three times as fast on a CPU, a little better in the same time, or "
        "projection, which sees whole series and the straightened spine, for several levels",
    )
    levels: tuple[str, ...] = option(
        (DEFAULT_LEVEL,),
        "--levels -L",
        group="the DenseNet and its levels",
        metavar="LEVEL",
        help="levels to find, vertebrae or any other name that the tables have, e.g. T5 T8 T10 "
        "L3 or umbilicus (default {default})",
    )
    threshold: float = option(
        10.0,
        "--threshold -t",
        metavar="MM",
        positive=True,
        help="scale of the soft threshold in mm: target = sigmoid(offset / scale) (default "
        "{default})",
    )
    image_size: int = option(
        256,
        "--image_size",
        metavar="PIXELS",
        at_least=64,
        help="rows and columns that the network sees, a multiple of 32 (default {default}); with "
        "128 a step takes a quarter of the time",
    )
    initial_epoch: int = option(
        0,
        "--initial_epoch -i",
        help="number of the first epoch; the schedule starts there (default {default})",
    )
    nb_layers_per_block: int | None = _of_network(
        SLICE_SELECTION_NETWORKS, "--nb_layers_per_block", "layers in each dense block", metavar="N"
    )
    nb_blocks: int | None = _of_network(
        SLICE_SELECTION_NETWORKS, "--nb_blocks", "dense blocks", metavar="N"
    )
    nb_initial_filters: int | None = _of_network(
        SLICE_SELECTION_NETWORKS,
        "--nb_initial_filters",
        "features of the first convolution",
        metavar="N",
    )
    growth_rate: int | None = _of_network(
        SLICE_SELECTION_NETWORKS, "--growth_rate", "features that each layer adds", metavar="N"
    )
    compression_rate: float | None = _of_network(
        SLICE_SELECTION_NETWORKS,
        "--compression_rate",
        "share of the features that a transition between blocks keeps",
    )
    initializer: str | None = _of_network(
        SLICE_SELECTION_NETWORKS, "--initializer -I", "initial weights", choices=INITIALIZERS
    )
    omit_batch_norm: bool | None = option(
        None, "--omit_batch_norm -B", help="train without batch normalisation"
    )
    cache_dir: Path | None = option(
        None,
        "--cache_dir",
        group="decoded slices",
        metavar="FOLDER",
        record=Record.LOCAL,
        help="where decoded slices are kept for this run and later ones (default: "
        "$BODYCOMP_CACHE, else bodycomp/slices in the user's cache folder); 'bodycomp cache' "
        "shows and clears it",
    )
    cache_gb: float = option(
        10.0,
        "--cache_gb",
        metavar="GB",
        at_least=0,
        record=Record.LOCAL,
        help="how large it may become, 65.5 kB per slice; what was used least recently goes "
        "first; 0: no cache (default {default})",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_levels(self.levels)
        if self.arch == PROJECTION and len(self.levels) > 1:
            self._check_order()
        if self.image_size % IMAGE_MULTIPLE:
            raise UsageError(
                f"expected --image_size to be a multiple of {IMAGE_MULTIPLE}, "
                f"found {self.image_size}"
            )
        if not 0 <= self.initial_epoch < self.epochs:
            raise UsageError(
                f"expected --initial_epoch from 0 to {self.epochs - 1}, one below --epochs, "
                f"found {self.initial_epoch}",
                hint="--epochs is the number at which training ends, not how many are added.",
            )

    def _check_order(self) -> None:
        """Levels that share the body must be known to lie one below the other."""
        ordered = head_to_feet(level for level in self.levels if level in VERTEBRAE)
        if self.levels != ordered:
            raise UsageError(
                f"expected vertebrae from head to feet as --levels of --arch {PROJECTION}, found "
                f"{' '.join(self.levels)}",
                hint=f"Write {' '.join(ordered)}; train a model of its own for any other level."
                if ordered
                else "Train a model of its own for each of these levels.",
            )

    @property
    def first_epoch(self) -> int:
        """Number of the first epoch."""
        return self.initial_epoch
