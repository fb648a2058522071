"""``bodycomp review``: apply what people said of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bodycomp.cli.option_parser import Command, CommandGroup
from bodycomp.cli.terminal import share_cores
from bodycomp.review.options import ReviewOptions

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


def run(options: ReviewOptions) -> int:
    """Apply the review and say what changed."""
    share_cores()
    from bodycomp.cli.terminal import say
    from bodycomp.interface.runs import apply_review

    say(*_lines(apply_review.run(options, progress=True)))
    return 0


def _lines(outcome: ReviewOutcome) -> list[str]:
    moved = f"levels measured where they were moved to: {outcome.moved}"
    lines = [f"cases reviewed: {outcome.new}, {moved}, put back: {outcome.restored}"]
    if outcome.repeated:
        lines.append(f"rows that say what counted already: {outcome.repeated}")
    if outcome.older:
        lines.append(f"rows left out, older than the last word on their case: {outcome.older}")
    if outcome.rejected_moves:
        lines.append(f"moved and rejected, so not measured: {outcome.rejected_moves}")
    if outcome.waiting:
        lines.append(
            f"moved levels that wait until the same command has the scans: {outcome.waiting}"
        )
    verdicts = outcome.verdicts
    lines.append(
        f"in all {verdicts['accept']} accepted, {verdicts['reject']} rejected; {outcome.table}"
    )
    return lines


COMMAND = CommandGroup(
    commands={
        "apply": (
            "accept, reject and move by the CSV of a review page",
            Command(options=(ReviewOptions,), run=run, description=DESCRIPTION),
        )
    },
    title="actions",
    metavar="ACTION",
)
