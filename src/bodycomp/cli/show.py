"""``bodycomp show``: a training set as a page that people look at."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Look at a training set before you train on it. The whole set is read and validated, then one HTML
page is written that opens without network: what was found, suspicious and random samples with
their outlines, and the distributions of tissue areas and densities, or of offsets, per split.

For slice selection it shows slices in the order of their offsets: reversed signs show at once.

The page holds pictures of patients: keep it where the training set may be kept."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of ``bodycomp``."""
    parser = subparsers.add_parser(
        "show",
        help="make a page of a training set to look at",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data_dir", metavar="DATA_DIR", type=Path, help="segmentation or slice-selection set")
    add(
        "--out",
        "-o",
        metavar="PAGE",
        type=Path,
        help="the page to write (default DATA_DIR-show.html, beside the set); replaced if there",
    )
    add("--random", type=int, default=36, metavar="N", help="random samples (default 36)")
    add("--suspicious", type=int, default=36, metavar="N", help="suspicious ones (default 36)")
    add("--seed", type=int, default=0, help="seed of the random samples (default 0)")
    add("--levels", "-L", nargs="+", metavar="LEVEL", help="levels (default: those annotated)")
    add("--thoracic", "-t", action="store_true", help="a set without visceral fat")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Validate the set, write the page and say where it is."""
    from rich.console import Console

    from bodycomp.cli.validate import validate_with_bar
    from bodycomp.report.training_set_page import PageOptions, counted, write_training_set_page
    from bodycomp.validation.validate import ValidationOptions

    data_dir: Path = arguments.data_dir
    levels = None if arguments.levels is None else tuple(arguments.levels)
    resolved = data_dir.resolve()
    out: Path = arguments.out or resolved.with_name(f"{resolved.name}-show.html")
    options = PageOptions(arguments.random, arguments.suspicious, arguments.seed, levels)
    checked = ValidationOptions(levels=levels, thoracic=arguments.thoracic)
    validation = validate_with_bar(data_dir, checked)
    write_training_set_page(out, validation, options)
    Console().print(
        f"{counted(validation.errors, 'error')}, {counted(validation.warnings, 'warning')}; "
        f"the page is {out}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return 0
