"""``bodycomp demo``: the whole road on synthetic patients."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Make a cohort of synthetic patients, train both networks on some of them, measure the others from
their DICOM files, and compare with the truth. Takes about 15 minutes on two cores, 6 GB of memory
at most, and 6 GB of disk. Everything lands in OUT; the summary says where to look."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of ``bodycomp``."""
    parser = subparsers.add_parser(
        "demo",
        help="the whole road on synthetic patients, in about 15 minutes",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    parser.add_argument("--seed", type=int, default=0, help="seed of cohort and trainings")
    parser.add_argument(
        "--patients",
        type=int,
        nargs=3,
        metavar=("TRAIN", "VAL", "TEST"),
        default=(36, 6, 12),
        help="patients to train on, to choose the best epoch with, and to measure (36 6 12)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=None,
        help="time for the trainings, side by side (default: what fits in 15 minutes altogether)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a folder with content")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and print how well the results agree with the truth."""
    from rich.console import Console

    from bodycomp.cli.evaluate_summary import print_summary
    from bodycomp.cli.progress import (
        progress_bar,
        stage_progress,
        study_progress,
        training_progress,
    )
    from bodycomp.demo import DemoOptions, run_demo
    from bodycomp.demo.run import DemoProgress

    options = DemoOptions(
        folder=arguments.out,
        seed=arguments.seed,
        patients=tuple(arguments.patients),
        training_minutes=arguments.minutes,
        overwrite=arguments.overwrite,
    )
    bars = DemoProgress(
        lambda count: progress_bar("patients", count),
        training_progress,
        study_progress,
        lambda: stage_progress({"cases": "patients"}),
    )
    print_summary(*run_demo(options, bars))
    Console().print(_where_to_look(options.folder), highlight=False, markup=False, soft_wrap=True)
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
