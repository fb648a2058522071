"""The page of a benchmark: its table, what was measured on what, and what others published."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Final

from bodycomp import __version__
from bodycomp.benchmark.options import SAROS_FOLDS, SarosBenchmark
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


def write_page(options: SarosBenchmark) -> None:
    """Write ``benchmark.md`` and ``benchmark.csv`` of a finished evaluation."""
    content = _read(options.evaluation_dir / EVALUATION_NAME)
    rows = tissue_rows(options.evaluation_dir, content)
    write_rows(options.out / TABLE_NAME, rows, ON_SAROS)
    lines = [
        "# Body composition on SAROS",
        "",
        *row_lines(rows, ON_SAROS),
        "",
        NOTES,
        _published(ON_SAROS),
        "",
        "## What was measured",
        "",
        *(f"- {fact}" for fact in _facts(options, content)),
        "",
        NOTICE,
    ]
    with atomic_file(options.out / PAGE_NAME) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _facts(options: SarosBenchmark, content: dict[str, Any]) -> list[str]:
    prepared = _read(options.set_dir / PREPARED_NAME)
    patients, slices = prepared["patients"], prepared["slices"]
    training, digest = options.training(), content["models"]["segmentation"]
    minutes = "" if options.max_minutes is None else f", {options.max_minutes:g} minutes in all"
    how = f"{training.arch}, at most {options.epochs} epochs of each{minutes}"
    people, samples = (counts["train"] + counts["val"] for counts in (patients, slices))
    test = f"the official test split, {_test_cases(options.set_dir)}"
    facts = [
        f"Data: {source_words(options.set_dir)}",
        f"Training: {people} patients, {samples} slices, the {SAROS_FOLDS} folds of SAROS; {how}.",
        f"Test: {test}; no fold learnt from it.",
        f"Model: the ensemble of all folds, `{digest}`, tested with bodycomp {__version__}.",
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
