"""Cases tables in CSV and YAML, read strictly: all faults at once, each with its place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from bodycomp.annotation.labels import LabelMapping
from bodycomp.data.layout import SPLITS
from bodycomp.errors import CasesError, InputNotFoundError, UsageError
from bodycomp.preparation.cases import CasesTable, RawRow, check_cases, check_fractions
from bodycomp.user_table import sheet_rows

PATH_SEPARATOR: Final = ";"
YAML_SUFFIXES: Final = (".yaml", ".yml")
YAML_KEYS: Final = ("cases", "labels", "splits")
_SHOWN: Final = 50


def read_cases(path: Path) -> CasesTable:
    """Read a cases table; relative paths in it start at the table's folder.

    Raises:
        InputNotFoundError: There is no such file.
        CasesError: The table has faults; the message lists all of them.
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
        raise CasesError(_listed(path, faults), hint="docs/preparing.md describes the table.")
    columns = dict.fromkeys(name for case in cases for name in case.further)
    return CasesTable(tuple(cases), tuple(columns), labels, fractions)


def _listed(path: Path, faults: list[str]) -> str:
    number = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = [f"  {fault}" for fault in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        lines.append(f"  and {len(faults) - _SHOWN} more")
    return "\n".join([f"{path.name}: {number} in the cases table", *lines])


def _csv_rows(text: str, faults: list[str]) -> list[RawRow]:
    try:
        lines = sheet_rows(text)
    except csv.Error as error:
        faults.append(f"expected a table of comma-separated values ({error})")
        return []
    if not lines:
        return []
    header = [name.strip().casefold() for name in lines[0].cells]
    repeated = {name for name in header if header.count(name) > 1}
    faults += [f"row 1: expected column {name} once, found it again" for name in sorted(repeated)]
    rows: list[RawRow] = []
    for line in lines[1:]:
        where = f"row {line.number}"
        if len(line.cells) != len(header):
            faults.append(f"{where}: expected {len(header)} cells, found {len(line.cells)}")
            continue
        cells: dict[str, str | list[str]] = dict(
            zip(header, (cell.strip() for cell in line.cells), strict=True)
        )
        if "masks" in cells:
            cells["masks"] = split_paths(str(cells["masks"]))
        rows.append(RawRow(where, cells))
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


def _yaml_rows(text: str, faults: list[str]) -> tuple[list[RawRow], Mapping[str, Any]]:
    try:
        # The base loader keeps scalars as text: 007 stays a patient's code, "no" stays a word.
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 -- it makes text alone
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        faults.append(f"{where}expected YAML ({getattr(error, 'problem', error)})")
        return [], {}
    defaults = content if isinstance(content, dict) else {"cases": content}
    unknown = [key for key in defaults if key not in YAML_KEYS]
    faults += [f"{key}: expected one of {', '.join(YAML_KEYS)}" for key in unknown]
    listed = defaults.get("cases") or []
    if not isinstance(listed, list):
        faults.append("cases: expected a list")
        return [], defaults
    rows = []
    for number, entry in enumerate(listed, start=1):
        where = f"case {number}"
        if isinstance(entry, dict):
            rows.append(RawRow(where, _yaml_cells(entry, where, faults)))
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
        elif key == "masks":
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
