"""The scans of each person, in order of time, from the tables of one or more runs."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from bodycomp.comparison.alike import PHASE, phase_of
from bodycomp.comparison.options import CompareOptions
from bodycomp.errors import InputNotFoundError, UsageError
from bodycomp.report.case_view import case_name
from bodycomp.report.result_rows import CORRECTED, cell_from
from bodycomp.study.options import RESULTS_NAME
from bodycomp.study.out_folder import CORRECTED_NAME, REVIEWED_NAME
from bodycomp.study.run_manifest import MANIFEST_NAME, NO_RUN_HINT, read_run_manifest
from bodycomp.study.series_table import SERIES_NAME
from bodycomp.tables import Cell
from bodycomp.user_table import read_user_table

_KEYS: Final = ("study", "series")
_PSEUDONYM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_SCANS_HINT: Final = (
    "Give a table with the columns study, patient and date (2024-05-31) or day (a number) with "
    "--scans."
)


@dataclass(frozen=True, eq=False)
class PersonScan:
    """One series of a person.

    Attributes:
        run: Folder that it is from.
        study, series, patient: Pseudonyms.
        day: On a calendar whose differences are true; None if it is not known.
        rows: Level -> its row of the results as it counts: corrected, or rejected, by people.
    """

    run: Path = field(repr=False)
    study: str
    series: str
    patient: str
    day: float | None
    rows: Mapping[str, Mapping[str, Cell]] = field(repr=False)

    @property
    def folder(self) -> Path:
        """Where its results lie."""
        return self.run / self.study / self.series

    def case(self, level: str) -> Path | None:
        """Return the file with the pictures of a level, None without one."""
        folder = self.folder
        if self.rows[level].get(CORRECTED):
            folder = folder / CORRECTED_NAME / level
        path = folder / case_name(level)
        return path if path.is_file() else None


@dataclass(frozen=True, eq=False)
class FoundPeople:
    """People with at least two scans, and why others are not compared.

    Attributes:
        people: Pseudonym -> scans, the first one first.
        notes: What was left out, in words that name nobody.
    """

    people: Mapping[str, tuple[PersonScan, ...]]
    notes: tuple[str, ...] = ()


def find_people(options: CompareOptions) -> FoundPeople:
    """Return who was scanned at least twice in the runs.

    Raises:
        InputNotFoundError: A run, a table, or a person that was asked for is not there.
        UsageError: The runs have different pseudonym keys, or the table cannot be used.
    """
    told = _told(options.scans) if options.scans else {}
    _check_keys(options.runs, told)
    notes: list[str] = []
    by_person: dict[str, list[PersonScan]] = {}
    unknown = 0
    for scan in _scans(options, told, notes):
        if scan.patient:
            by_person.setdefault(scan.patient, []).append(scan)
        else:
            unknown += 1
    if unknown:
        notes.append(f"{unknown} series left out: nothing says whose they are. {_SCANS_HINT}")
    if missing := [each for each in options.patient if each not in by_person]:
        raise InputNotFoundError(
            f"expected the scans of {', '.join(missing)}, found others ({len(by_person)})",
            hint="Pseudonyms stand in the column 'patient' of series.csv. " + _SCANS_HINT,
        )
    people = {}
    for patient in sorted(options.patient or by_person):
        scans = tuple(by_person[patient])
        if len(scans) > 1:
            known = [scan for scan in scans if scan.day is not None]
            unordered = [scan for scan in scans if scan.day is None]
            if unordered:
                notes.append(
                    f"{patient}: {len(unordered)} scans without a date left out. {_SCANS_HINT}"
                )
            scans = tuple(sorted(known, key=lambda scan: scan.day or 0.0))
        if len(scans) > 1:
            people[patient] = scans
        elif options.patient:
            notes.append(f"{patient}: expected at least two scans to compare, found {len(scans)}")
    return FoundPeople(people, tuple(notes))


def _scans(
    options: CompareOptions, told: Mapping[str, tuple[str, float]], notes: list[str]
) -> Iterator[PersonScan]:
    """Yield the scans of all runs; of a study with several series the first, or the one named."""
    seen: set[str] = set()
    for run in options.runs:
        known = {(row["study"], row["series"]): row for row in _table(run / SERIES_NAME)}
        rows: dict[tuple[str, str], dict[str, dict[str, Cell]]] = {}
        for row in in_effect(run):
            study, series = (str(row[name]) for name in _KEYS)
            rows.setdefault((study, series), {})[str(row["level"])] = row
        named = {study for study, series in rows if series in options.series}
        for (study, series), levels in rows.items():
            if study in named and series not in options.series:
                continue
            if study in seen:
                notes.append(
                    f"{study}: {series} of {run.name} left out, the study is there already"
                )
                continue
            seen.add(study)
            header = known.get((study, series), {})
            patient, day = told.get(study, (header.get("patient", ""), header.get("study_day")))
            for cells in levels.values():
                cells[PHASE] = phase_of(cells, header.get(PHASE, ""))
            yield PersonScan(run, study, series, patient, float(day) if day else None, levels)


def in_effect(run: Path) -> list[dict[str, Cell]]:
    """Return the rows of a run as they count, with what people rejected and corrected.

    Raises:
        InputNotFoundError: It has no results.
    """
    if not (run / RESULTS_NAME).is_file():
        raise InputNotFoundError(f"expected {RESULTS_NAME} in {run}, found none", hint=NO_RUN_HINT)
    rows = {_case(row): row for row in _table(run / RESULTS_NAME)}
    if (run / REVIEWED_NAME).is_file():
        rows |= {_case(row): row for row in _table(run / REVIEWED_NAME) if _case(row) in rows}
    return [{name: cell_from(name, text) for name, text in row.items()} for row in rows.values()]


def _case(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(row.get(name, "") for name in (*_KEYS, "level"))


def _table(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [{n: text or "" for n, text in row.items() if n} for row in csv.DictReader(file)]


def _check_keys(runs: Sequence[Path], told: Mapping[str, Any]) -> None:
    """Check that pseudonyms of several runs mean the same people."""
    settings = [read_run_manifest(run / MANIFEST_NAME)["settings"] for run in runs]
    keys = {str(each.get("pseudonym_key", "")) for each in settings}
    if len(keys) > 1 and not told:
        raise UsageError(
            f"expected runs with one pseudonym key, found {len(keys)}: nobody can tell who is who",
            hint="Measure with --pseudonym-key, or say whose the studies are. " + _SCANS_HINT,
        )


def _told(path: Path) -> dict[str, tuple[str, float]]:
    """Return study -> person and day, as a table of the user's has it."""
    table = read_user_table(path, "scans", UsageError)
    if not {"study", "patient"} <= set(table.columns) or not {"date", "day"} & set(table.columns):
        found = ", ".join(table.columns) or "none"
        raise UsageError(f"{path.name}: expected columns of scans, found {found}", hint=_SCANS_HINT)
    said: dict[str, tuple[str, float]] = {}
    for row in table.rows:
        at = f"{path.name} line {row.line}"
        study, patient = row.cells["study"], row.cells["patient"]
        if not (study and _PSEUDONYM.fullmatch(patient)):
            raise UsageError(
                f"{at}: expected a study, and a patient of letters, digits, '-' and '_'",
                hint="Pages are named after patients: give them pseudonyms.",
            )
        value = (patient, _day(row.cells, at))
        if said.setdefault(study, value) != value:
            raise UsageError(f"{at}: expected one row for each study, found another that differs")
    return said


def _day(cells: Mapping[str, str], at: str) -> float:
    text = cells.get("day", "").replace(",", ".")
    try:
        return float(text) if text else float(date.fromisoformat(cells.get("date", "")).toordinal())
    except ValueError as error:
        raise UsageError(
            f"{at}: expected a date such as 2024-05-31, or a number as day", hint=_SCANS_HINT
        ) from error
