"""Cases tables: which scan goes with which annotation of which patient.

CSV and YAML are read strictly: all faults at once, each with its place.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from bodycomp.anatomy import ALL_TISSUES
from bodycomp.annotation.labels import LabelMapping
from bodycomp.data.layout import SPLITS
from bodycomp.errors import CasesError, InputNotFoundError, UsageError
from bodycomp.preparation.options import Fractions, check_fractions
from bodycomp.preparation.source_record import SourceRecord
from bodycomp.user_table import sheet_rows

REQUIRED: Final = ("patient", "scan")
LISTS: Final = ("masks", "labeled")
"""Columns of several values in a cell."""
COLUMNS: Final = ("patient", "scan", "series", "masks", "labeled", "levels", "split", "note")
MISNAMED: Final = {
    "mask": "masks",
    "segmentation": "masks",
    "segmentations": "masks",
    "labelled": "labeled",
    "level": "levels",
    "image": "scan",
    "images": "scan",
    "scans": "scan",
    "patient_id": "patient",
    "patientid": "patient",
    "patients": "patient",
    "case": "patient",
    "splits": "split",
    "seriesinstanceuid": "series",
    "series_uid": "series",
}
"""Names that would be free columns, and are more likely meant as a column that is known."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a cases table; its columns are described in ``docs/preparing.md``.

    ``where`` is the row for messages, as spreadsheets count: the header of a CSV is row 1.
    ``split`` is empty where it shall be drawn; ``further`` are free columns, such as sex, site or
    scanner. ``source_case`` and ``source_split`` are as in the manifest.
    """

    where: str
    patient: str = field(repr=False)
    scan: Path = field(repr=False)
    masks: tuple[Path, ...] = field(default=(), repr=False)
    levels: Path | None = field(default=None, repr=False)
    series: str = field(default="", repr=False)
    split: str = ""
    further: Mapping[str, str] = field(default_factory=dict, repr=False)
    labeled: tuple[str, ...] = ()
    source_case: str = ""
    source_split: str = ""


@dataclass(frozen=True, slots=True)
class CasesTable:
    """All cases in the table's order, and what the file says of labels and shares of splits.

    ``source`` is the published data set whose cases these are, if they are one's.
    """

    cases: tuple[Case, ...]
    free_columns: tuple[str, ...] = ()
    labels: LabelMapping | None = None
    fractions: Fractions | None = None
    source: SourceRecord | None = None

    @property
    def is_public(self) -> bool:
        """Whether codes of patients are no secrets, since the data set publishes them."""
        return self.source is not None and self.source.source.is_public


Cells = Mapping[str, str | list[str]]
"""Column -> text of one row, or for ``LISTS`` a list of them."""


def check_cases(rows: Mapping[str, Cells], folder: Path, faults: list[str]) -> list[Case]:
    """Return the cases, and add a line to ``faults`` for everything that is wrong.

    Relative paths start in ``folder``.
    """
    names = dict.fromkeys(name for cells in rows.values() for name in cells)
    wrong = {name: MISNAMED[name] for name in names if name in MISNAMED}
    faults += [f"column {name}: the name that is read is {known}" for name, known in wrong.items()]
    missing = [name for name in REQUIRED if rows and name not in names]
    faults += [f"expected a column {name}, found {', '.join(names)}" for name in missing]
    if missing:
        return []
    cases = [_case(where, cells, folder, faults) for where, cells in rows.items()]
    _check_against_earlier(cases, faults)
    return cases


def _case(where: str, cells: Cells, folder: Path, faults: list[str]) -> Case:
    def text(name: str) -> str:
        return str(cells.get(name) or "")

    def path(name: str, value: str) -> Path:
        found = folder / Path(value).expanduser()
        if value and not found.exists():
            faults.append(f"{where}, column {name}: expected a file or folder, found no {value}")
        return found

    faults += [
        f"{where}, column {name}: expected a value, found an empty cell"
        for name in REQUIRED
        if not text(name)
    ]
    if text("split") not in ("", *SPLITS):
        expected = f"{where}, column split: expected {', '.join(SPLITS)} or nothing"
        faults.append(f"{expected}, found {text('split')!r}")
    return Case(
        where=where,
        patient=text("patient"),
        scan=path("scan", text("scan")),
        masks=tuple(path("masks", name) for name in cells.get("masks") or []),
        levels=path("levels", text("levels")) if text("levels") else None,
        series=text("series"),
        split=text("split"),
        further={n: str(v) for n, v in cells.items() if n and n not in COLUMNS},
        labeled=_labeled(where, cells.get("labeled") or [], faults),
    )


def _labeled(where: str, keys: str | list[str], faults: list[str]) -> tuple[str, ...]:
    """Return the tissues that were labeled in a case, none if all were."""
    known = [tissue.key for tissue in ALL_TISSUES]
    for key in keys:
        if key not in known:
            expected = f"{where}, column labeled: expected {', '.join(known)} or nothing"
            faults.append(f"{expected}, found {key!r}")
    found = tuple(key for key in known if key in keys)
    return () if len(found) == len(known) else found


def _check_against_earlier(cases: Sequence[Case], faults: list[str]) -> None:
    """Report patients in two splits, and scans that are listed twice."""
    of_patient: dict[str, Case] = {}
    for case in cases:
        other = of_patient.setdefault(case.patient, case) if case.split in SPLITS else case
        if other.split != case.split:
            faults.append(
                f"{case.where}, column split: expected {other.split} as in {other.where} of "
                f"the same patient, found {case.split}"
            )
    of_scan: dict[tuple[Path, str], Case] = {}
    for case in cases:
        other = of_scan.setdefault((case.scan.resolve(), case.series), case)
        if other is not case and case.scan.exists():
            faults.append(
                f"{case.where}, column scan: the scan of {other.where} again; put all masks of a "
                "scan into one row, and say which series where a folder holds several"
            )


def listed(lines: Sequence[str], most: int = 20) -> str:
    """Return lines of a message below its first one, and how many more there are."""
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return "".join(f"\n  {line}" for line in (*lines[:most], *more))


PATH_SEPARATOR: Final = ";"
YAML_SUFFIXES: Final = (".yaml", ".yml")
YAML_KEYS: Final = ("cases", "labels", "splits")
_SHOWN: Final = 50


def read_cases(path: Path) -> CasesTable:
    """Read a cases table; relative paths in it start at the table's folder.

    A CasesError lists all faults.
    """
    if not path.is_file():
        raise InputNotFoundError(
            f"expected a cases table, found none at {path}",
            hint="Write one as CSV or YAML, or draft one with 'bodycomp prepare discover'.",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CasesError(
            f"{path.name}: expected plain text in UTF-8 ({error.reason})",
            hint="Save the table as 'CSV UTF-8 (comma delimited)'.",
        ) from error
    faults: list[str] = []
    if path.suffix.lower() in YAML_SUFFIXES:
        rows, defaults = _yaml_rows(text, faults)
    else:
        rows, defaults = _csv_rows(text, faults), {}
    cases = check_cases(rows, path.absolute().parent, faults)
    labels, fractions = _labels(defaults, faults), _fractions(defaults, faults)
    if not (cases or faults):
        faults.append("expected at least one case, found none")
    if faults:
        number = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise CasesError(
            f"{path.name}: {number} in the cases table{listed(faults, _SHOWN)}",
            hint="docs/preparing.md describes the table.",
        )
    columns = dict.fromkeys(name for case in cases for name in case.further)
    return CasesTable(tuple(cases), tuple(columns), labels, fractions)


def _csv_rows(text: str, faults: list[str]) -> dict[str, Cells]:
    try:
        lines = sheet_rows(text)
    except csv.Error as error:
        faults.append(f"expected a table of comma-separated values ({error})")
        return {}
    if not lines:
        return {}
    header = [name.strip().casefold() for name in lines[0].cells]
    repeated = {name for name in header if header.count(name) > 1}
    faults += [f"row 1: expected column {name} once, found it again" for name in sorted(repeated)]
    rows: dict[str, Cells] = {}
    for line in lines[1:]:
        where = f"row {line.number}"
        if len(line.cells) != len(header):
            faults.append(f"{where}: expected {len(header)} cells, found {len(line.cells)}")
            continue
        cells: dict[str, str | list[str]] = dict(
            zip(header, (cell.strip() for cell in line.cells), strict=True)
        )
        for name in LISTS:
            if name in cells:
                cells[name] = split_paths(str(cells[name]))
        rows[where] = cells
    return rows


def split_paths(cell: str) -> list[str]:
    """Return the paths in a cell; one that holds the separator stands in double quotes.

    >>> split_paths('a.nii; "b;c.nii"')
    ['a.nii', 'b;c.nii']
    """
    reader = csv.reader([cell], delimiter=PATH_SEPARATOR, skipinitialspace=True)
    return [part.strip() for part in next(reader, []) if part.strip()]


def joined_paths(paths: Iterable[str]) -> str:
    """Return paths as one cell, which ``split_paths`` takes apart again.

    >>> joined_paths(["a.nii", "b;c.nii"])
    'a.nii;"b;c.nii"'
    """
    cell = io.StringIO()
    csv.writer(cell, delimiter=PATH_SEPARATOR, lineterminator="").writerow(paths)
    return cell.getvalue()


def _yaml_rows(text: str, faults: list[str]) -> tuple[dict[str, Cells], Mapping[str, Any]]:
    try:
        # The base loader keeps scalars as text: 007 stays a patient's code, "no" stays a word.
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 -- it makes text alone
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        faults.append(f"{where}expected YAML ({getattr(error, 'problem', error)})")
        return {}, {}
    defaults = content if isinstance(content, dict) else {"cases": content}
    unknown = [key for key in defaults if key not in YAML_KEYS]
    faults += [f"{key}: expected one of {', '.join(YAML_KEYS)}" for key in unknown]
    listed = defaults.get("cases") or []
    if not isinstance(listed, list):
        faults.append("cases: expected a list")
        return {}, defaults
    rows: dict[str, Cells] = {}
    for number, entry in enumerate(listed, start=1):
        where = f"case {number}"
        if isinstance(entry, dict):
            rows[where] = _yaml_cells(entry, where, faults)
        else:
            faults.append(f"{where}: expected keys such as patient and scan, found {entry!r}")
    return rows, defaults


def _yaml_cells(
    entry: Mapping[str, Any], where: str, faults: list[str]
) -> dict[str, str | list[str]]:
    cells: dict[str, str | list[str]] = {"masks": []}
    for name, value in entry.items():
        key = name.strip().casefold()
        texts = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str) for item in texts):
            faults.append(f"{where}, {key}: expected text, found a nested entry")
        elif key in LISTS:
            cells[key] = [part for item in texts for part in split_paths(item)]
        elif isinstance(value, list):
            faults.append(f"{where}, {key}: expected one value, found {len(value)}")
        else:
            cells[key] = value.strip()
    return cells


def _labels(defaults: Mapping[str, Any], faults: list[str]) -> LabelMapping | None:
    entry = defaults.get("labels")
    if entry is None:
        return None
    terms: Iterable[str] = ()
    if isinstance(entry, dict) and all(isinstance(value, str) for value in entry.values()):
        terms = [f"{label}={tissue}" for label, tissue in entry.items()]
    else:
        faults.append("labels: expected entries such as '1: muscle'")
    try:
        return LabelMapping.parse(terms)
    except UsageError as error:
        faults.append(f"labels: {error.message}. {error.hint}")
        return None


def _fractions(defaults: Mapping[str, Any], faults: list[str]) -> tuple[float, float, float] | None:
    entry = defaults.get("splits")
    if entry is None:
        return None
    values = [entry.get(split, "0") for split in SPLITS] if isinstance(entry, dict) else entry
    try:
        train, val, test = (float(value) for value in values)
        return check_fractions((train, val, test))
    except (TypeError, ValueError):
        faults.append("splits: expected shares of train, val and test, such as [0.7, 0.15, 0.15]")
    except UsageError as error:
        faults.append(f"splits: {error.message}")
    return None
