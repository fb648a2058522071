"""``bodycomp report``: a run as a page that people look at."""

from __future__ import annotations

from bodycomp.cli.option_parser import Command
from bodycomp.interface.options import ReportOptions

DESCRIPTION = """\
Write one HTML page for the folder of a run: the results of `bodycomp analyze`, or the run folder of
a training. The scans are not needed any more.

The page opens from disk, without network and without a server. Of an analysis it shows every case
with its slice, labels, score curve and flags, those to review first on top; cases can be accepted,
rejected, commented and their level moved, and the page exports this review as a CSV for
`bodycomp review apply`.
Of a training it shows learning curves, the numbers of the test split and the model's card.

The page holds pictures of patients: keep it where the results may be kept.
For research only, not a medical device."""


def run(options: ReportOptions) -> int:
    """Write the page and say where it is."""
    from bodycomp.cli.terminal import say
    from bodycomp.interface.runs import write_report

    page = write_report.run(options)
    say(f"{page} ({page.stat().st_size / 1e6:.1f} MB)")
    return 0


COMMAND = Command(options=(ReportOptions,), run=run, description=DESCRIPTION)
