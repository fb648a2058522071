"""Which data set is benchmarked, where, and how its models are trained."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from bodycomp.options import check_options, declare, option_of, words_of
from bodycomp.preparation.sources.options import SarosOptions
from bodycomp.training.task_options import SegmentationOptions

SAROS_FOLDS: Final = 5
"""SAROS names five folds, and a test split that is in none."""

RUN_NAME: Final = "segmentation"
"""The run's folder; ``bodycomp`` looks for a segmentation model by this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SarosBenchmark:
    """The benchmark on SAROS; what the preparation and the training declare is theirs.

    Raises:
        UsageError: As the preparation and the training.
    """

    folder: Path = option_of(SarosOptions, "folder")
    out: Path = field(
        metadata=declare("OUT", help="folder of the set, the models, the evaluation and the table")
    )
    licenses: Literal["all", "commercial"] = option_of(SarosOptions, "licenses")
    license_table: Path | None = option_of(SarosOptions, "license_table")
    jobs: int | None = option_of(SarosOptions, "jobs", group="the preparation")
    epochs: int = option_of(SegmentationOptions, "epochs", group="the training")
    max_minutes: float | None = option_of(SegmentationOptions, "max_minutes")
    batch_size: int = option_of(SegmentationOptions, "batch_size")
    learning_rate: float = option_of(SegmentationOptions, "learning_rate")
    strong_augmentation: bool = option_of(SegmentationOptions, "strong_augmentation")
    seed: int = option_of(SegmentationOptions, "seed")
    arch: str = option_of(SegmentationOptions, "arch")
    compression_channels: tuple[int, ...] | None = option_of(
        SegmentationOptions, "compression_channels", group="the network"
    )
    decompression_channels: tuple[int, ...] | None = option_of(
        SegmentationOptions, "decompression_channels"
    )
    hu_ranges: bool = option_of(SegmentationOptions, "hu_ranges")
    gpus: int = option_of(SegmentationOptions, "gpus")
    precision: str = option_of(SegmentationOptions, "precision")
    num_workers: int | None = option_of(SegmentationOptions, "num_workers")

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
        """The training in folds."""
        return self.models_dir / RUN_NAME

    @property
    def evaluation_dir(self) -> Path:
        """The evaluation of the ensemble on the test split."""
        return self.out / "evaluation"

    def preparation(self) -> SarosOptions:
        """Return how the set is made."""
        return SarosOptions(
            folder=self.folder,
            out=self.set_dir,
            licenses=self.licenses,
            license_table=self.license_table,
            jobs=self.jobs,
        )

    def training(self) -> SegmentationOptions:
        """Return how the models are trained; a training that was begun is resumed."""
        shared = {each.name for each in fields(SegmentationOptions)}
        values: dict[str, Any] = {
            each.name: getattr(self, each.name) for each in fields(self) if each.name in shared
        }
        return SegmentationOptions(
            **values,
            data_dir=self.set_dir,
            output_dir=self.models_dir,
            name=RUN_NAME,
            folds=SAROS_FOLDS,
            resume=self.run_dir.exists(),
        )

    @property
    def command_line(self) -> str:
        """The command that gives these options."""
        usual = SarosBenchmark(folder=self.folder, out=self.out)
        places = (str(self.folder), str(self.out))
        return shlex.join(("bodycomp", "benchmark", "saros", *places, *words_of(self, usual)))
