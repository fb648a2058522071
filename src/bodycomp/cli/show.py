"""``bodycomp show``: a training set as a page that people look at."""

from __future__ import annotations

import argparse
from pathlib import Path

from bodycomp.cli.option_parser import add_options, read_options
from bodycomp.report.page_options import PageOptions
from bodycomp.validation.options import ValidationOptions

DESCRIPTION = """\
Look at a training set before you train on it. The whole set is read and validated, then one HTML
page is written that opens without network: what was found, suspicious and random samples with
their outlines, and the distributions of tissue areas and mean HU, or of offsets, per split.

For slice selection it shows slices in the order of their offsets: reversed signs show at once.

The page holds pictures of patients: keep it where the training set may be kept."""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Make the parser of this command."""
    parser.description = DESCRIPTION
    parser.add_argument("data_dir", metavar="DATA_DIR", type=Path, help="the training set")
    parser.add_argument(
        "--out",
        "-o",
        metavar="PAGE",
        type=Path,
        help="the page to write (default DATA_DIR-show.html, beside the set); replaced if there",
    )
    add_options(parser, PageOptions)
    add_options(parser, ValidationOptions)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Validate the set, write the page and say where it is."""
    from bodycomp.cli.terminal import say
    from bodycomp.interface.runs import run_validation
    from bodycomp.report.training_set_page import counted, write_training_set_page

    checked = read_options(arguments, ValidationOptions)
    options = read_options(arguments, PageOptions, levels=checked.levels)
    data_dir = arguments.data_dir.resolve()
    out = arguments.out or data_dir.with_name(f"{data_dir.name}-show.html")
    validation = run_validation(arguments.data_dir, checked, progress=True)
    write_training_set_page(out, validation, options)
    say(
        f"{counted(validation.errors, 'error')}, {counted(validation.warnings, 'warning')}; "
        f"the page is {out}"
    )
    return 0
