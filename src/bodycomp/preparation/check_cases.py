"""Rows of a cases table -> cases, each cell checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from bodycomp.data.layout import SPLITS
from bodycomp.preparation.cases import Case

REQUIRED: Final = ("patient", "scan")
COLUMNS: Final = ("patient", "scan", "masks", "levels", "series", "split", "note")
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


class Row(Protocol):
    """Cells of one row as text, those of ``masks`` as a list."""

    @property
    def where(self) -> str:
        """The row for messages."""

    @property
    def cells(self) -> Mapping[str, str | list[str]]:
        """Column -> cell."""


def check_cases(rows: Sequence[Row], folder: Path, faults: list[str]) -> list[Case]:
    """Return the cases, and add a line to ``faults`` for everything that is wrong.

    Args:
        rows: Cells of every row.
        folder: Where relative paths start.
        faults: Lines such as ``row 3, column scan: expected ..., found ...``.
    """
    names = dict.fromkeys(name for row in rows for name in row.cells)
    wrong = {name: MISNAMED[name] for name in names if name in MISNAMED}
    faults += [f"column {name}: the name that is read is {known}" for name, known in wrong.items()]
    missing = [name for name in REQUIRED if rows and name not in names]
    faults += [f"expected a column {name}, found {', '.join(names)}" for name in missing]
    if missing:
        return []
    cases = [_case(row, folder, faults) for row in rows]
    _check_splits(cases, faults)
    _check_repeats(cases, faults)
    return cases


def _case(row: Row, folder: Path, faults: list[str]) -> Case:
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
    masks = row.cells.get("masks") or []
    return Case(
        where=row.where,
        patient=text("patient"),
        scan=path("scan", text("scan")),
        masks=tuple(path("masks", name) for name in masks),
        levels=path("levels", text("levels")) if text("levels") else None,
        series=text("series"),
        split=text("split"),
        further={n: str(v) for n, v in row.cells.items() if n and n not in COLUMNS},
    )


def _check_splits(cases: Sequence[Case], faults: list[str]) -> None:
    first: dict[str, Case] = {}
    for case in cases:
        if case.split in SPLITS:
            other = first.setdefault(case.patient, case)
            if other.split != case.split:
                faults.append(
                    f"{case.where}, column split: expected {other.split} as in {other.where} of "
                    f"the same patient, found {case.split}"
                )


def _check_repeats(cases: Sequence[Case], faults: list[str]) -> None:
    first: dict[tuple[Path, str], Case] = {}
    for case in cases:
        other = first.setdefault((case.scan.resolve(), case.series), case)
        if other is not case and case.scan.exists():
            faults.append(
                f"{case.where}, column scan: the scan of {other.where} again; put all masks of a "
                "scan into one row, and say which series where a folder holds several"
            )
