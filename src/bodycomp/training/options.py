"""Everything that a training can be told; plain values, no torch, checked when they are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from bodycomp.anatomy import DEFAULT_LEVEL
from bodycomp.errors import UsageError
from bodycomp.level_names import check_levels
from bodycomp.networks.names import (
    ACTIVATIONS,
    DENSENET,
    INITIALIZERS,
    PATCH_UNET,
    RESNET,
    SEGMENTATION_ARCHITECTURES,
    SEGMENTATION_LOSSES,
    SLICE_SELECTION_ARCHITECTURES,
    SLICE_SELECTION_LOSSES,
    UNET,
)
from bodycomp.training.network_options import fill_network_options
from bodycomp.training.schedules import SCHEDULES

PRECISIONS: Final = ("auto", "32", "bf16", "16")
LOGGERS: Final = ("mlflow", "wandb")
COMPILE: Final = ("auto", "on", "off")
OPTIMIZERS: Final = ("adamw", "sgd")
ON_DIVERGENCE: Final = ("step-back", "stop")

AUTO_BATCH_SIZE: Final = 0
"""Stands for the largest batch size that memory holds."""

LARGE_ADAMW_RATE: Final = 0.02
"""Above this learning rate AdamW rarely trains; the earlier default of 0.1 lies far beyond."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What both trainings share.

    Attributes:
        data_dir: The training set.
        output_dir: Folder of runs; this one goes to ``output_dir / name``.
        name: Name of the run; empty for a time stamp.
        epochs: Epoch number at which training ends.
        batch_size: Images per optimiser step, all devices together; ``AUTO_BATCH_SIZE`` to find
            the largest that memory holds.
        learning_rate: Initial (largest) learning rate. On short trainings the default
            won for the DenseNet among 3e-4, 1e-3, 3e-3 and 1e-2, and came close to 1e-2 for the
            U-Net.
        gpus: GPUs to use; 0 for the CPU.
        load_weights: Model to start from: a model folder, a run folder or a Keras ``.hdf5``.
        arch: Architecture of the network; see the task's choices.
        activation: One of ``ACTIVATIONS``.
        loss: Name of the loss; see the task's choices.
        optimizer: One of ``OPTIMIZERS``.
        schedule: One of ``SCHEDULES``.
        decay_half_time: Epochs until the learning rate halves, for the schedule ``half-life``.
        seed: Seed of initial weights, order and augmentation; at least 0.
        augmentation: Whether training images are varied.
        average: Part of the steps so far that the average of the weights spans; it is what is
            judged and exported. 0 for the weights as they are.
        patience: Epochs without a new best score after which training ends; None for no end.
        precision: One of ``PRECISIONS``; auto is bf16 on a GPU or a CPU whose instructions have it,
            else 16 on a GPU and 32 on a CPU.
        num_workers: Processes that load data, per device; None to choose.
        processes: CPU processes that train together when no GPU is used.
        max_minutes: Time for the training steps and validations; None for no limit.
        resume: Continue the run of this name.
        loggers: Where metrics go besides the run's folder, some of ``LOGGERS``.
        compile: One of ``COMPILE``: whether ``torch.compile`` prepares the network on a GPU; auto
            is when the run is long enough for it to pay.
        keep_every_epoch: Keep a resumable checkpoint of each epoch.
        deterministic: Whether a GPU is to give the same numbers every time, where PyTorch can.
        on_divergence: One of ``ON_DIVERGENCE``: go on from an earlier state with a smaller
            learning rate, or end with advice.

    Raises:
        UsageError: A value is out of range or a name unknown.
    """

    task: ClassVar[str] = ""
    losses: ClassVar[tuple[str, ...]] = ()
    architectures: ClassVar[tuple[str, ...]] = ()
    network_options: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    data_dir: Path
    output_dir: Path
    name: str = ""
    epochs: int = 100
    batch_size: int = 16
    learning_rate: float = 3e-3
    gpus: int = 1
    load_weights: Path | None = None
    arch: str = ""
    activation: str = "relu"
    loss: str = ""
    optimizer: str = "adamw"
    schedule: str = "cosine"
    decay_half_time: float = 20.0
    seed: int = 0
    augmentation: bool = True
    average: float = 0.1
    patience: int | None = None
    precision: str = "auto"
    num_workers: int | None = None
    processes: int = 1
    max_minutes: float | None = None
    resume: bool = False
    keep_every_epoch: bool = False
    deterministic: bool = False
    loggers: tuple[str, ...] = ()
    compile: str = "auto"
    on_divergence: str = "step-back"

    def __post_init__(self) -> None:
        if not self.loss:
            object.__setattr__(self, "loss", self.losses[0])
        if not self.arch:
            object.__setattr__(self, "arch", self.architectures[0])
        _check_choice("--arch", self.arch, self.architectures)
        fill_network_options(self, self.network_options)
        _check_choice("--activation", self.activation, ACTIVATIONS)
        _check_choice("--loss", self.loss, self.losses)
        _check_choice("--optimizer", self.optimizer, OPTIMIZERS)
        _check_choice("--schedule", self.schedule, SCHEDULES)
        _check_choice("--precision", self.precision, PRECISIONS)
        _check_choice("--compile", self.compile, COMPILE)
        for logger in self.loggers:
            _check_choice("--logger", logger, LOGGERS)
        _check_choice("--on_divergence", self.on_divergence, ON_DIVERGENCE)
        for option in ("epochs", "processes"):
            _check_at_least(f"--{option}", getattr(self, option), 1)
        _check_at_least("--patience", self.patience, 1)
        if not 0 <= self.average <= 1:
            raise UsageError(f"expected --average from 0 to 1, found {self.average}")
        for option in ("batch_size", "gpus", "seed", "num_workers"):
            _check_at_least(f"--{option}", getattr(self, option), 0)
        for option in ("learning_rate", "decay_half_time", "max_minutes"):
            _check_positive(f"--{option}", getattr(self, option))
        if self.resume and not self.name:
            raise UsageError(
                "--resume needs the name of the run to continue, found none",
                hint="Add --name with the name of its folder.",
            )

    @property
    def first_epoch(self) -> int:
        """Number of the first epoch."""
        return 0

    def network_values(self) -> dict[str, Any]:
        """Return the options that belong to the chosen architecture, by name."""
        return {name: getattr(self, name) for name in self.network_options[self.arch]}

    def to_dict(self) -> dict[str, Any]:
        """Return every option as JSON-ready values."""
        values = dataclasses.asdict(self)
        return {"task": self.task} | {
            key: str(value) if isinstance(value, Path) else value for key, value in values.items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from ``to_dict``."""
        known: dict[str, Any] = {
            field.name: values[field.name] for field in dataclasses.fields(cls)
        }
        for key in known.keys() & {"data_dir", "output_dir", "load_weights", "cache_dir"}:
            known[key] = None if known[key] is None else Path(known[key])
        lists = {key: tuple(value) for key, value in known.items() if isinstance(value, list)}
        return cls(**(known | lists))


