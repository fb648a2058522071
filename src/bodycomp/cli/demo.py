"""``bodycomp demo``: everything on synthetic patients."""

from __future__ import annotations

import argparse
from pathlib import Path

from bodycomp.cli.option_parser import add_options, read_options
from bodycomp.demo.options import DemoOptions

DESCRIPTION = """\
Make a cohort of synthetic patients, train both networks on some of them, measure the others from
their DICOM files, and compare with the truth. Takes about 15 minutes on two cores, 6 GB of memory
at most, and 6 GB of disk. Everything lands in OUT; the summary says where to look."""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Make the parser of this command."""
    parser.description = DESCRIPTION
    add_options(parser, DemoOptions)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and print how well the results agree with the truth."""
    from bodycomp.cli.evaluate_summary import print_summary
    from bodycomp.cli.terminal import progress_bar, say, study_progress, training_progress
    from bodycomp.demo.run import DemoProgress, run_demo
    from bodycomp.progress import stage_progress

    options = read_options(arguments, DemoOptions)
    bars = DemoProgress(
        lambda count: progress_bar("patients", count),
        training_progress,
        study_progress,
        lambda: stage_progress({"cases": "patients"}),
    )
    print_summary(*run_demo(options, bars))
    say(_where_to_look(options.folder))
    return 0


def _where_to_look(folder: Path) -> str:
    return (
        "\nlook next at\n"
        f"  {folder}/evaluation/report.html    found against true: open it in a browser\n"
        f"  {folder}/results/report.html       what an analysis gives, to look at and to review\n"
        f"  {folder}/results/results.csv       all measurements\n"
        f"  {folder}/models/*/curves.png       learning curves\n"
        f"  {folder}/models/*/examples.png     best and worst validation cases\n"
        "then measure a real CT\n"
        f"  bodycomp analyze path/to/dicom --models {folder}/models --out measured"
    )
