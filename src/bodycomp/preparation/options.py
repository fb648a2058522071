"""What shall be prepared, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.levels import LevelOptions
from bodycomp.data.samples import LevelSampling, MaskSampling
from bodycomp.errors import UsageError
from bodycomp.level_names import check_levels
from bodycomp.preparation.cases import Fractions
from bodycomp.preparation.splits import check_fractions

FACTS: Final = (
    "sex",
    "manufacturer",
    "scanner",
    "kernel",
    "kvp",
    "slice_thickness_mm",
    "contrast",
)
"""What scans may tell of themselves to stratify by, where the table has no such column."""


@dataclass(frozen=True, slots=True)
class SegmentationTask:
    """A segmentation training set.

    Attributes:
        mapping: What the labels mean; None where the cases table says so.
        sampling: Which slices are taken.
        level_format: How level files are to be read, for slices about a level.
    """

    mapping: LabelMapping | None
    sampling: MaskSampling = field(default_factory=MaskSampling)
    level_format: LevelOptions = field(default_factory=LevelOptions)


@dataclass(frozen=True, slots=True)
class SliceTask:
    """A slice-selection training set.

    Attributes:
        levels: Levels that get a column; empty for all that any case has.
        sampling: Which slices are taken.
        level_format: How level files are to be read.
    """

    levels: tuple[str, ...] = ()
    sampling: LevelSampling = field(default_factory=LevelSampling)
    level_format: LevelOptions = field(default_factory=LevelOptions)

    def __post_init__(self) -> None:
        if self.levels:
            check_levels(self.levels)


Task = SegmentationTask | SliceTask


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """Who comes into which split.

    Attributes:
        fractions: Shares of train, val and test; None for those of the table, or the default.
        seed: Of splits and pseudonyms.
        stratify: Columns of the table, or names of ``FACTS``, to spread evenly.

    Raises:
        UsageError: Shares that do not add up to 1, or a negative seed.
    """

    fractions: Fractions | None = None
    seed: int = 0
    stratify: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.fractions is not None:
            check_fractions(self.fractions)
        if self.seed < 0:
            raise UsageError(f"expected a seed of 0 or more, found {self.seed}")


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """Options of ``prepare``.

    Attributes:
        cases: The cases table.
        out: Folder to make.
        task: What to make.
        split: Who comes into which split.
        jobs: Processes; None for one per core.
        identifiers: Name patients by their codes, and source files by their paths.
        shared_patient_id: The DICOM Patient ID does not tell patients apart, as after some ways of
            anonymisation; it is not compared with the table's codes.
        overwrite: Replace a set that was prepared earlier.

    Raises:
        UsageError: A number is out of range, or ``out`` is no name of a folder.
    """

    cases: Path
    out: Path
    task: Task
    split: SplitOptions = field(default_factory=SplitOptions)
    jobs: int | None = None
    identifiers: bool = False
    shared_patient_id: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"expected at least one process, found {self.jobs}")
        if self.out.name in ("", ".."):
            raise UsageError(
                f"expected a folder with a name of its own, found {self.out}",
                hint="The key and the finished cases lie beside it under names like its own.",
            )

    @property
    def parts(self) -> Path:
        """Folder of finished cases, beside the set."""
        return self.out.with_name(f"{self.out.name}.parts")

    @property
    def key(self) -> Path:
        """File that leads from pseudonyms back to patients, beside the set."""
        return self.out.with_name(f"{self.out.name}-key.csv")
