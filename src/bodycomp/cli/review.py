"""``bodycomp review``: take in what people said of results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bodycomp.cli.correction_options import add_correction_options, correction_options
from bodycomp.cli.threads import share_cores

if TYPE_CHECKING:
    from bodycomp.review.apply import ReviewOutcome

DESCRIPTION = """\
Take in the CSV that the review page exports: which cases were accepted or rejected, and which
levels were moved.

OUT/results.csv stays what the networks measured. OUT/reviewed.csv has the same columns and the
review's: rejected rows have no measurements, and moved levels are measured where they were moved
to. OUT/reviews.jsonl keeps everything that was said, in its order; the last word on a case counts.
Reviews may be applied in any order and more than once.

Moved levels need the scans that were measured, and the models: INPUT and --models.
A review that does not fit the results is refused, with line and column, and nothing is written.
docs/review.md leads through the whole loop. For research only, not a medical device."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of ``bodycomp``."""
    family = subparsers.add_parser("review", help="take in what people said of results")
    actions = family.add_subparsers(title="actions", metavar="ACTION", required=True)
    parser = actions.add_parser(
        "apply",
        help="accept, reject and move by the CSV of a review page",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("out", metavar="OUT", type=Path, help="folder that bodycomp analyze left")
    add("review", metavar="REVIEW.csv", type=Path, help="what the review page exported")
    add_correction_options(parser)
    add(
        "--no-scans",
        dest="move",
        action="store_false",
        help="leave moved levels for another time, take in the rest",
    )
    add(
        "--by",
        metavar="NAME",
        default="",
        help="who reviewed, where the review does not say it; initials or a code will do",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Apply the review and say what changed."""
    share_cores()
    from bodycomp.cli.progress import study_progress
    from bodycomp.review.apply import ReviewOptions, apply_review

    options = ReviewOptions(
        review=arguments.review,
        scans=correction_options(arguments),
        move=arguments.move,
        reviewer=arguments.by,
    )
    with study_progress() as progress:
        outcome = apply_review(options, progress)
    sys.stdout.write("\n".join(_told(outcome)) + "\n")
    return 0


def _told(outcome: ReviewOutcome) -> list[str]:
    moved = f"levels measured where they were moved to: {outcome.moved}"
    told = [f"cases reviewed: {outcome.new}, {moved}, put back: {outcome.restored}"]
    if outcome.repeated:
        told.append(f"rows that say what counted already: {outcome.repeated}")
    if outcome.older:
        told.append(f"rows left out, older than the last word on their case: {outcome.older}")
    if outcome.rejected_moves:
        told.append(f"moved and rejected, so not measured: {outcome.rejected_moves}")
    if outcome.waiting:
        told.append(
            f"moved levels that wait until the same command has the scans: {outcome.waiting}"
        )
    verdicts = outcome.verdicts
    told.append(
        f"in all {verdicts['accept']} accepted, {verdicts['reject']} rejected; {outcome.table}"
    )
    return told
