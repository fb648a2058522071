"""Which data set is benchmarked, where, and how its models are trained."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from bodycomp.anatomy import VERTEBRAE
from bodycomp.evaluation.options import Truths
from bodycomp.networks.names import PROJECTION, SLICE_SELECTION_ARCHITECTURES
from bodycomp.networks.shipped import SEGMENTATION_FOLDER, SLICE_SELECTION_FOLDER
from bodycomp.options import check_options, declare, option, option_of, words_of
from bodycomp.preparation.sources.options import SarosOptions, SourceOptions, VerseOptions
from bodycomp.training.options import RunOptions
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions

SAROS_FOLDS: Final = 5
"""SAROS names five folds, and a test split that is in none."""

VERSE_LEVELS: Final = VERTEBRAE[:-1]
"""C1 to L5, from head to feet; the sacrum has no level in VerSe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark(ABC):
    """A benchmark on a data set; what the preparation and the training declare is theirs.

    Attributes:
        name: What the command calls the data set.
        stage: What ``evaluation.json`` calls the model.
        run_name: The run's folder; ``bodycomp`` looks for such a model by this name.
        counted: What the bar of the test counts.

    Raises:
        UsageError: As the preparation and the training.
    """

    name: ClassVar[str]
    stage: ClassVar[str]
    run_name: ClassVar[str]
    counted: ClassVar[str]

    folder: Path = option_of(SourceOptions, "folder")
    out: Path = field(
        metadata=declare("OUT", help="folder of the set, the models, the evaluation and the table")
    )
    licenses: Literal["all", "commercial"] = option_of(SourceOptions, "licenses")
    license_table: Path | None = option_of(SourceOptions, "license_table")
    jobs: int | None = option_of(SourceOptions, "jobs", group="the preparation")
    epochs: int = option_of(RunOptions, "epochs", group="the training")
    max_minutes: float | None = option_of(RunOptions, "max_minutes")
    strong_augmentation: bool = option_of(RunOptions, "strong_augmentation")
    seed: int = option_of(RunOptions, "seed")
    gpus: int = option_of(RunOptions, "gpus")
    precision: str = option_of(RunOptions, "precision")
    num_workers: int | None = option_of(RunOptions, "num_workers")

    def __post_init__(self) -> None:
        check_options(self)
        self.training()  # refuses what does not go together

    @property
    def set_dir(self) -> Path:
        """The prepared set."""
        return self.out / "set"

    @property
    def models_dir(self) -> Path:
        """The folder of the models, as ``bodycomp analyze --models`` takes it."""
        return self.out / "models"

    @property
    def run_dir(self) -> Path:
        """The training."""
        return self.models_dir / self.run_name

    @property
    def evaluation_dir(self) -> Path:
        """The evaluation of the model on the test split."""
        return self.out / "evaluation"

    @abstractmethod
    def preparation(self) -> SourceOptions:
        """Return how the set is made."""

    @abstractmethod
    def training(self) -> RunOptions:
        """Return how the models are trained; a training that was begun is resumed."""

    @abstractmethod
    def truths(self) -> Truths:
        """Return what the model is tested on."""

    def _shared(self, kind: type[Any]) -> dict[str, Any]:
        """Return the values of the options that another class has, too."""
        own = {each.name for each in fields(self)} - {"folder", "out"}
        return {each.name: getattr(self, each.name) for each in fields(kind) if each.name in own}

    def _prepared_as(self, kind: type[Any]) -> Any:
        return kind(folder=self.folder, out=self.set_dir, **self._shared(kind))

    def _trained_as(self, kind: type[Any], **values: Any) -> Any:
        places = {"data_dir": self.set_dir, "output_dir": self.models_dir, "name": self.run_name}
        return kind(**self._shared(kind), **places, **values, resume=self.run_dir.exists())

    @property
    def command_line(self) -> str:
        """The command that gives these options."""
        usual = type(self)(folder=self.folder, out=self.out)
        places = (str(self.folder), str(self.out))
        return shlex.join(("bodycomp", "benchmark", self.name, *places, *words_of(self, usual)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SarosBenchmark(Benchmark):
    """The benchmark on SAROS: its five folds, and their ensemble on its test split."""

    name: ClassVar[str] = "saros"
    stage: ClassVar[str] = "segmentation"
    run_name: ClassVar[str] = SEGMENTATION_FOLDER
    counted: ClassVar[str] = "slices with masks"

    batch_size: int = option_of(SegmentationOptions, "batch_size", group="the training")
    learning_rate: float = option_of(SegmentationOptions, "learning_rate")
    arch: str = option_of(SegmentationOptions, "arch")
    compression_channels: tuple[int, ...] | None = option_of(
        SegmentationOptions, "compression_channels", group="the network"
    )
    decompression_channels: tuple[int, ...] | None = option_of(
        SegmentationOptions, "decompression_channels"
    )
    hu_ranges: bool = option_of(SegmentationOptions, "hu_ranges")

    def preparation(self) -> SarosOptions:
        """Return how the set is made."""
        made: SarosOptions = self._prepared_as(SarosOptions)
        return made

    def training(self) -> SegmentationOptions:
        """Return how the models are trained."""
        made: SegmentationOptions = self._trained_as(SegmentationOptions, folds=SAROS_FOLDS)
        return made

    def truths(self) -> Truths:
        """Return the official test, the split that is usual."""
        return Truths(segmentation=self.set_dir)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerseBenchmark(Benchmark):
    """The benchmark on VerSe: a level finder, trained and tested on its official splits."""

    name: ClassVar[str] = "verse"
    stage: ClassVar[str] = "slice_selection"
    run_name: ClassVar[str] = SLICE_SELECTION_FOLDER
    counted: ClassVar[str] = "slices of series"

    levels: tuple[str, ...] = option(
        VERSE_LEVELS,
        "--levels -L",
        group="the training",
        metavar="LEVEL",
        help="levels to find, from head to feet (default: C1 to L5)",
    )
    batch_size: int = option_of(SliceSelectionOptions, "batch_size")
    learning_rate: float = option_of(SliceSelectionOptions, "learning_rate")
    arch: str = option(
        PROJECTION,
        "--arch",
        choices=SLICE_SELECTION_ARCHITECTURES,
        help="architecture (default {default}, which sees whole series)",
    )
    image_size: int = option_of(SliceSelectionOptions, "image_size")

    def preparation(self) -> VerseOptions:
        """Return how the set is made: with every level, by which unusual spines are known."""
        made: VerseOptions = self._prepared_as(VerseOptions)
        return replace(made, levels=())

    def training(self) -> SliceSelectionOptions:
        """Return how the model is trained."""
        made: SliceSelectionOptions = self._trained_as(SliceSelectionOptions)
        return made

    def truths(self) -> Truths:
        """Return the official test, the split that is usual."""
        return Truths(slice_selection=self.set_dir)
