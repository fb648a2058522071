"""``bodycomp demo``: the whole road on synthetic patients."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Make a cohort of synthetic patients, train both networks on some of them, measure the others from
their DICOM files, and compare with the truth. Takes about 15 minutes on two cores, 6 GB of memory
at most, and 3 GB of disk. Everything lands in OUT; its index is OUT/README.txt."""


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
        default=(24, 6, 12),
        help="patients to train on, to choose the best epoch with, and to measure (24 6 12)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=None,
        help="time for both trainings together (default: what fits in 15 minutes altogether)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a folder with content")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; it prints its own summary."""
    from bodycomp.demo import DemoOptions, run_demo

    options = DemoOptions(
        folder=arguments.out,
        seed=arguments.seed,
        patients=tuple(arguments.patients),
        overwrite=arguments.overwrite,
        **({"training_minutes": arguments.minutes} if arguments.minutes else {}),
    )
    run_demo(options)
    return 0
