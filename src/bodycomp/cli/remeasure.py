"""``bodycomp remeasure``: measure one series anew with a corrected mask or at another slice."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bodycomp.cli.correction_options import add_correction_options, correction_options
from bodycomp.cli.threads import share_cores

if TYPE_CHECKING:
    from bodycomp.review.remeasure import Remeasured

DESCRIPTION = """\
Measure a series anew with a mask that was corrected in 3D Slicer, ITK-SNAP or another tool, or with
a level moved to another slice.

The networks' results stay. The corrected ones lie in OUT/study-*/series-*/corrected/LEVEL/ and in
OUT/reviewed.csv, and say who corrected what, when and from what. A mask counts for every level
that it has labels on and that it changes; a mask equal to the networks' puts their result back.
docs/review.md leads through the whole loop. For research only, not a medical device."""

EPILOG = """\
examples:
  bodycomp remeasure OUT scans --series series-0123456789ab --mask corrected.seg.nrrd --by AB
  bodycomp remeasure OUT scans --series series-0123456789ab --slice 57 --by AB --models DIR"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of ``bodycomp``."""
    parser = subparsers.add_parser(
        "remeasure",
        help="measure a series anew with a corrected mask, or at another slice",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("out", metavar="OUT", type=Path, help="folder that bodycomp analyze left")
    add_correction_options(parser)
    add(
        "--series",
        metavar="SERIES",
        required=True,
        help="the series, as in the column 'series' of results.csv",
    )
    add(
        "--by",
        metavar="NAME",
        required=True,
        help="who corrected; it is written into files, so initials or a code are best",
    )
    add("--reason", metavar="TEXT", default="", help="why; written into files, too")
    add(
        "--mask",
        metavar="FILE",
        type=Path,
        help="the corrected mask: NIfTI, NRRD (.seg.nrrd), DICOM SEG or RTSTRUCT, on the pixels of "
        "the scan",
    )
    add(
        "--labels",
        metavar="LABEL=TISSUE",
        nargs="+",
        default=[],
        help="what the labels of the mask mean, by number or name: muscle, subcutaneous_fat, "
        "visceral_fat or ignore (default: those of labels.nii.gz, 1, 2 and 3)",
    )
    add("--level", metavar="LEVEL", default="", help="correct this level alone, e.g. L3")
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--slice",
        dest="slice_index",
        metavar="N",
        type=int,
        help="move the level to this slice, counted from 0 at the feet",
    )
    place.add_argument(
        "--z-mm",
        metavar="Z",
        type=float,
        help="move the level to this height in the patient frame, in mm",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure anew and print what changed."""
    share_cores()
    from bodycomp.cli.progress import study_progress
    from bodycomp.review.remeasure import remeasure
    from bodycomp.review.remeasure_options import RemeasureOptions

    options = RemeasureOptions(
        scans=correction_options(arguments),
        series=arguments.series,
        by=arguments.by,
        reason=arguments.reason,
        mask=arguments.mask,
        labels=tuple(arguments.labels),
        level=arguments.level,
        slice_index=arguments.slice_index,
        z_mm=arguments.z_mm,
    )
    with study_progress() as progress:
        found = remeasure(options, progress)
    sys.stdout.write("\n".join(_told(found)) + "\n")
    return 0


def _told(found: Sequence[Remeasured]) -> Iterator[str]:
    from bodycomp.report.review_rows import tissues_of

    if not found:
        yield "nothing changed: this is what counts already"
    for each in found:
        what = each.after.get("corrected")
        yield f"{each.case}: " + (f"corrected ({what})" if what else "the networks' result again")
        for tissue in tissues_of(each.before):
            column = f"{tissue.key}_area_cm2"
            before, after = (_number(row[column]) for row in (each.before, each.after))
            yield f"  {tissue.title}: {before} -> {after} cm2"


def _number(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else "-"
