"""The tables beside ``evaluation.json``: one row per case, nothing summarised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from bodycomp.evaluation.case_run import CaseOutcome, CaseOutcomes
from bodycomp.evaluation.level_rows import LevelRow
from bodycomp.evaluation.outline_rows import QUANTITIES, OutlineRow
from bodycomp.evaluation.tissue_rows import TissueRow
from bodycomp.report.result_rows import Cell
from bodycomp.report.tables import open_table
from bodycomp.results import Measurement

SEGMENTATION_CSV: Final = "segmentation.csv"
SLICE_SELECTION_CSV: Final = "slice_selection.csv"
END_TO_END_CSV: Final = "end_to_end.csv"
CASES_CSV: Final = "cases.csv"

ROLES: Final = ("models", "against")
"""How tables and comparisons name the two pairs of models."""

Row = TypeVar("Row")
Cells = Mapping[str, Cell]


def outline_cells(row: OutlineRow) -> Cells:
    """Return a row of ``segmentation.csv``."""
    return {
        "source": row.source,
        "index": row.index,
        "patient": row.patient,
        "tissue": row.tissue,
        **{name: getattr(row.agreement, name).value for name in QUANTITIES},
    }


def level_cells(row: LevelRow) -> Cells:
    """Return a row of ``slice_selection.csv``."""
    return {
        "case": row.case,
        "patient": row.patient,
        "level": row.level,
        "present": {True: "yes", False: "no", None: ""}[row.is_present],
        "status": row.status.value,
        "error_mm": row.error_mm,
        "confidence": row.confidence,
        "z_mm": row.z_mm,
        "true_z_mm": row.true_z_mm,
        "reason": row.reason,
    }


def tissue_cells(row: TissueRow) -> Cells:
    """Return a row of ``end_to_end.csv``."""
    sides: Mapping[str, Measurement | None] = {
        "true": row.true,
        "outlined": row.outlined,
        "measured": row.measured,
    }
    return {
        "case": row.case,
        "patient": row.patient,
        "level": row.level,
        "tissue": row.tissue,
        **{f"{name}_area_cm2": None if m is None else m.area_cm2 for name, m in sides.items()},
        "outline_error_cm2": row.outline_error_cm2,
        "slice_error_cm2": row.slice_error_cm2,
        "total_error_cm2": row.total_error_cm2,
        **{f"{name}_mean_hu": None if m is None else m.mean_hu for name, m in sides.items()},
        "dice": row.outline.dice.value,
        "hausdorff95_mm": row.outline.hausdorff95_mm.value,
        "surface_distance_mm": row.outline.surface_distance_mm.value,
    }


def case_cells(case: CaseOutcome, groups: Mapping[str, str]) -> Cells:
    """Return a row of ``cases.csv``: where a case stands in the user's table, and its subgroups."""
    return {
        "case": case.names.case,
        "patient": case.names.patient,
        "where": case.where,
        **{f"group_{column}": group for column, group in groups.items()},
        "levels_without_mask": " ".join(case.undrawn),
        "notes": "; ".join(case.notes),
    }


def write_rows(path: Path, models: Sequence[Iterable[Row]], cells: Callable[[Row], Cells]) -> None:
    """Write the rows of one or two pairs of models; nothing if there are none."""
    write_cells(path, [[cells(row) for row in rows] for rows in models])


def write_cells(path: Path, models: Sequence[Sequence[Cells]]) -> None:
    """Write cells of one or two pairs of models, whose role is the first column."""
    rows = [
        {"models": role, **row} for role, own in zip(ROLES, models, strict=False) for row in own
    ]
    if not rows:
        return
    with open_table(path, list(rows[0])) as table:
        for row in rows:
            table.append(row)


def write_case_table(
    path: Path, outcomes: CaseOutcomes, groups: Sequence[Mapping[str, str]]
) -> None:
    """Write ``cases.csv``."""
    rows = [case_cells(case, own) for case, own in zip(outcomes.cases, groups, strict=True)]
    with open_table(path, list(rows[0])) as table:
        for row in rows:
            table.append(row)
