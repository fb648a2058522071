"""The table of a segmentation benchmark, by patient and by slice, as CSV and as a page."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bodycomp.agreement.masks import ALL_TISSUES
from bodycomp.agreement.statistics import MEAN, MEDIAN
from bodycomp.benchmark.published import PublishedResult
from bodycomp.evaluation.document import SEGMENTATION_CSV
from bodycomp.evaluation.metrics import estimate, group_by, number
from bodycomp.evaluation.options import BootstrapOptions
from bodycomp.tables import Cell, markdown_table, write_table

Number = Mapping[str, Any]
"""A number with its interval, as ``evaluation.json`` has it."""

COLUMNS: Final = {
    "dice": "Dice by patient, mean (95 % interval)",
    "dice_median": "median",
    "dice_slices": "Dice by slice, mean (95 % interval)",
    "hausdorff95_mm": "95th percentile of surface distance by slice, mm",
}
"""Number of a row -> its heading."""


@dataclass(frozen=True, slots=True)
class TissueRow:
    """How well a tissue was found in the patients of a test split.

    Attributes:
        numbers: By the keys of ``COLUMNS``.
    """

    tissue: str
    patients: int
    slices: int
    numbers: Mapping[str, Number]


def tissue_rows(evaluation: Path, content: Mapping[str, Any]) -> list[TissueRow]:
    """Return a row for each tissue of an evaluation.

    Args:
        evaluation: Its folder.
        content: Of its ``evaluation.json``.
    """
    bootstrap = BootstrapOptions(**content["bootstrap"])
    with (evaluation / SEGMENTATION_CSV).open(encoding="utf-8", newline="") as stream:
        by_tissue = group_by(csv.DictReader(stream), lambda row: row["tissue"])
    rows = []
    for tissue, slices in by_tissue.items():
        if tissue == ALL_TISSUES:
            continue
        metrics = content["segmentation"]["tissues"][tissue]["metrics"]
        dice = dice_of_patients(slices)
        values = [(value,) for value in dice.values()]
        mean, median = (estimate(s, values, list(dice), bootstrap) for s in (MEAN, MEDIAN))
        numbers = {
            "dice": number(mean, "1"),
            "dice_median": number(median, "1"),
            "dice_slices": metrics["mean_dice"],
            "hausdorff95_mm": metrics["mean_hausdorff95_mm"],
        }
        rows.append(TissueRow(tissue, len(dice), metrics["mean_dice"]["n"], numbers))
    return rows


def dice_of_patients(slices: Iterable[Mapping[str, str]]) -> dict[str, float]:
    """Return patient -> Dice of all of the patient's slices together, as of a volume.

    Args:
        slices: Rows of ``segmentation.csv`` of one tissue. Dice of a slice is twice the common area
            by the sum of both areas, from which the common area follows. Slices whose true area is
            not known, as a part of them was not annotated, have no part in it; patients in whom
            neither mask has the tissue are left out.
    """
    common: dict[str, float] = {}
    sums: dict[str, float] = {}
    for row in slices:
        patient = row["patient"]
        if not (row["dice"] and row["true_area_cm2"] and row["area_cm2"]):
            continue
        both = float(row["area_cm2"]) + float(row["true_area_cm2"])
        common[patient] = common.get(patient, 0.0) + float(row["dice"]) * both
        sums[patient] = sums.get(patient, 0.0) + both
    return {patient: common[patient] / both for patient, both in sums.items() if both}


def write_rows(path: Path, rows: Sequence[TissueRow], published: PublishedResult) -> None:
    """Write the rows as CSV, with both ends of each interval."""
    table: list[dict[str, Cell]] = [
        {
            "tissue": row.tissue,
            "patients": row.patients,
            "slices": row.slices,
            **interval_cells({name: row.numbers[name] for name in COLUMNS}),
            "published_dice": published.dice,
            "published_doi": published.doi,
        }
        for row in rows
    ]
    write_table(path, list(table[0]), table)


def row_lines(rows: Sequence[TissueRow], published: PublishedResult) -> list[str]:
    """Return the lines of the table in Markdown."""
    heads = ("tissue", *COLUMNS.values(), "patients", "slices", f"published: {published.group}")
    cells = (
        (
            row.tissue.replace("_", " "),
            *(said(row.numbers[name], 1 if name.endswith("mm") else 3) for name in COLUMNS),
            str(row.patients),
            str(row.slices),
            f"{published.dice} (other test)",
        )
        for row in rows
    )
    return markdown_table(heads, cells)


def interval_cells(numbers: Mapping[str, Number]) -> dict[str, Cell]:
    """Return cells of a CSV table: each number and both ends of its interval."""
    return {
        f"{name}{suffix}": found[end]
        for name, found in numbers.items()
        for suffix, end in (("", "value"), ("_low", "low"), ("_high", "high"))
    }


def said(found: Number, digits: int) -> str:
    """Return a number with its interval where it has one, a dash for none.

    >>> said({"value": 0.9123, "low": 0.9, "high": 0.92}, 3)
    '0.912 (0.900 to 0.920)'
    """
    if found["value"] is None:
        return "-"
    ends = [found["low"], found["high"]]
    interval = "" if None in ends else " ({} to {})".format(*(f"{e:.{digits}f}" for e in ends))
    return f"{found['value']:.{digits}f}{interval}"
