"""What shall be evaluated, against what, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.cluster import cluster_option
from bodycomp.data.layout import SPLITS
from bodycomp.errors import UsageError
from bodycomp.networks.names import AUTO_ENGINE, ENGINES
from bodycomp.options import check_options, declare, nested, option

FOLDS: Final = "folds"
"""Stands for the splits that a training with folds shared out."""

_AGAINST: Final = "what to compare with"
_WORK: Final = "what to work out"


@dataclass(frozen=True, slots=True)
class Truths:
    """What to compare with; at least one.

    Raises:
        UsageError: Nothing, or what does not go together.
    """

    cases: Path | None = option(
        None, "--cases", group=_AGAINST, metavar="TABLE", help="cases table, .csv or .yaml"
    )
    segmentation: Path | None = option(
        None, "--segmentation", metavar="SET", help="segmentation training set"
    )
    slice_selection: Path | None = option(
        None, "--slice-selection", metavar="SET", help="slice-selection training set"
    )
    masks: Path | None = option(
        None, "--masks", metavar="P", help="masks that were made: a file or a folder"
    )
    truth: Path | None = option(
        None, "--truth", metavar="T", help="what is true of the same slices"
    )
    scan: Path | None = option(
        None, "--scan", metavar="S", help="with --masks: the scan that they lie on, for HU and SEG"
    )
    split: str | None = option(
        None,
        "--split",
        choices=(*SPLITS, FOLDS),
        help="split of sets and table (default test; all cases of a table without splits); folds: "
        "train and val of a set, each sample by the fold of a training that did not learn from it",
    )

    def __post_init__(self) -> None:
        if (self.masks is None) != (self.truth is None):
            raise UsageError(
                "expected --masks and --truth together, found one of them",
                hint="--masks names masks that were made, --truth what is true of the same slices.",
            )
        if self.masks is not None and self.segmentation is not None:
            raise UsageError(
                "expected --segmentation or --masks with --truth, found both",
                hint="Evaluate them one after the other, each with an --out of its own.",
            )
        if self.split == FOLDS and self.cases is not None:
            raise UsageError(
                "expected a training set with --split folds, found a cases table",
                hint="Folds are of the samples of a set: --segmentation or --slice-selection.",
            )
        if not (self.segmentation or self.slice_selection or self.cases or self.masks):
            raise UsageError(
                "expected something to compare with, found nothing",
                hint="Give --cases TABLE, --segmentation SET, --slice-selection SET, or --masks "
                "with --truth.",
            )
        check_options(self)

    @property
    def has_masks(self) -> bool:
        """Whether slices with masks are compared."""
        return self.segmentation is not None or self.masks is not None

    @property
    def need_models(self) -> bool:
        """Whether a model takes part."""
        return any((self.segmentation, self.slice_selection, self.cases))


@dataclass(frozen=True, slots=True)
class AnnotationFormat:
    """How annotations are to be read: what labels of masks mean, and what level files cannot say.

    Attributes:
        mapping: None for the labels of bodycomp.
    """

    mapping: LabelMapping | None = option(
        None,
        "--labels",
        group=_AGAINST,
        metavar="LABEL=TISSUE",
        several=True,
        convert=LabelMapping.parse,
        help="what labels of annotated masks mean, as for 'bodycomp prepare' (default 1=muscle "
        "2=subcutaneous_fat 3=visceral_fat)",
    )
    levels: LevelOptions = field(default_factory=LevelOptions, metadata=nested(LevelOptions))


@dataclass(frozen=True, slots=True)
class BootstrapOptions:
    """How intervals are made; ``level`` is their confidence."""

    resamples: int = option(
        2000,
        "--bootstrap",
        group=_WORK,
        metavar="N",
        help="resamples of patients for the intervals (default {default})",
    )
    seed: int = option(0, "--seed -s", at_least=0, help="seed of the resamples (default {default})")
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 100:
            raise UsageError(
                f"expected at least 100 resamples, found {self.resamples}",
                hint="--bootstrap 2000 is usual; fewer give intervals that change with the seed.",
            )
        check_options(self)


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What to evaluate; each option is described beside its field.

    Attributes:
        models: None if masks alone are evaluated.

    Raises:
        UsageError: Options that do not go together.
    """

    out: Path = field(metadata=declare("--out -o", metavar="OUT", help="new folder"))
    truths: Truths = field(metadata=nested(Truths))
    models: Path | None = option(None, "MODELS", help="folder with the models")
    against: Path | None = option(
        None,
        "--against",
        group=_WORK,
        metavar="MODELS",
        help="other models on the same cases: paired differences, and which is better where the "
        "interval allows to say so",
    )
    by: tuple[str, ...] = option(
        (),
        "--by",
        metavar="COLUMN",
        help="also for subgroups by these columns of the table, else by what scans say (sex, "
        "manufacturer, scanner, kernel, kvp, slice_thickness_mm, contrast); numbers in thirds, or "
        "at edges: bmi:25,30",
    )
    form: AnnotationFormat = field(
        default_factory=AnnotationFormat, metadata=nested(AnnotationFormat)
    )
    patients: Path | None = option(
        None,
        "--patients",
        group=_AGAINST,
        metavar="CSV",
        help="with --cases: heights and sexes for indices and cut-offs, as for 'bodycomp analyze': "
        "columns patient_id (where a file has none, the code of the cases table) or study_uid, and "
        "height_m or height_cm, weight_kg, sex, age_years",
    )
    bootstrap: BootstrapOptions = field(
        default_factory=BootstrapOptions, metadata=nested(BootstrapOptions)
    )
    save_masks: bool = option(
        False,
        "--save-masks",
        group=_WORK,
        help="with --segmentation: also write the masks that the model made, masks/SPLIT_masks.npy "
        "in the order and form of the set's own",
    )
    device: str = option(
        "auto", "--device", group="more", help="auto, cpu, cuda or cuda:1 (default {default})"
    )
    engine: str = option(AUTO_ENGINE, "--engine", choices=ENGINES, help="how networks are run")
    cluster: str = cluster_option()
    identifiers: bool = option(
        False,
        "--keep-identifiers",
        help="name patients and mask files as the inputs do, instead of numbers",
    )
    overwrite: bool = option(False, "--overwrite", help="replace an earlier evaluation in OUT")

    def __post_init__(self) -> None:
        if self.truths.need_models and self.models is None:
            raise UsageError(
                "expected a folder with models, found none",
                hint="bodycomp evaluate MODELS --out OUT ...; only --masks with --truth needs "
                "no models.",
            )
        if not self.truths.need_models and (self.models or self.against):
            raise UsageError(
                "expected no models with --masks and --truth alone, found some",
                hint="Leave them out, or give --cases, --segmentation or --slice-selection.",
            )
        if self.by and self.truths.cases is None:
            raise UsageError(
                "expected --cases with --by, found none",
                hint="Subgroups are made of the columns of a cases table.",
            )
        if self.cluster and self.truths.cases is None:
            raise UsageError(
                "expected --cases with --cluster, found none",
                hint="Scans of a cases table are spread over a cluster; sets are evaluated here.",
            )
        if self.patients is not None and self.truths.cases is None:
            raise UsageError(
                "expected --cases with --patients, found none",
                hint="Heights and sexes count where whole scans are measured.",
            )
        if self.save_masks and self.truths.segmentation is None:
            raise UsageError(
                "expected --segmentation with --save-masks, found none",
                hint="Masks of whole scans are what 'bodycomp analyze' writes.",
            )
        check_options(self)
