"""Options of ``bodycomp prepare``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bodycomp.errors import UsageError
from bodycomp.level_names import check_levels

if TYPE_CHECKING:
    from bodycomp.annotation.levels import LevelOptions


def add_segmentation_options(parser: argparse.ArgumentParser) -> None:
    """Add what the segmentation set alone needs."""
    group = parser.add_argument_group("labels and slices")
    add = group.add_argument
    add(
        "--labels",
        metavar="LABEL=TISSUE",
        nargs="+",
        help="what each label of the masks means, by number or name: muscle, subcutaneous_fat, "
        "visceral_fat, ignore (background), or not_annotated where nobody said what is there; for "
        "instance 1=muscle 'Left psoas=muscle' 9=ignore 255=not_annotated. Needed unless a YAML "
        "table says it",
    )
    add(
        "--slices",
        choices=("annotated", "all"),
        default="annotated",
        help="slices with at least one labelled pixel (default), or all; slices without labels "
        "then teach that there is no tissue (never those that are marked as not annotated)",
    )
    add(
        "--spacing-mm",
        metavar="MM",
        type=float,
        help="thin out thin series to about this distance; neighbouring slices teach the same "
        "(default: every slice)",
    )
    add("--around", metavar="LEVEL", help="take slices about this level alone, e.g. L3")
    add(
        "--reach-mm",
        metavar="MM",
        type=float,
        default=30.0,
        help="with --around: how far above and below the level (default 30)",
    )
    add(
        "--max-per-scan",
        metavar="N",
        type=int,
        help="take at most so many slices of a scan, evenly spread",
    )


def add_slice_selection_options(parser: argparse.ArgumentParser) -> None:
    """Add what the slice-selection set alone needs."""
    group = parser.add_argument_group("levels and slices")
    add = group.add_argument
    add(
        "--levels",
        "-L",
        metavar="LEVEL",
        nargs="+",
        help="levels that get a column of offsets (default: all that lie in any scan)",
    )
    add(
        "--far-stride",
        metavar="N",
        type=int,
        default=1,
        help="of the slices far from the levels keep every Nth for training; val and test keep "
        "whole series (default 1: all)",
    )
    add(
        "--near-mm",
        metavar="MM",
        type=float,
        default=70.0,
        help="with --far-stride: how near to one of --levels (else to L3) every slice is kept "
        "(default 70, about two vertebrae)",
    )
    add(
        "--spacing-mm",
        metavar="MM",
        type=float,
        help="thin out thin series to about this distance (default: every slice)",
    )


def add_level_options(parser: argparse.ArgumentParser) -> None:
    """Add how files of levels are read."""
    group = parser.add_argument_group("how levels are read")
    add = group.add_argument
    add(
        "--levels-first-slice",
        metavar="N",
        type=int,
        default=0,
        choices=(0, 1),
        help="number of the first slice where a table gives slice indices: 0 (default) or 1",
    )
    add(
        "--levels-from",
        choices=("feet", "head"),
        default="feet",
        help="the end at which slice indices begin (default feet)",
    )
    add(
        "--vertebra-labels",
        metavar="LEVEL=LABEL",
        nargs="+",
        help="numbers in a vertebra label map, for instance L3=22 L4=23 as VerSe has them "
        "(default: those of TotalSegmentator)",
    )


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add splits, privacy and the rest."""
    group = parser.add_argument_group("splits")
    add = group.add_argument
    add(
        "--split",
        metavar=("TRAIN", "VAL", "TEST"),
        type=float,
        nargs=3,
        help="shares of the patients (default 0.7 0.15 0.15)",
    )
    add("--seed", "-s", type=int, default=0, help="seed of splits and pseudonyms (default 0)")
    add(
        "--stratify",
        metavar="COLUMN",
        nargs="+",
        help="spread these evenly over the splits: columns of the table, else what scans tell: "
        "sex, manufacturer, scanner, kernel, kvp, slice_thickness_mm, contrast",
    )
    group = parser.add_argument_group("more")
    add = group.add_argument
    add("--jobs", "-j", metavar="N", type=int, help="processes (default: one per core)")
    add(
        "--keep-identifiers",
        dest="identifiers",
        action="store_true",
        help="name patients by the table's codes and source files by their paths in the manifest, "
        "instead of pseudonyms",
    )
    add(
        "--shared-patient-id",
        action="store_true",
        help="the DICOM Patient ID does not tell patients apart: do not compare it with the codes",
    )
    add("--allow-refused", action="store_true", help="exit with 0 although cases are left out")
    add("--overwrite", action="store_true", help="replace a prepared set and its key")


def level_format(arguments: argparse.Namespace) -> LevelOptions:
    """Return the options of ``add_level_options`` as given."""
    from bodycomp.annotation.levels import LevelOptions

    return LevelOptions(
        first_slice=arguments.levels_first_slice,
        from_end=arguments.levels_from,
        vertebra_labels=vertebra_labels(arguments.vertebra_labels or ()),
    )


def vertebra_labels(terms: Sequence[str]) -> dict[str, int]:
    """Read terms such as ``L3=22``.

    Raises:
        UsageError: A term of another form, or an unknown level.
    """
    labels: dict[str, int] = {}
    for term in terms:
        level, equals, number = (part.strip() for part in term.partition("="))
        if not (equals and number.isdigit()):
            raise UsageError(f"expected LEVEL=LABEL such as L3=22, found {term!r}")
        labels[level] = int(number)
    if labels:
        check_levels(list(labels))
    return labels
