"""What shall be prepared, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bodycomp.anatomy import DEFAULT_LEVEL
from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.annotation.tissue_rules import TissueRules
from bodycomp.cluster import cluster_option
from bodycomp.data.sampling_options import LevelSampling, MaskSampling
from bodycomp.errors import UsageError
from bodycomp.level_names import check_levels
from bodycomp.options import check_options, declare, nested, option

Fractions = tuple[float, float, float]
"""Shares of the patients in train, val and test."""

DEFAULT_FRACTIONS: Final[Fractions] = (0.7, 0.15, 0.15)

FACTS: Final = ("sex", "manufacturer", "scanner", "kernel", "kvp", "slice_thickness_mm", "contrast")
"""What scans may say of themselves to stratify by, where the table has no such column."""


@dataclass(frozen=True, slots=True)
class MaskTask:
    """A segmentation training set.

    What labels mean is in ``rules`` or ``mapping``, or in the cases table where both are None;
    ``rules_file`` is read into ``rules``.
    """

    mapping: LabelMapping | None = option(
        None,
        "--labels",
        group="labels and slices",
        metavar="LABEL=TISSUE",
        several=True,
        convert=LabelMapping.parse,
        help="what each label of the masks means, by number or name: muscle, subcutaneous_fat, "
        "visceral_fat, a tissue beyond these (docs/formats.md), ignore (background), or "
        "not_annotated where nobody said what is there; for "
        "instance 1=muscle 'Left psoas=muscle' 9=ignore 255=not_annotated. Needed unless a YAML "
        "table says it",
    )
    sampling: MaskSampling = field(default_factory=MaskSampling, metadata=nested(MaskSampling))
    level_format: LevelOptions = field(default_factory=LevelOptions, metadata=nested(LevelOptions))
    rules_file: Path | None = option(
        None,
        "--rules",
        group="labels and slices",
        metavar="RULES",
        help="instead of --labels: YAML file of tissues by region and HU, such as "
        "'muscle: region 2 within -29..150'",
    )
    rules: TissueRules | None = None

    def __post_init__(self) -> None:
        if self.mapping is not None and (self.rules or self.rules_file):
            raise UsageError(
                "expected --labels or --rules, found both",
                hint="Rules say what every label means; leave --labels out.",
            )

    @property
    def has_not_annotated(self) -> bool:
        """Whether masks of the set may hold pixels that are not annotated."""
        return self.rules is not None or bool(self.mapping and self.mapping.has_not_annotated)


def levels_option() -> tuple[str, ...]:
    """Declare the levels of a slice-selection set."""
    return option(
        (),
        "--levels -L",
        group="levels and slices",
        metavar="LEVEL",
        help="levels that get a column of offsets (default: all that lie in any scan)",
    )


def jobs_option() -> int | None:
    """Declare the number of processes."""
    return option(
        None,
        "--jobs -j",
        group="more",
        metavar="N",
        at_least=1,
        help="processes (default: one per core)",
    )


@dataclass(frozen=True, slots=True)
class LevelTask:
    """A slice-selection training set; slices near ``levels``, else near L3."""

    levels: tuple[str, ...] = levels_option()
    sampling: LevelSampling = field(default_factory=LevelSampling, metadata=nested(LevelSampling))
    level_format: LevelOptions = field(default_factory=LevelOptions, metadata=nested(LevelOptions))

    def __post_init__(self) -> None:
        if self.levels:
            check_levels(self.levels)
        if not self.sampling.near:
            near = self.levels or (DEFAULT_LEVEL,)
            object.__setattr__(self, "sampling", replace(self.sampling, near=near))


PrepareTask = MaskTask | LevelTask


def check_fractions(fractions: Fractions) -> Fractions:
    """Return shares of train, val and test if they can be used.

    Raises:
        UsageError: A share is negative, or they do not add up to 1.
    """
    if not all(f >= 0 for f in fractions) or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        raise UsageError(
            f"expected shares of train, val and test that add up to 1, found {fractions}",
            hint="For instance 0.7 0.15 0.15, or 0.8 0.2 0 without a test split.",
        )
    return fractions


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """Who comes into which split; ``fractions`` None for the table's shares, else the default."""

    fractions: tuple[float, float, float] | None = option(
        None,
        "--split",
        group="splits",
        metavar="TRAIN VAL TEST",
        help="shares of the patients (default "
        f"{' '.join(f'{share:g}' for share in DEFAULT_FRACTIONS)})",
    )
    seed: int = option(
        0, "--seed -s", at_least=0, help="seed of splits and pseudonyms (default {default})"
    )
    stratify: tuple[str, ...] = option(
        (),
        "--stratify",
        metavar="COLUMN",
        help="spread these evenly over the splits: columns of the table, else what scans say: "
        f"{', '.join(FACTS)}",
    )

    def __post_init__(self) -> None:
        if self.fractions is not None:
            check_fractions(self.fractions)
        check_options(self)


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """What to prepare; each option is described beside its field.

    Raises:
        UsageError: A number is out of range, or ``out`` is no name of a folder.
    """

    cases: Path = field(metadata=declare("CASES", help="cases table, .csv or .yaml"))
    out: Path = field(metadata=declare("OUT", help="folder to make"))
    task: PrepareTask = field(metadata=nested(MaskTask))
    split: SplitOptions = field(default_factory=SplitOptions, metadata=nested(SplitOptions))
    jobs: int | None = jobs_option()
    cluster: str = cluster_option()
    identifiers: bool = option(
        False,
        "--keep-identifiers",
        help="name patients by the table's codes and source files by their paths in the manifest, "
        "instead of pseudonyms",
    )
    shared_patient_id: bool = option(
        False,
        "--shared-patient-id",
        help="the DICOM Patient ID does not distinguish patients: do not compare it with the codes",
    )
    overwrite: bool = option(False, "--overwrite", help="replace a prepared set and its key")

    def __post_init__(self) -> None:
        if self.out.name in ("", ".."):
            raise UsageError(
                f"expected a folder with a name of its own, found {self.out}",
                hint="The key and the finished cases lie beside it under names like its own.",
            )
        check_options(self)

    @property
    def parts(self) -> Path:
        """Folder of finished cases, beside the set."""
        return self.out.with_name(f"{self.out.name}.parts")

    @property
    def key(self) -> Path:
        """File that leads from pseudonyms back to patients, beside the set."""
        return self.out.with_name(f"{self.out.name}-key.csv")
