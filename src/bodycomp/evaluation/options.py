"""What shall be evaluated, against what, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.level_marks import LevelOptions
from bodycomp.data.layout import SPLITS
from bodycomp.errors import UsageError
from bodycomp.evaluation.estimates import BootstrapOptions
from bodycomp.networks.names import AUTO_ENGINE


@dataclass(frozen=True, slots=True)
class AnnotationFormat:
    """How annotations are to be read.

    Attributes:
        mapping: What the labels of masks mean; None for the project's own.
        levels: What files of levels cannot say.
    """

    mapping: LabelMapping | None = None
    levels: LevelOptions = field(default_factory=LevelOptions)


@dataclass(frozen=True, slots=True)
class Truths:
    """What to compare with; at least one.

    Attributes:
        segmentation: Segmentation training set.
        slice_selection: Slice-selection training set.
        cases: Cases table.
        masks, truth: Masks made anywhere, and what is true of them; no models take part.
        scan: What ``masks`` were drawn on, for HU and for formats that need it.
        split: Split of the sets and of the table; None for ``test``, or for all cases of a table
            that has no splits.
    """

    segmentation: Path | None = None
    slice_selection: Path | None = None
    cases: Path | None = None
    masks: Path | None = None
    truth: Path | None = None
    scan: Path | None = None
    split: str | None = None

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
        if not (self.segmentation or self.slice_selection or self.cases or self.masks):
            raise UsageError(
                "expected something to compare with, found nothing",
                hint="Give --cases TABLE, --segmentation SET, --slice-selection SET, or --masks "
                "with --truth.",
            )
        if self.split is not None and self.split not in SPLITS:
            raise UsageError(
                f"unknown split {self.split!r}", hint=f"Splits are {', '.join(SPLITS)}."
            )

    @property
    def has_masks(self) -> bool:
        """Whether slices with masks are compared."""
        return self.segmentation is not None or self.masks is not None

    @property
    def need_models(self) -> bool:
        """Whether a model takes part."""
        return any((self.segmentation, self.slice_selection, self.cases))


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """Options of ``evaluate``.

    Attributes:
        out: Folder to make.
        truths: What to compare with.
        models: Folder with both models; None if masks alone are evaluated.
        against: A second one, on the same cases.
        by: Columns to make subgroups by, such as ``sex`` or ``bmi:25,30``; with cases only.
        form: How annotations of cases, and labels of masks, are to be read.
        patients: Table of heights, weights and sexes, for files that do not give them; with cases.
        bootstrap: How intervals are made.
        device, engine: How networks are run.
        identifiers: Name patients by their codes.
        overwrite: Replace an earlier evaluation.

    Raises:
        UsageError: Options that do not go together.
    """

    out: Path
    truths: Truths
    models: Path | None = None
    against: Path | None = None
    by: tuple[str, ...] = ()
    form: AnnotationFormat = field(default_factory=AnnotationFormat)
    patients: Path | None = None
    bootstrap: BootstrapOptions = field(default_factory=BootstrapOptions)
    device: str = "auto"
    engine: str = AUTO_ENGINE
    identifiers: bool = False
    overwrite: bool = False

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
        if self.patients is not None and self.truths.cases is None:
            raise UsageError(
                "expected --cases with --patients, found none",
                hint="Heights and sexes count where whole scans are measured.",
            )
