"""``bodycomp pull``: copy studies from an image archive into a folder to analyze."""

from __future__ import annotations

from bodycomp.archive.options import PullOptions
from bodycomp.cli.option_parser import Command

DESCRIPTION = """\
Copy CT studies from an image archive (PACS, VNA) into a folder that 'bodycomp analyze' takes: those
that match a query, or those of a table of accession numbers. docs/pull.md has an example of each.

DIR/study-*/series-*/  the images as the archive has them: files still name the patient, their
                       names and those of folders are pseudonyms
DIR/pulled.csv         what came of each row of the table and each study
DIR.pseudonym-key      the key of the pseudonyms, beside DIR: keep it

A study appears when all of it is there. The same command continues what was interrupted or killed,
and asks anew for what was not found or failed."""


def run(options: PullOptions) -> int:
    """Pull, say what came, and fail if nothing did or something failed."""
    from bodycomp.archive.options import Status
    from bodycomp.cli.terminal import say
    from bodycomp.interface.runs import pull

    report = pull.run(options, progress=True)
    say(str(report))
    there = report.count(Status.PULLED) + report.count(Status.THERE)
    return 0 if there and not report.count(Status.FAILED) else 1


COMMAND = Command(options=(PullOptions,), run=run, description=DESCRIPTION)
