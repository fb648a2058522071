"""``bodycomp validate``: everything that is wrong or looks wrong with a training set."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bodycomp.cli.option_parser import Command
from bodycomp.cli.terminal import counted
from bodycomp.interface.options import ValidateOptions
from bodycomp.options import option

if TYPE_CHECKING:
    from rich.console import Console

    from bodycomp.data.issues import Issue
    from bodycomp.validation.validate import Validation

DESCRIPTION = """\
Read a training set once and list everything that is wrong or looks wrong with it.

DATA_DIR is a segmentation training set (train_images.npy, train_masks.npy, ...) or one for slice
selection (images/ and meta/); its files show which of the two. Errors keep it from being
trained on, warnings deserve a look. Beyond what training itself checks: duplicates and
near-duplicates, patients in two splits, flips, table or arms labelled as tissue, HU and areas that
no tissue has, offsets that contradict each other or anatomy. Every rule, and what it cannot see:
docs/validation.md.

Exit code 0 without errors, 1 with errors (with --strict also with warnings)."""

STYLES = {"error": "bold red", "warning": "bold yellow"}


@dataclass(frozen=True)
class OutcomeOptions:
    """Where the issues go, and what warnings count for."""

    json: str = option(
        "", "--json", metavar="FILE", help="also write all issues as JSON; - for standard output"
    )
    strict: bool = option(False, "--strict", help="exit code 1 also with warnings")


def run(options: ValidateOptions, outcome: OutcomeOptions) -> int:
    """Validate, print, and return 1 if there are errors, or warnings with ``--strict``."""
    from rich.console import Console

    from bodycomp.cli import EXIT_FAILED
    from bodycomp.interface.sets import validate
    from bodycomp.json_file import json_text, write_json

    validation = validate.run(options, progress=True)
    to_standard_output = outcome.json == "-"
    if to_standard_output:
        sys.stdout.write(json_text(validation.to_dict()))
    elif outcome.json:
        write_json(Path(outcome.json), validation.to_dict())
    console = Console(stderr=to_standard_output, highlight=False)
    _print(console, validation)
    failed = validation.errors or (outcome.strict and validation.warnings)
    return EXIT_FAILED if failed else 0


def _print(console: Console, validation: Validation) -> None:
    """Print the issues by rule, errors first, and a line that counts them."""
    from bodycomp.data.issues import shortened

    groups: dict[tuple[str, str], list[Issue]] = {}
    for issue in shortened(validation.issues):
        groups.setdefault((issue.severity, issue.code), []).append(issue)
    for severity, code in sorted(groups):
        _print_rule(console, groups[severity, code])
    samples = ", ".join(f"{len(facts)} {split}" for split, facts in validation.facts.items())
    console.print(
        f"{validation.kind} training set {validation.data_dir} ({samples or 'nothing readable'}): "
        f"{counted(validation.errors, 'error')}, {counted(validation.warnings, 'warning')}",
        markup=False,
        soft_wrap=True,
    )


def _print_rule(console: Console, issues: list[Issue]) -> None:
    """Print one rule: its name, where it is broken and how, and what to do, each thing once."""
    from rich.table import Table
    from rich.text import Text

    severity, code = issues[0].severity, issues[0].code
    console.print(Text.assemble((severity, STYLES[severity]), "  ", (code, "bold")))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(max_width=48)
    table.add_column()
    for issue in issues:
        table.add_row(Text(f"  {issue.where}"), Text(issue.message))
    console.print(table)
    for hint in dict.fromkeys(issue.hint for issue in issues if issue.hint):
        console.print(Text(f"  -> {hint}", style="italic"))
    console.print()


COMMAND = Command(options=(ValidateOptions, OutcomeOptions), run=run, description=DESCRIPTION)
