"""``bodycomp report``: a run as a page that people look at."""

from __future__ import annotations

import argparse
from pathlib import Path

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


def set_up(parser: argparse.ArgumentParser) -> None:
    """Make the parser of this command."""
    parser.description = DESCRIPTION
    parser.add_argument("run_dir", metavar="OUT", type=Path, help="folder of the run")
    parser.add_argument(
        "--out",
        "-o",
        metavar="PAGE",
        type=Path,
        help="the page to write (default OUT/report.html); replaced if there",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    from bodycomp.cli.terminal import say
    from bodycomp.training.run_page import is_run_folder, write_run_page

    if is_run_folder(arguments.run_dir):
        page = write_run_page(arguments.run_dir, arguments.out)
    else:
        from bodycomp.study.analysis_page import write_analysis_page

        page = write_analysis_page(arguments.run_dir, arguments.out)
    say(f"{page} ({page.stat().st_size / 1e6:.1f} MB)")
    return 0
