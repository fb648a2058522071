"""The table of a benchmark of levels: usual spines, and apart from them those of unusual number."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bodycomp.agreement.statistics import MEAN, MEDIAN
from bodycomp.benchmark.table import Number, interval_cells, said
from bodycomp.data.layout import offset_column, table_path
from bodycomp.data.manifest import read_manifest
from bodycomp.evaluation.document import SLICE_SELECTION_CSV, TEST_SPLIT
from bodycomp.evaluation.metrics import estimate, estimate_share, group_by, number
from bodycomp.evaluation.options import BootstrapOptions
from bodycomp.results import LevelStatus
from bodycomp.tables import Cell, markdown_table, write_table

ALL_LEVELS: Final = "all"
SPINES: Final = {False: "usual", True: "unusual number"}
WITHIN_MM: Final = 10.0

COLUMNS: Final = {
    "found": "found (95 % interval)",
    "within_10_mm": "within 10 mm (95 % interval)",
    "mean_absolute_error_mm": "mean distance, mm (95 % interval)",
    "median_absolute_error_mm": "median, mm",
    "false_findings": "false findings",
}
"""Number of a row -> its heading."""


@dataclass(frozen=True, slots=True)
class LevelTableRow:
    """How well a level was found in the spines of one kind.

    Attributes:
        present: Scans that hold the level.
        numbers: By the keys of ``COLUMNS``.
    """

    spine: str
    level: str
    present: int
    numbers: Mapping[str, Number]


BELOW_L4_MM: Final = 60.0
"""A scan that reaches farther below the middle of L4 holds L5, if there is one: its lower endplate
lies some 50 mm below."""


def unusual_patients(set_dir: Path) -> frozenset[str]:
    """Return the patients of the test split whose spine has an unusual number of vertebrae.

    They have L6 or T13 in any scan, L1 and T11 without T12, or no L5 though the scan reaches
    ``BELOW_L4_MM`` below L4, as the sacrum is not annotated in VerSe.
    """
    manifest = read_manifest(set_dir)
    if manifest is None:
        return frozenset()
    patients = manifest.of(TEST_SPLIT).texts("patient")
    with table_path(set_dir, TEST_SPLIT).open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        return frozenset(p for p, row in zip(patients, rows, strict=True) if is_unusual(row))


def is_unusual(row: Mapping[str, str]) -> bool:
    """Return whether a slice, with its offsets in mm, is of a spine of unusual number."""

    def offset(level: str) -> str:
        return row.get(offset_column(level)) or ""

    has_none_of_12 = offset("T11") and offset("L1") and not offset("T12")
    has_four = offset("L4") and not offset("L5") and float(offset("L4")) < -BELOW_L4_MM
    return bool(offset("L6") or offset("T13") or has_none_of_12 or has_four)


Rows = Sequence[Mapping[str, str]]


def level_rows(evaluation: Path, set_dir: Path, content: Mapping[str, Any]) -> list[LevelTableRow]:
    """Return the rows of an evaluation.

    Args:
        evaluation: Its folder.
        set_dir: The set.
        content: Of its ``evaluation.json``.
    """
    with (evaluation / SLICE_SELECTION_CSV).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return summed_up(rows, unusual_patients(set_dir), BootstrapOptions(**content["bootstrap"]))


def summed_up(
    rows: Rows, unusual: Collection[str], bootstrap: BootstrapOptions
) -> list[LevelTableRow]:
    """Return a row for all levels together and for each, of usual and of unusual spines.

    ``rows`` are those of ``slice_selection.csv``, ``unusual`` patients whose spine is.
    """
    by_spine = group_by(rows, lambda row: row["patient"] in unusual)
    found = []
    for spine in sorted(by_spine):
        by_level = group_by(by_spine[spine], lambda row: row["level"])
        for level, own in ((ALL_LEVELS, by_spine[spine]), *by_level.items()):
            present = [row for row in own if row["present"] == "yes"]
            absent = [row for row in own if row["present"] == "no"]
            if present or absent:
                numbers = _numbers(present, absent, bootstrap)
                found.append(LevelTableRow(SPINES[spine], level, len(present), numbers))
    return found


def _numbers(present: Rows, absent: Rows, bootstrap: BootstrapOptions) -> dict[str, Number]:
    found = [row for row in present if _is_found(row)]
    errors = [(abs(float(row["error_mm"])),) for row in found]
    of_found, of_present, of_absent = (
        [row["patient"] for row in rows] for rows in (found, present, absent)
    )
    near = [_is_found(row) and abs(float(row["error_mm"])) <= WITHIN_MM for row in present]
    mean, median = (estimate(s, errors, of_found, bootstrap) for s in (MEAN, MEDIAN))
    shares = {
        "found": estimate_share([_is_found(row) for row in present], of_present, bootstrap),
        "within_10_mm": estimate_share(near, of_present, bootstrap),
        "false_findings": estimate_share([_is_found(row) for row in absent], of_absent, bootstrap),
    }
    return {
        **{key: number(share, "1") for key, share in shares.items()},
        "mean_absolute_error_mm": number(mean, "mm"),
        "median_absolute_error_mm": number(median, "mm"),
    }


def _is_found(row: Mapping[str, str]) -> bool:
    return row["status"] == LevelStatus.FOUND.value


def write_level_rows(path: Path, rows: Sequence[LevelTableRow]) -> None:
    """Write the rows as CSV, with both ends of each interval."""
    table: list[dict[str, Cell]] = [
        {
            "spine": row.spine,
            "level": row.level,
            "present": row.present,
            **interval_cells({name: row.numbers[name] for name in COLUMNS}),
        }
        for row in rows
    ]
    write_table(path, list(table[0]), table)


def level_lines(rows: Sequence[LevelTableRow]) -> list[str]:
    """Return the lines of the table in Markdown."""
    heads = ("spines", "level", "scans", *COLUMNS.values())
    cells = (
        (
            row.spine,
            row.level,
            str(row.present),
            *(
                said(own, 1 if own["unit"] == "mm" else 2)
                for own in (row.numbers[n] for n in COLUMNS)
            ),
        )
        for row in rows
    )
    return markdown_table(heads, cells)
