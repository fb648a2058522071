"""The page of a benchmark: its table, what was measured on what, and what others published."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Final

from bodycomp import __version__
from bodycomp.benchmark.level_table import level_lines, level_rows, write_level_rows
from bodycomp.benchmark.options import SAROS_FOLDS, Benchmark, SarosBenchmark
from bodycomp.benchmark.published import ON_SAROS, PublishedResult
from bodycomp.benchmark.table import row_lines, tissue_rows, write_rows
from bodycomp.evaluation.document import EVALUATION_NAME, NOTICE, TEST_SPLIT
from bodycomp.preparation.data_card import TABLE_NAME as CASES_NAME
from bodycomp.preparation.refusals import REFUSED_NAME
from bodycomp.preparation.source_record import PREPARED_NAME, source_words
from bodycomp.storage import atomic_file

PAGE_NAME: Final = "benchmark.md"
TABLE_NAME: Final = "benchmark.csv"

NOTES: Final = """\
- Dice by patient is that of all annotated slices of a patient together, as of a volume; mean and
  median are over patients. Slices of which a part was not annotated have no part in it.
- Dice and surface distance by slice are means over slices. A slice on which neither mask has a
  tissue has no Dice of it, and one on which one mask lacks it has no distance.
- Intervals are 95 % bootstrap intervals over patients; fewer than ten patients have none.\
"""


LEVEL_NOTES: Final = """\
- Errors are distances along the body between the slice that was found and the mid-height of the
  vertebral body, of levels that were found; shares are of the levels that lie in a scan.
- A level found in a scan that is known not to hold it is a false finding.
- Spines of an unusual number are those of patients with L6 or T13, without T12 between T11 and L1,
  or with four lumbar vertebrae: no L5, though the scan reaches 60 mm below the middle of L4.
- Intervals are 95 % intervals over patients (of shares by Wilson where each patient has one scan);
  means over fewer than ten patients have none.
- No result of others stands beside the table: what was published on VerSe counts vertebrae found
  within 20 mm of their centroids in three dimensions, which is not what is measured here.\
"""


def write_page(options: Benchmark) -> None:
    """Write ``benchmark.md`` and ``benchmark.csv`` of a finished evaluation."""
    content = _read(options.evaluation_dir / EVALUATION_NAME)
    if isinstance(options, SarosBenchmark):
        rows = tissue_rows(options.evaluation_dir, content)
        write_rows(options.out / TABLE_NAME, rows, ON_SAROS)
        title, lines = "Body composition on SAROS", row_lines(rows, ON_SAROS)
        lines = [*lines, "", NOTES, _published(ON_SAROS)]
    else:
        levels = level_rows(options.evaluation_dir, options.set_dir, content)
        write_level_rows(options.out / TABLE_NAME, levels)
        title, lines = "Vertebral levels on VerSe", [*level_lines(levels), "", LEVEL_NOTES]
    lines = [
        f"# {title}",
        "",
        *lines,
        "",
        "## What was measured",
        "",
        *(f"- {fact}" for fact in _facts(options, content)),
        "",
        NOTICE,
    ]
    with atomic_file(options.out / PAGE_NAME) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _facts(options: Benchmark, content: dict[str, Any]) -> list[str]:
    prepared = _read(options.set_dir / PREPARED_NAME)
    patients, slices = prepared["patients"], prepared["slices"]
    training, digest = options.training(), content["models"][options.stage]
    minutes = "" if options.max_minutes is None else f", {options.max_minutes:g} minutes in all"
    is_saros = isinstance(options, SarosBenchmark)
    folds = f"the {SAROS_FOLDS} folds of SAROS; " if is_saros else ""
    model = f"{'the ensemble of all folds, ' * is_saros}`{digest}`"
    how = f"{folds}{training.arch}, at most {options.epochs} epochs{' of each' * is_saros}{minutes}"
    people, samples = (counts["train"] + counts["val"] for counts in (patients, slices))
    test = f"the official test split, {_test_cases(options.set_dir)}"
    facts = [
        f"Data: {source_words(options.set_dir)}",
        f"Training: {people} patients, {samples} slices, {how}.",
        f"Test: {test}; {'no fold learnt' if is_saros else 'the model learnt nothing'} from it.",
        f"Model: {model}, tested with bodycomp {__version__}.",
    ]
    if refused := prepared["refused_cases"]:
        cases = "1 case was" if refused == 1 else f"{refused} cases were"
        facts.append(f"**INCOMPLETE**: {cases} refused and in no number (set/{REFUSED_NAME}).")
    return [*facts, *content["warnings"]]


def _published(result: PublishedResult) -> str:
    """Say what others published, of which it is, and where it stands."""
    return (
        f"- **Published by others** ({result.group}): Dice {result.dice}. {result.source} "
        f"([doi {result.doi}](https://doi.org/{result.doi})). It is of {result.test}."
    )


def _test_cases(set_dir: Path) -> str:
    """Say how many cases of the official test are in the set, and of how many."""
    with (set_dir / CASES_NAME).open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["source_split"] == TEST_SPLIT]
    used = sum(not row["left_out"] for row in rows)
    missing = "" if used == len(rows) else f" (set/{CASES_NAME} says why not all)"
    return f"{used} of its {len(rows)} cases{missing}"


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
