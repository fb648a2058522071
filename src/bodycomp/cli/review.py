"""``bodycomp review``: apply what people said of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bodycomp.cli.option_parser import Command, CommandGroup
from bodycomp.cli.terminal import share_cores
from bodycomp.review.options import AgreementOptions, ReviewOptions, ServeOptions

if TYPE_CHECKING:
    from bodycomp.review.apply import ReviewOutcome
    from bodycomp.review.readers import ReaderPair

DESCRIPTION = """\
Take in the CSV that the review page exports: which cases were accepted or rejected, which levels
were moved, and which masks were corrected.

OUT/results.csv stays what the networks measured. OUT/reviewed.csv has the same columns and the
review's: rejected rows have no measurements, moved levels are measured where they were moved to,
and levels with a corrected mask with that mask. OUT/reviews.jsonl keeps everything that was said,
in its order; the last word on a case counts.
Reviews may be applied in any order and more than once.

Moved levels and corrected masks need the scans that were measured (INPUT), moved levels the models,
too (--models).
A review that does not fit the results is refused, with line and column, and nothing is written.
docs/review.md leads through the whole loop. For research only, not a medical device."""

SERVE = """\
Serve the page of a run to the browser of this computer. What is reviewed there is applied to OUT
when a case is left, as 'bodycomp review apply' does: no file to export, none to apply.

The address has a token that is new each time; nobody else can open the page or save. Moved levels
and corrected masks need the scans (INPUT), moved levels the models, too (--models); without them
they wait in the browser. Ctrl-C ends it."""


def run(options: ReviewOptions) -> int:
    """Apply the review and say what changed."""
    share_cores()
    from bodycomp.cli.terminal import say
    from bodycomp.interface.runs import apply_review

    say(*_lines(apply_review.run(options, progress=True)))
    return 0


AGREEMENT = """\
Compare reviews of the same run: readers with one another, and each with the networks. A reader's
mask is the networks' with what they painted; cases that they rejected or moved have none.

FOLDER/reader1-reader2/    the masks of both, as 'bodycomp evaluate --masks' compares them
FOLDER/reader1-networks/   a reader's masks against the networks'; and so on for every pair
FOLDER/readers.json        verdicts (with Cohen's kappa) and how far levels lie apart
FOLDER/masks/              the label maps that were compared

Readers are counted in the order of their files. No scan is needed."""


def run_agreement(options: AgreementOptions) -> int:
    """Compare the readers and print what they agree on."""
    share_cores()
    from bodycomp.cli.evaluate_summary import print_summary
    from bodycomp.cli.terminal import say
    from bodycomp.evaluation.options import EvaluateOptions, Truths
    from bodycomp.interface.runs import reader_agreement

    for pair, document in reader_agreement.run(options, progress=True):
        say(f"{pair.name}: {' and '.join(pair.readers)}", *_agreement_lines(pair))
        if document is not None and pair.masks is not None:
            truths = Truths(masks=pair.masks[0], truth=pair.masks[1])
            print_summary(EvaluateOptions(out=options.folder / pair.name, truths=truths), document)
    return 0


def _agreement_lines(pair: ReaderPair) -> list[str]:
    lines, verdicts, levels = [], pair.verdicts, pair.levels
    if verdicts.get("cases"):
        kappa = "" if verdicts["kappa"] is None else f", kappa {verdicts['kappa']:.2f}"
        lines.append(f"same verdict: {verdicts['same']} of {verdicts['cases']}{kappa}")
    if levels["cases"]:
        lines.append(
            f"levels of {levels['cases']} cases: {levels['mean_mm']:.1f} mm apart in the mean, at "
            f"most {levels['max_mm']:.1f} mm"
        )
    return lines


def run_serve(options: ServeOptions) -> int:
    """Serve the page until Ctrl-C."""
    share_cores()
    from bodycomp.cli.terminal import say
    from bodycomp.review.serve import ReviewServer

    server = ReviewServer(options)
    say(f"open {server.address}", "Ctrl-C ends it; what was saved is applied already")
    try:
        server.run()
    except KeyboardInterrupt:
        say("ended")
    return 0


def _lines(outcome: ReviewOutcome) -> list[str]:
    moved = f"levels measured where they were moved to: {outcome.moved}"
    masks = f"with a corrected mask: {outcome.painted}"
    lines = [f"cases reviewed: {outcome.new}, {moved}, {masks}, put back: {outcome.restored}"]
    if outcome.repeated:
        lines.append(f"rows that say what counted already: {outcome.repeated}")
    if outcome.older:
        lines.append(f"rows left out, older than the last word on their case: {outcome.older}")
    if outcome.rejected_changes:
        lines.append(f"changed and rejected, so not measured: {outcome.rejected_changes}")
    if outcome.waiting:
        lines.append(
            "moved levels and corrected masks that wait until the same command has the scans: "
            f"{outcome.waiting}"
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
        ),
        "serve": (
            "open the page so that it saves what is reviewed",
            Command(options=(ServeOptions,), run=run_serve, description=SERVE),
        ),
        "agreement": (
            "compare reviews of several readers, and readers with the networks",
            Command(options=(AgreementOptions,), run=run_agreement, description=AGREEMENT),
        ),
    },
    title="actions",
    metavar="ACTION",
)
