"""Which data set is prepared, and how: a class of options for each layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from bodycomp.annotation.level_options import LevelOptions
from bodycomp.data.sampling_options import (
    LevelSampling,
    MaskSampling,
    max_per_scan_option,
    spacing_option,
)
from bodycomp.options import check_options, declare, nested, option
from bodycomp.preparation.options import (
    LevelTask,
    PrepareOptions,
    PrepareTask,
    SplitOptions,
    jobs_option,
    levels_option,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What all layouts take; ``out`` is as for ``PrepareOptions``.

    Raises:
        UsageError: A number is out of range, or ``out`` is no name of a folder.
    """

    folder: Path = field(
        metadata=declare("DIR", help="the data set as it was downloaded: a folder or a zip file")
    )
    out: Path = field(metadata=declare("OUT", help="folder to make"))
    licenses: Literal["all", "commercial"] = option(
        "all",
        "--licenses --licences",
        group="licenses",
        choices=("all", "commercial"),
        help="commercial leaves out cases whose license is not known to allow commercial use "
        "(default {default})",
    )
    license_table: Path | None = option(
        None,
        "--license-table --licence-table",
        metavar="LICENSES",
        help="CSV with columns collection and license: what you know of the licenses of images; "
        "counts before what the data set says",
    )
    jobs: int | None = jobs_option()
    overwrite: bool = option(False, "--overwrite", help="replace a prepared set")

    def __post_init__(self) -> None:
        check_options(self)

    def preparing(self, task: PrepareTask) -> PrepareOptions:
        """Return the options of the preparation that follows."""
        return PrepareOptions(self.folder, self.out, task, jobs=self.jobs, overwrite=self.overwrite)


@dataclass(frozen=True, slots=True, kw_only=True)
class SarosOptions(SourceOptions):
    """SAROS, and what is made of it."""

    val_fold: int = option(
        5,
        "--val-fold",
        group="splits",
        metavar="FOLD",
        at_least=1,
        at_most=5,
        help="fold that becomes val; the others are train, and test stays test (default {default})",
    )
    rules_file: Path | None = option(
        None,
        "--rules",
        group="tissues and slices",
        metavar="RULES",
        help="YAML file of tissues by region and HU to use instead of the usual rules",
    )
    spacing_mm: float | None = spacing_option()
    max_per_scan: int | None = max_per_scan_option()


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSourceOptions(SourceOptions):
    """A data set with vertebrae, and what is made of it."""

    levels: tuple[str, ...] = levels_option()
    sampling: LevelSampling = field(default_factory=LevelSampling, metadata=nested(LevelSampling))

    def task(self, vertebra_labels: Mapping[str, int]) -> LevelTask:
        """Return what is made, of maps with these numbers of vertebrae."""
        level_format = LevelOptions(vertebra_labels=vertebra_labels)
        return LevelTask(self.levels, self.sampling, level_format)


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalsegmentatorOptions(LevelSourceOptions):
    """TotalSegmentator's data set, and what is made of it."""

    release: int | None = option(
        None,
        "--release",
        group="the data set",
        metavar="N",
        choices=(1, 2),
        help="release of the data set, 1 or 2, where classes lie in one label map a case: their "
        "numbers differ (masks in files of their own need no number)",
    )
    keep_doubtful: bool = option(
        False,
        "--keep-doubtful",
        help="keep cases in which a radiologist found vertebrae that run into one another",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerseOptions(LevelSourceOptions):
    """VerSe, and what is made of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NnunetOptions(SourceOptions):
    """A data set in the raw layout of nnU-Net, and what is made of it.

    ``labels`` are texts such as ``1=muscle``, by numbers or by names of ``dataset.json``.
    """

    labels: tuple[str, ...] = option(
        (),
        "--labels",
        group="labels and slices",
        metavar="LABEL=TISSUE",
        help="what labels of dataset.json mean, by number or name, where their names do not say "
        "it: muscle, subcutaneous_fat, visceral_fat, ignore or not_annotated",
    )
    make: Literal["segmentation", "slice-selection"] | None = option(
        None,
        "--make",
        choices=("segmentation", "slice-selection"),
        help="what to make where dataset.json names both tissues and vertebrae",
    )
    sampling: MaskSampling = field(default_factory=MaskSampling, metadata=nested(MaskSampling))
    patients: Path | None = option(
        None,
        "--patients",
        group="splits",
        metavar="PATIENTS",
        help="CSV with columns case and patient, where a patient has several cases (default: each "
        "case is a patient)",
    )
    splits_file: Path | None = option(
        None,
        "--splits-file",
        metavar="JSON",
        help="splits_final.json of nnUNet_preprocessed: the val cases of --val-fold become val",
    )
    val_fold: int = option(
        0, "--val-fold", metavar="FOLD", at_least=0, help="fold of it, from 0 (default {default})"
    )
    split: SplitOptions = field(default_factory=SplitOptions, metadata=nested(SplitOptions))

    def preparing(self, task: PrepareTask) -> PrepareOptions:
        """Return the options of the preparation that follows."""
        return replace(SourceOptions.preparing(self, task), split=self.split)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagOptions(SourceOptions):
    """TAG files of Slice-O-Matic beside DICOM slices, and what is made of them."""

    labels: tuple[str, ...] = option(
        (),
        "--labels",
        group="labels",
        metavar="LABEL=TISSUE",
        help="what numbers mean where it is not by the Alberta protocol, 1=muscle 2=ignore "
        "5=visceral_fat 7=subcutaneous_fat, or where there are others",
    )
    patients: Path | None = option(
        None,
        "--patients",
        group="splits",
        metavar="PATIENTS",
        help="CSV with columns case (the slice's file without suffix) and patient (default: the "
        "DICOM Patient ID, else each slice is a patient)",
    )
    split: SplitOptions = field(default_factory=SplitOptions, metadata=nested(SplitOptions))

    def preparing(self, task: PrepareTask) -> PrepareOptions:
        """Return the options of the preparation that follows."""
        made, told = SourceOptions.preparing(self, task), self.patients is not None
        return replace(made, split=self.split, shared_patient_id=told)