@dataclass(frozen=True, kw_only=True)
class SegmentationOptions(RunOptions):
    """How to train a segmentation model.

    Attributes:
        batch_size: As for both trainings, but fewer: the same images in four times the steps gave
            a far better network (docs/development/performance.md).
        thoracic: Leave visceral fat out: classes 0, 1, 2.
        compression_channels: Features of the U-Net's stages on the way down.
        decompression_channels: Features on the way up, one number fewer.
        num_convs: Convolutions per stage. None for these three becomes the architecture's default.
        allow_scaled_images: Train on images that look windowed or scaled already.
    """

    task: ClassVar[str] = "segmentation"
    losses: ClassVar[tuple[str, ...]] = SEGMENTATION_LOSSES
    architectures: ClassVar[tuple[str, ...]] = SEGMENTATION_ARCHITECTURES
    network_options: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        UNET: {
            "compression_channels": (16, 32, 64, 128, 256, 512),
            "decompression_channels": (256, 128, 64, 32, 16),
            "num_convs": 1,
        },
        PATCH_UNET: {
            "compression_channels": (24, 48, 96, 192, 384),
            "decompression_channels": (192, 96, 48, 24),
            "num_convs": 1,
        },
    }

    batch_size: int = 4
    thoracic: bool = False
    compression_channels: tuple[int, ...] | None = None
    decompression_channels: tuple[int, ...] | None = None
    num_convs: int | None = None
    allow_scaled_images: bool = False


@dataclass(frozen=True, kw_only=True)
class SliceSelectionOptions(RunOptions):
    """How to train a slice-selection model.

    Attributes:
        levels: Vertebral levels, one output each.
        threshold: Scale in mm of the soft threshold: target = sigmoid(offset_mm / threshold).
        initial_epoch: Number of the first epoch.
        nb_layers_per_block, nb_blocks: Depth of the DenseNet.
        nb_initial_filters, growth_rate, compression_rate: Width of the DenseNet.
        initializer: One of ``INITIALIZERS``; None becomes the architecture's default.
        omit_batch_norm: Train without batch normalisation. Depth, width and this belong to the
            architecture ``densenet``: None becomes its default there, and stays with another one.
        cache_dir: Where decoded slices are kept; None for the user's cache folder.
        cache_gb: Size of that cache in GB (10^9 bytes), 0 for none.
    """

    task: ClassVar[str] = "slice_selection"
    losses: ClassVar[tuple[str, ...]] = SLICE_SELECTION_LOSSES
    architectures: ClassVar[tuple[str, ...]] = SLICE_SELECTION_ARCHITECTURES
    network_options: ClassVar[Mapping[str, Mapping[str, Any]]] = {
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
    }

    levels: tuple[str, ...] = (DEFAULT_LEVEL,)
    threshold: float = 10.0
    initial_epoch: int = 0
    nb_layers_per_block: int | None = None
    nb_blocks: int | None = None
    nb_initial_filters: int | None = None
    growth_rate: int | None = None
    compression_rate: float | None = None
    initializer: str | None = None
    omit_batch_norm: bool | None = None
    cache_dir: Path | None = None
    cache_gb: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_levels(self.levels)
        _check_choice("--initializer", str(self.initializer), INITIALIZERS)
        _check_positive("--threshold", self.threshold)
        if not 0 <= self.cache_gb < float("inf"):
            raise UsageError(f"expected --cache_gb of 0 or more, found {self.cache_gb}")
        if not 0 <= self.initial_epoch < self.epochs:
            raise UsageError(
                f"expected --initial_epoch from 0 to {self.epochs - 1}, one below --epochs, "
                f"found {self.initial_epoch}",
                hint="--epochs is the number at which training ends, not how many are added.",
            )

    @property
    def first_epoch(self) -> int:
        """Number of the first epoch."""
        return self.initial_epoch


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"expected {option} to be one of {', '.join(choices)}, found {value!r}")


def _check_at_least(option: str, value: int | None, smallest: int) -> None:
    if value is not None and value < smallest:
        raise UsageError(f"expected {option} of at least {smallest}, found {value}")


def _check_positive(option: str, value: float | None) -> None:
    if value is not None and not 0 < value < float("inf"):
        raise UsageError(f"expected a positive {option}, found {value}")
