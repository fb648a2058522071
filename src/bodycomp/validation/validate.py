"""Validate a training set of either kind: all issues, and the facts that one pass gathers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from bodycomp import __version__
from bodycomp.anatomy import DEFAULT_LEVEL
from bodycomp.data.issues import Issue, count_issues
from bodycomp.data.layout import SPLITS, images_path, levels_of_columns, masks_path, table_path
from bodycomp.data.slice_set import read_table
from bodycomp.errors import InputNotFoundError, TrainingSetError, UsageError
from bodycomp.level_names import check_levels, head_to_feet
from bodycomp.progress import StepProgress
from bodycomp.validation.options import ValidationOptions
from bodycomp.validation.segmentation import validate_samples
from bodycomp.validation.slices import validate_slices

Kind = Literal["segmentation", "slice-selection"]

_LOOKED_FOR = (
    "train_images.npy and train_masks.npy (segmentation), or images/ and meta/ (slice selection)"
)

SCHEMA: Final = "bodycomp-validation"
SCHEMA_VERSION: Final = 2
"""Grows when a key changes its meaning or goes; new keys may come without."""


@dataclass(frozen=True, eq=False)
class Validation:
    """What a validation found.

    Issues are kept up to ``REPEATS_KEPT`` of each rule and split; facts are ``SAMPLE_FACTS`` or
    ``SEEN_SLICE`` by split, for the splits whose files could be read.
    """

    kind: Kind
    data_dir: Path
    issues: tuple[Issue, ...]
    facts: Mapping[str, NDArray[np.void]]

    @property
    def errors(self) -> int:
        """Number of errors."""
        return count_issues(self.issues, "error")

    @property
    def warnings(self) -> int:
        """Number of warnings."""
        return count_issues(self.issues, "warning")

    def to_dict(self) -> dict[str, Any]:
        """Return what was found as JSON-ready values; numbers that are not finite become None."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "bodycomp": __version__,
            "kind": self.kind,
            "data_dir": str(self.data_dir),
            "samples": {split: len(facts) for split, facts in self.facts.items()},
            "errors": self.errors,
            "warnings": self.warnings,
            "issues": [asdict(issue) | {"value": _finite(issue.value)} for issue in self.issues],
        }


def validate_training_set(
    data_dir: Path,
    options: ValidationOptions | None = None,
    progress: StepProgress | None = None,
) -> Validation:
    """Read a whole training set once and list everything that is wrong or looks wrong with it.

    Raises:
        UsageError: A level is repeated or has no name that can be one, or a segmentation set has
            none.
        InputNotFoundError: The folder holds neither kind of training set.
        TrainingSetError: It holds both.
    """
    options = options or ValidationOptions()
    kind = training_set_kind(data_dir)
    if kind == "segmentation":
        if options.levels:
            raise UsageError(
                f"expected no levels for the segmentation set {data_dir}, "
                f"found {', '.join(options.levels)}",
                hint="Levels belong to slice selection; leave out --levels.",
            )
        checked = validate_samples(
            data_dir,
            thoracic=options.thoracic,
            allow_scaled=options.allow_scaled,
            progress=progress,
        )
    else:
        levels = check_levels(options.levels or levels_of(data_dir))
        checked = validate_slices(data_dir, levels, progress)
    return Validation(kind, data_dir, *checked)


def training_set_kind(data_dir: Path) -> Kind:
    """Tell which training a folder is for by the names of its files; raise for none or both."""
    arrays = [at(data_dir, split) for split in SPLITS for at in (images_path, masks_path)]
    segmentation = any(path.exists() for path in arrays)
    slices = any((data_dir / name).is_dir() for name in ("images", "meta"))
    if segmentation and slices:
        raise TrainingSetError(
            f"{data_dir}: expected one training set, found the files of both kinds",
            hint=f"Put them into folders of their own: {_LOOKED_FOR}.",
        )
    if not (segmentation or slices):
        found = "no such folder" if not data_dir.is_dir() else "neither"
        raise InputNotFoundError(
            f"{data_dir}: expected {_LOOKED_FOR}, found {found}",
            hint="Name the folder that holds these files.",
        )
    return "segmentation" if segmentation else "slice-selection"


def levels_of(data_dir: Path) -> tuple[str, ...]:
    """Return the levels with offsets in every split, or else in any; vertebrae first, head to feet.

    A set without any such column is checked for L3, for which plain ``ZOffset`` will do.
    """
    with_offsets: list[set[str]] = []
    for split in SPLITS:
        table, _ = read_table(table_path(data_dir, split), "", split)
        if table is not None:
            levels = levels_of_columns(table.columns)
            cells = {level: table.column(column) for level, column in levels.items()}
            with_offsets.append({level for level, column in cells.items() if any(column or ())})
    for combined in (set.intersection, set.union):
        names = combined(*with_offsets) if with_offsets else set()
        if names:
            return head_to_feet(names)
    return (DEFAULT_LEVEL,)


def _finite(value: float | str | None) -> float | int | str | None:
    is_finite = not isinstance(value, float) or math.isfinite(value)
    return value if is_finite else None
