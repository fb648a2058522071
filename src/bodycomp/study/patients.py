"""Heights, weights, sexes and ages from a table of the user's, for files that do not give them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bodycomp.errors import UsageError
from bodycomp.subject import AGE_YEARS, HEIGHT_M, SEXES, WEIGHT_KG, Subject
from bodycomp.user_table import read_user_table

KEY_COLUMNS: Final = ("study_uid", "study", "patient_id")
"""Columns that say whose a row is, the most particular first; ``study`` is the pseudonym."""

_HEIGHTS: Final = {"height_m": 1.0, "height_cm": 0.01}
_OTHERS: Final = ("weight_kg", "sex", "age_years")
_COLUMNS: Final = (
    "Give patient_id, study_uid or study (the name in results.csv), height_m or height_cm, and "
    "weight_kg, sex (F or M) and age_years where they are known."
)


@dataclass(frozen=True, slots=True)
class PatientTable:
    """Subjects by (column, value) that identify them."""

    rows: Mapping[tuple[str, str], Subject] = field(default_factory=dict, repr=False)

    def only(self, keys: Iterable[Mapping[str, str]]) -> PatientTable:
        """Return the part of the table that says anything of series known by these keys."""
        asked = {(column, known.get(column, "")) for known in keys for column in KEY_COLUMNS}
        return PatientTable({key: self.rows[key] for key in asked if key in self.rows})

    def complete(self, keys: Mapping[str, str], subject: Subject) -> Subject:
        """Return a subject with what the table says in place of what the files say.

        ``keys`` are the values of ``KEY_COLUMNS`` by which the series is known.
        """
        for column in KEY_COLUMNS:
            found = self.rows.get((column, keys.get(column, "")))
            if found is not None:
                has_height = found.height_m is not None
                return Subject(
                    height_m=found.height_m if has_height else subject.height_m,
                    weight_kg=subject.weight_kg if found.weight_kg is None else found.weight_kg,
                    sex=found.sex or subject.sex,
                    height_note="" if has_height else subject.height_note,
                    age_years=subject.age_years if found.age_years is None else found.age_years,
                )
        return subject


def read_patients(path: Path) -> PatientTable:
    """Read a table of patients as CSV with commas, semicolons or tabs.

    Raises:
        InputNotFoundError: The file is not there.
        UsageError: Columns are missing, or a cell cannot be right; the message names line and
            column, not the patient.
    """
    table = read_user_table(path, "patients", UsageError)
    columns = [name.casefold() for name in table.columns]
    keys = [name for name in KEY_COLUMNS if name in columns]
    if not keys or not any(name in columns for name in (*_HEIGHTS, *_OTHERS)):
        found = ", ".join(columns) or "none"
        raise UsageError(f"{path.name}: expected columns of patients, found {found}", hint=_COLUMNS)
    rows: dict[tuple[str, str], Subject] = {}
    for row in table.rows:
        at = f"{path.name} line {row.line}"
        cells = {name.casefold(): cell for name, cell in row.cells.items()}
        subject = _subject(cells, at)
        for key in ((name, cells[name]) for name in keys if cells[name]):
            if rows.setdefault(key, subject) != subject:
                raise UsageError(
                    f"{at}: expected one row for each {key[0]}, found another one that differs",
                    hint="Heights and ages that change need a row per study_uid or study.",
                )
    return PatientTable(rows)


def _subject(cells: Mapping[str, str], at: str) -> Subject:
    height_m = None
    for column, meters in _HEIGHTS.items():
        limits = (HEIGHT_M[0] / meters, HEIGHT_M[1] / meters)
        number = _number(cells, column, limits, at)
        height_m = height_m if number is None else number * meters
    sex = cells.get("sex", "").upper()[:1]
    if cells.get("sex") and sex not in (*SEXES, "O"):
        raise UsageError(f"{at}, column sex: expected F or M, found {cells['sex']!r}")
    return Subject(
        height_m=height_m,
        weight_kg=_number(cells, "weight_kg", WEIGHT_KG, at),
        sex=sex if sex in SEXES else "",
        height_note="" if height_m is not None else Subject().height_note,
        age_years=_number(cells, "age_years", AGE_YEARS, at),
    )


def _number(
    cells: Mapping[str, str], column: str, limits: tuple[float, float], at: str
) -> float | None:
    cell = cells.get(column, "")
    if not cell:
        return None
    try:
        number = float(cell.replace(",", "."))
    except ValueError:
        number = math.nan
    if not limits[0] <= number <= limits[1]:
        raise UsageError(
            f"{at}, column {column}: expected {limits[0]:g}..{limits[1]:g}, found {cell!r}"
        )
    return number
