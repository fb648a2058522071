"""The command line: parse, call one function, print. Exit codes are decided here alone.

0    done
1    the input or the work failed; the message says where and what to do
2    the command line itself cannot be used
70   a fault in bodycomp (EX_SOFTWARE of sysexits.h); --debug shows where
128+n  ended by signal n in good order: 130 Ctrl-C, 143 SIGTERM
"""

from __future__ import annotations

import argparse
import importlib
import logging
import signal
import sys
from collections.abc import Sequence

from bodycomp import __version__
from bodycomp.errors import BodycompError, RunInterruptedError, UsageError

log = logging.getLogger("bodycomp")

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_FAULT = 70
EXIT_SIGNAL_BASE = 128

COMMANDS = {
    "demo": "run everything on synthetic patients, in about 15 minutes",
    "phantom": "write synthetic patients to train and test on",
    "prepare": "make a training set from annotated scans",
    "validate": "find what is wrong with a training set",
    "show": "make a page of a training set to look at",
    "train": "train a network on your own scans",
    "import-keras": "take over a model of the earlier Keras implementation",
    "ensemble": "make one model of several, such as the folds of a training",
    "models": "list the models that ship with bodycomp",
    "card": "show what a model is for, how good it is and where it fails",
    "pull": "copy studies from an image archive into a folder to analyze",
    "analyze": "measure DICOM, NIfTI or NRRD with the default models or your own",
    "serve": "run a DICOM node: receive CT, measure it, send the results back",
    "report": "write the page of a run, to look at and to review",
    "compare": "compare scans of a person: what changed, and how surely",
    "redcap": "write the results of a run for REDCap, with the data dictionary",
    "review": "review results on their page, apply reviews, compare readers",
    "remeasure": "measure a series again with a corrected mask, or at another slice",
    "suggest": "choose the slices to annotate next, with outlines to start from",
    "measure": "measure a mask that you have, without models",
    "evaluate": "measure how good models are, on annotated scans or training sets",
    "benchmark": "train and test on a published data set, and write a table of the results",
    "reference": "list published reference values, or fit curves to your own group",
    "cache": "show or clear the cache of decoded slices",
}
"""Command -> what it does; its module has the same name and is imported when it is needed."""

DESCRIPTION = """\
Body composition from CT: train the two networks on your own scans, then measure muscle and fat.

One network finds the slice at a vertebral level (L3 unless you say otherwise), the other labels
muscle, subcutaneous fat and visceral fat on it. Not a medical device: for research only."""

EPILOG = """\
start here:
  bodycomp analyze SCANS --out DIR    measure scans with the default models
  bodycomp demo demo-output           everything on synthetic patients, about 15 minutes
  bodycomp prepare --help             make training sets of your own annotated scans
  bodycomp train --help               train on them
  bodycomp evaluate --help            measure how good models are
"""


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the whole command; imports nothing heavy.

    Args:
        command: The one to be run, whose options are then the only ones added; None for all.
    """
    parser = argparse.ArgumentParser(
        prog="bodycomp",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bodycomp {__version__}")
    parser.add_argument(
        "--debug",
        action="store_true",
        help="show tracebacks, of unexpected faults of single series and cases too; they may quote "
        "paths and values of the files",
    )
    parser.add_argument("--quiet", action="store_true", help="show warnings and errors only")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, about in COMMANDS.items():
        added = subparsers.add_parser(name, help=about, formatter_class=parser.formatter_class)
        if command in (name, None):
            module = importlib.import_module(f"bodycomp.cli.{name.replace('-', '_')}")
            module.COMMAND.add_to(added)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; argparse itself exits with 2 on bad options."""
    words = sys.argv[1:] if argv is None else argv
    command = next((word for word in words if not word.startswith("-")), "")
    arguments = build_parser(command).parse_args(words)
    _set_up_logging(quiet=arguments.quiet, debug=arguments.debug)
    try:
        return int(arguments.run(arguments))
    except Exception as error:
        if arguments.debug:
            raise
        return _report(error)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; nothing half-written was left\n")
        return EXIT_SIGNAL_BASE + signal.SIGINT


def _set_up_logging(*, quiet: bool, debug: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    if not debug:  # what libraries log may quote identifiers of patients
        handler.addFilter(logging.Filter(log.name))
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    level = logging.WARNING if quiet else logging.INFO
    log.setLevel(logging.DEBUG if debug else level)


def _report(error: Exception) -> int:
    """Print one error for people and return its exit code."""
    if isinstance(error, BodycompError):
        sys.stderr.write(f"error: {error}\n")
        if isinstance(error, RunInterruptedError):
            return EXIT_SIGNAL_BASE + error.signal_number
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        sys.stderr.write(f"error: {error.strerror or error}{where}\n")
        return EXIT_FAILED
    sys.stderr.write(
        f"error: bodycomp failed in a way that it should not: {type(error).__name__}: {error}\n"
        "Run the same command as 'bodycomp --debug ...' and report what it prints.\n"
    )
    return EXIT_FAULT
