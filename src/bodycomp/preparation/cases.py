"""Annotated scans as a user lists them: which scan goes with which annotation of which patient."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bodycomp.annotation.labels import LabelMapping
from bodycomp.data.layout import SPLITS
from bodycomp.errors import UsageError

Fractions = tuple[float, float, float]
"""Shares of the patients in train, val and test."""

DEFAULT_FRACTIONS: Final[Fractions] = (0.7, 0.15, 0.15)
REQUIRED: Final = ("patient", "scan")
COLUMNS: Final = ("patient", "scan", "series", "masks", "levels", "split", "note")
MISNAMED: Final = {
    "mask": "masks",
    "segmentation": "masks",
    "segmentations": "masks",
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
    """One row of a cases table.

    Attributes:
        where: The row for messages, as spreadsheets count: the header of a CSV is row 1.
        patient: Code that distinguishes patients.
        scan: DICOM folder or file, NIfTI or NRRD file.
        masks: Files with the tissues; empty where none are annotated.
        levels: File with the levels; None where none are marked.
        series: Series Instance UID, where the scan's folder holds several series.
        split: ``train``, ``val`` or ``test``; empty where it shall be drawn.
        further: Free columns, such as sex, site or scanner.
    """

    where: str
    patient: str = field(repr=False)
    scan: Path = field(repr=False)
    masks: tuple[Path, ...] = field(default=(), repr=False)
    levels: Path | None = field(default=None, repr=False)
    series: str = field(default="", repr=False)
    split: str = ""
    further: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class CasesTable:
    """All cases in the table's order, and what the file says of labels and shares of splits."""

    cases: tuple[Case, ...]
    free_columns: tuple[str, ...] = ()
    labels: LabelMapping | None = None
    fractions: Fractions | None = None


@dataclass(frozen=True, slots=True)
class RawRow:
    """Cells of one row as text, those of ``masks`` as a list."""

    where: str
    cells: Mapping[str, str | list[str]]


def check_fractions(fractions: Fractions) -> Fractions:
    """Return shares of train, val and test if they can be used.

    Raises:
        UsageError: A share is negative, or they do not add up to 1.
    """
    if not all(f >= 0 for f in fractions) or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        raise UsageError(
            f"expected shares of train, val and test that add up to 1, found {fractions}",
            hint="For instance 0.7 0.15 0.15, or 0.8 0.2 0 without a test split.",
        )
    return fractions


def check_cases(rows: Sequence[RawRow], folder: Path, faults: list[str]) -> list[Case]:
    """Return the cases, and add a line to ``faults`` for everything that is wrong.

    Relative paths start in ``folder``.
    """
    names = dict.fromkeys(name for row in rows for name in row.cells)
    wrong = {name: MISNAMED[name] for name in names if name in MISNAMED}
    faults += [f"column {name}: the name that is read is {known}" for name, known in wrong.items()]
    missing = [name for name in REQUIRED if rows and name not in names]
    faults += [f"expected a column {name}, found {', '.join(names)}" for name in missing]
    if missing:
        return []
    cases = [_case(row, folder, faults) for row in rows]
    _check_against_earlier(cases, faults)
    return cases


def _case(row: RawRow, folder: Path, faults: list[str]) -> Case:
    def text(name: str) -> str:
        return str(row.cells.get(name) or "")

    def path(name: str, value: str) -> Path:
        found = folder / Path(value).expanduser()
        if value and not found.exists():
            faults.append(
                f"{row.where}, column {name}: expected a file or folder, found no {value}"
            )
        return found

    faults += [
        f"{row.where}, column {name}: expected a value, found an empty cell"
        for name in REQUIRED
        if not text(name)
    ]
    if text("split") not in ("", *SPLITS):
        expected = f"{row.where}, column split: expected {', '.join(SPLITS)} or nothing"
        faults.append(f"{expected}, found {text('split')!r}")
    return Case(
        where=row.where,
        patient=text("patient"),
        scan=path("scan", text("scan")),
        masks=tuple(path("masks", name) for name in row.cells.get("masks") or []),
        levels=path("levels", text("levels")) if text("levels") else None,
        series=text("series"),
        split=text("split"),
        further={n: str(v) for n, v in row.cells.items() if n and n not in COLUMNS},
    )


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
