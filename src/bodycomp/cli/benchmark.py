"""``bodycomp benchmark``: from a published data set to a table of results, in one command."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass

from bodycomp.benchmark.options import Benchmark, SarosBenchmark, VerseBenchmark
from bodycomp.cli.option_parser import Command, CommandGroup
from bodycomp.cli.prepare_sources import quiet_searches
from bodycomp.cli.terminal import share_cores
from bodycomp.options import option

SAROS = """\
Make a table of how well a model trained on SAROS finds muscle and fat: prepare the set, train a
model in each of its five folds, and test the ensemble of them on its official test split.

DIR is as for 'bodycomp prepare saros'."""

VERSE = """\
Make a table of how well a model trained on VerSe finds the levels of vertebrae: prepare the set,
train on its training and validation splits, and test on its official test split, spines of an
unusual number (L6, T13, four lumbar vertebrae) apart.

DIR is as for 'bodycomp prepare verse'."""

AFTER = """\
OUT receives set/, models/ (of SAROS the five folds and their ensemble), evaluation/, and the
table: benchmark.md and benchmark.csv. What is there is taken as it is, so that the same command
resumes after any interruption."""


@dataclass(frozen=True)
class EstimateOptions:
    """Whether the training is only estimated."""

    dry_run: bool = option(
        False,
        "--dry-run --dry_run",
        group="the training",
        help="prepare the set, if it is not there yet, try a few steps, and estimate the time, "
        "memory and disk that the training would take; nothing but the set is written",
    )


def run(options: Benchmark, estimate: EstimateOptions) -> int:
    """Make the table, or estimate what that takes."""
    quiet_searches()
    share_cores()
    from bodycomp.cli.terminal import say
    from bodycomp.interface import runs

    is_told = logging.getLogger("bodycomp").isEnabledFor(logging.INFO)
    if estimate.dry_run:
        lines = runs.dry_run_benchmark(options, is_told)
        lines += ["with the test and the table:", f"  {options.command_line}"]
        sys.stdout.write("\n".join(lines) + "\n")
        return 0
    page = runs.run_benchmark(options, is_told)
    say(f"{page.read_text(encoding='utf-8')}\n{page}")
    return 0


COMMAND = CommandGroup(
    commands={
        "saros": (
            "segmentation on SAROS: five folds, official test",
            Command(
                options=(SarosBenchmark, EstimateOptions),
                run=run,
                description=SAROS,
                epilog=AFTER,
            ),
        ),
        "verse": (
            "levels of vertebrae on VerSe: official splits, unusual spines apart",
            Command(
                options=(VerseBenchmark, EstimateOptions),
                run=run,
                description=VERSE,
                epilog=AFTER,
            ),
        ),
    },
    title="data sets",
    metavar="DATA_SET",
)
